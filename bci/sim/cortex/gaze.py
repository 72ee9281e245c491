"""An Eye gives the retinal image of a picture, blurred by the optics and shifted by where the eye points.

A picture fills 8 of the 10 degrees of the visual field; the rest is the screen's background. The image is split into
luminance and two opponent colours, as by the retina.
"""

import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from bci.sim.seeds import numbered

Pictures = NDArray[np.uint8]
Spectra = NDArray[np.complex64]

#: Side of the visual field, degrees and retinal samples; and the picture's part of it.
FIELD_DEG, FIELD = 10.0, 80
PICTURE_DEG, PICTURE = 8.0, 64

#: Optics: Gaussian transfer that falls to exp(-1/2) at this many cycles per degree.
_OPTICS = 2.0

#: Luminance, red against green, blue against yellow, from red, green and blue.
_OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [0.5, -0.5, 0.0], [-0.25, -0.25, 0.5]], np.float32)

_GAZE = 11


class Eye:
    """An Eye fixates the middle of the picture and misses it by a little at every look.

    Parameters
    ----------
    session : int
        Number that fixes the sequence of eye positions.
    jitter_deg : float
        Standard deviation of the eye's position, degrees, in each direction. Trained observers hold a target
        within 0.1 to 0.2 degrees (Thaler et al. 2013, Vision Research 76:31).
    background : int
        Grey level around the picture; a picture of this level alone is no stimulus.
    """

    def __init__(self, session: int = 0, jitter_deg: float = 0.12, background: int = 128) -> None:
        self.session = session
        self.jitter_deg = jitter_deg
        self.background = background
        cycles = scipy.fft.fftfreq(FIELD, FIELD_DEG / FIELD)
        radius = np.hypot(cycles[:, None], cycles[None, :])
        self._optics = np.exp(-((radius / _OPTICS) ** 2) / 2).astype(np.float32)
        self._cycles = cycles

    def gaze(self, number: int) -> NDArray[np.float64]:
        """Return the eye's position at look `number`: (2,) degrees right and down of the picture's middle."""
        return self.jitter_deg * numbered(self.session, _GAZE, number).standard_normal(2)

    def blank(self, picture: Pictures) -> bool:
        """Whether a picture (h, w, 3) shows nothing but one grey or colour all over."""
        return bool((picture == picture[:1, :1]).all())

    def look(self, pictures: Pictures, gaze: NDArray[np.float64]) -> Spectra:
        """Return the Fourier spectra of the retinal images of pictures.

        Parameters
        ----------
        pictures : (n, h, w, 3) uint8
            As flipped; the longer side fills the picture's 8 degrees.
        gaze : (n, 2) float64
            Where the eye points, degrees right and down of the middle.

        Returns
        -------
        spectra : (n, 3, FIELD, FIELD) complex64
            Fourier transform of luminance, red-green and blue-yellow, each in -0.5 to 0.5 relative to the
            background. A shift of gaze is a phase: it moves the picture without sharpening or blurring it.
        """
        n = len(pictures)
        rows, columns = (_averaging(side, max(pictures.shape[1:3])) for side in pictures.shape[1:3])
        scaled = pictures.astype(np.float32)
        scaled -= self.background
        scaled *= np.float32(1 / 255)
        scaled = np.einsum("ry,nyxc->nrxc", rows, scaled, optimize=True)
        scaled = np.einsum("kx,nrxc->nrkc", columns, scaled, optimize=True)
        field = np.zeros((n, 3, FIELD, FIELD), np.float32)
        top, left = ((FIELD - side) // 2 for side in scaled.shape[1:3])
        field[:, :, top : top + scaled.shape[1], left : left + scaled.shape[2]] = np.einsum(
            "oc,nrkc->nork", _OPPONENT, scaled, optimize=True
        )
        spectra: Spectra = scipy.fft.fft2(field)
        spectra *= self._optics
        # Looking to the right moves the picture to the left.
        right = np.exp(2j * math.pi * gaze[:, :1] * self._cycles).astype(np.complex64)
        down = np.exp(2j * math.pi * gaze[:, 1:] * self._cycles).astype(np.complex64)
        spectra *= down[:, None, :, None] * right[:, None, None, :]
        return spectra


def retinal_images(spectra: Spectra) -> NDArray[np.float32]:
    """Return the retinal images (n, 3, FIELD, FIELD) whose spectra `Eye.look` returned."""
    return np.ascontiguousarray(scipy.fft.ifft2(spectra).real)


def _averaging(side: int, longer: int) -> NDArray[np.float32]:
    """Return the weights that average `side` pixels into retinal samples by area: (samples, side), rows of sum 1.

    >>> _averaging(128, 128)[0, :3].tolist()
    [0.5, 0.5, 0.0]
    """
    target = max(1, round(PICTURE * side / longer))
    edges = np.linspace(0.0, side, target + 1)
    pixels = np.arange(side)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(covered, 0, None) * target / side, np.float32)

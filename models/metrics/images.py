"""Scores of pictures: pixel correlation, and SSIM in two named profiles, for pixels from 0 to 1."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from bci.errors import DataError
from bci.io.installation import install_line
from models.metrics.latents import correlations

Floats = NDArray[np.float64]
Pictures = NDArray[np.floating[Any]]

_HYPER_TAPS = 3

#: Side of the window of the "anchor" profile (σ 1.5, cut at 3.5 σ); smaller pictures have no such score.
ANCHOR_WINDOW = 11


def pictures(values: ArrayLike, name: str = "pictures") -> Floats:
    """Return (n, height, width, 3) float64 from 0 to 1; bytes are divided by 255.

    Raises
    ------
    DataError
        If the shape or the range differs from that.
    """
    array = np.asarray(values)
    if array.dtype == np.uint8:
        array = array / 255.0
    if array.ndim != 4 or array.shape[-1] != 3 or not array.size:
        raise DataError(
            f"expected {name} of shape (n, height, width, 3), came {array.shape}. Put colours last."
        )
    low, high = float(np.min(array)), float(np.max(array))
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise DataError(
            f"expected {name} with values from 0 to 1 (or bytes), came {low:.3g} to {high:.3g}. Scale them first."
        )
    return np.clip(array, 0.0, 1.0).astype(np.float64)


def picture_pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as `pictures` of one shape.

    Raises
    ------
    DataError
        If one is no array of pictures or their shapes differ.
    """
    a, b = pictures(truth, "true pictures"), pictures(predicted, "reconstructions")
    if a.shape != b.shape:
        raise DataError(
            f"expected as many reconstructions of the same size as true pictures, came {a.shape} and {b.shape}. "
            "Resize, or pair them."
        )
    return a, b


def pixel_correlation(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return Pearson's r of flattened colour pictures: (n, height, width, 3) twice to (n,); NaN if uniform."""
    a, b = picture_pair(truth, predicted)
    return correlations(a.reshape(len(a), -1), b.reshape(len(b), -1))


def why_no_anchor(height: int, width: int) -> str:
    """Return why pictures of this size have no SSIM in the "anchor" profile here; empty if they have one."""
    if min(height, width) < ANCHOR_WINDOW:
        return (
            f"pictures of {height} x {width} are smaller than its window of {ANCHOR_WINDOW} x {ANCHOR_WINDOW}"
        )
    try:
        import skimage.metrics  # noqa: F401  (only to learn whether it is installed)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed ({install_line('train')})"
    return ""


def ssim_anchor(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return SSIM of grey pictures at their own size, Gaussian window of σ 1.5, population covariance: (n,).

    Wang et al. (2004) through scikit-image; every argument is given, for its defaults changed between versions.

    Raises
    ------
    DataError
        If the pictures are smaller than the window.
    """
    if min(np.shape(truth)[1:3], default=0) < ANCHOR_WINDOW:
        raise DataError(
            f"expected pictures of at least {ANCHOR_WINDOW} x {ANCHOR_WINDOW} pixels, came {np.shape(truth)}. "
            "Smaller ones have no SSIM in this profile."
        )
    # Imported here, so that all other scores work without scikit-image.
    from skimage.color import rgb2gray
    from skimage.metrics import structural_similarity

    a, b = (rgb2gray(side) for side in picture_pair(truth, predicted))
    return np.array(
        [
            structural_similarity(
                x,
                y,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1.0,
                K1=0.01,
                K2=0.03,
            )
            for x, y in zip(a, b, strict=True)
        ]
    )


def ssim_hyper(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return SSIM as HYPER scores it, the mean over colours at 224², Gaussian window of 3 × 3: (n,).

    The window is of 3 taps with σ 1.5, borders left out, population covariance.
    """
    a, b = picture_pair(truth, predicted)
    return windowed_ssim(resize(a, 224), resize(b, 224), taps=_HYPER_TAPS, sigma=1.5)


def ssim_hyper_table(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return `ssim_hyper` of every prediction (rows) with every truth (columns): (k, …) and (n, …) to (n, k)."""
    a, b = (resize(pictures(side), 224) for side in (truth, predicted))
    window = _window(_HYPER_TAPS, 1.5)
    ma, mb = (_smooth(side, window) for side in (a, b))
    va, vb = (_smooth(side * side, window) - mean**2 for side, mean in ((a, ma), (b, mb)))
    table = np.empty((len(b), len(a)))
    for row in range(len(b)):
        for column in range(len(a)):
            one, two = slice(column, column + 1), slice(row, row + 1)
            both = _smooth(a[one] * b[two], window)
            table[row, column] = _ssim(ma[one], mb[two], va[one], vb[two], both - ma[one] * mb[two])[0]
    return table


def windowed_ssim(a: Floats, b: Floats, *, taps: int, sigma: float) -> Floats:
    r"""Return SSIM with a Gaussian window of `taps`, averaged over whole windows and colours: (n,).

    .. math:: \frac{(2\mu_a\mu_b + .01^2)(2\sigma_{ab} + .03^2)}
        {(\mu_a^2 + \mu_b^2 + .01^2)(\sigma_a^2 + \sigma_b^2 + .03^2)}
    """
    window = _window(taps, sigma)
    ma, mb = _smooth(a, window), _smooth(b, window)
    va, vb = _smooth(a * a, window) - ma**2, _smooth(b * b, window) - mb**2
    return _ssim(ma, mb, va, vb, _smooth(a * b, window) - ma * mb)


def _window(taps: int, sigma: float) -> Floats:
    at = np.arange(taps) - (taps - 1) / 2
    window = np.exp(-0.5 * (at / sigma) ** 2)
    return np.asarray(window / window.sum())


def _smooth(images: Floats, window: Floats) -> Floats:
    """Smooth rows and columns, whole windows alone: (n, h, w, 3) to (n, h - taps + 1, w - taps + 1, 3)."""
    height, width = (size - len(window) + 1 for size in images.shape[1:3])
    rows = sum(weight * images[:, k : k + height] for k, weight in enumerate(window))
    return np.asarray(sum(weight * rows[:, :, k : k + width] for k, weight in enumerate(window)))


def _ssim(ma: Floats, mb: Floats, va: Floats, vb: Floats, both: Floats) -> Floats:
    c1, c2 = 0.01**2, 0.03**2
    score = (2 * ma * mb + c1) * (2 * both + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return np.asarray(score.mean((1, 2, 3)))


def resize(images: Floats, size: int) -> Floats:
    """Resize square pictures by area-aware bilinear interpolation: (n, h, w, 3) to (n, size, size, 3)."""
    if images.shape[1:3] == (size, size):
        return images
    out = np.empty((len(images), size, size, 3))
    for image, into in zip(images, out, strict=True):
        for colour in range(3):
            plane = Image.fromarray(image[..., colour].astype(np.float32))
            into[..., colour] = plane.resize((size, size), Image.Resampling.BILINEAR)
    return np.clip(out, 0.0, 1.0)


#: Picture scores by the name that reports use; larger is better.
IMAGE_SCORES: Mapping[str, Callable[[ArrayLike, ArrayLike], Floats]] = MappingProxyType(
    {"pixel correlation": pixel_correlation, "SSIM (anchor)": ssim_anchor, "SSIM (HYPER)": ssim_hyper}
)

"""What a dreamed decoder expects to read of pictures, learned in its own encoding model's dreams, for its bundle.

The encoding model answers the dreamed pictures, with white noise (`models.encoding.white`); the decoder reads these
answers; what it reads is linear in components of the pictures' features, with noise about it. The bundle keeps that
(`bci.signal.picture_encoding`), and where in the components the training trials lay.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.signal.picture_encoding import PictureEncoding
from bci.signal.picture_features import BANKS
from models.encoding.dreams import dream
from models.encoding.features import features_of
from models.encoding.white import WhiteEncoding
from models.readouts.dreamed import Dreamed
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]

#: Components that are kept; dreams that they are found in, and that are read at once.
COMPONENTS, _FOUND_IN, _BATCH = 64, 4000, 2000


def encoding_of(
    readout: Dreamed, latents: NDArray[np.float32], reads: Callable[[Floats], Floats]
) -> PictureEncoding | None:
    """Return the encoding model of what a fitted readout reads.

    Parameters
    ----------
    readout : Dreamed
        Fitted.
    latents : (n, d) float32
        Of the training trials.
    reads : callable
        What the bundle's readout does: brain data (n, voxels) to what a session reads, (n, d).

    Returns
    -------
    PictureEncoding or None
        None where the readout did not dream, or looks at layers of networks, which no session runs.
    """
    if not readout.choice_.dreamed or not set(readout.banks_) <= set(BANKS):
        return None
    generator, voxels = readout.generator, readout.frozen().voxels
    dreams = dream(generator, readout.dreams, readout.seed, readout.banks_)
    read = dreamed_readings(readout.encoding_, dreams.features, lambda x: reads(voxels.back(x)), readout.seed)
    shown, place = np.unique(latents, axis=0, return_inverse=True)
    training = features_of(generator.draw(shown), readout.banks_)[place]
    size = (generator.spec.image.height, generator.spec.image.width)
    return from_dreams(readout.banks_, size, dreams.features, read, training)


def dreamed_readings(
    encoding: WhiteEncoding, features: NDArray[np.float32], reads: Callable[[Floats], Floats], seed: int
) -> Floats:
    """Return what is read of an encoding model's answers to pictures, with fresh noise.

    Parameters
    ----------
    encoding : WhiteEncoding
    features : (n, features) float32
        Of the pictures.
    reads : callable
        Standardised brain data (n, voxels) to readings, (n, d).
    seed : int
        Of the noise.

    Returns
    -------
    (n, d) float64
    """
    random = np.random.default_rng([seed, 17])
    # The brain data of least power that hold just these white answers.
    back = np.linalg.pinv(encoding.weights)

    def read(part: NDArray[np.float32]) -> Floats:
        answers = encoding.predict(part)
        answers += random.standard_normal(answers.shape)
        return reads((answers - encoding.offset) @ back)

    return _in_parts(read, features)


def from_dreams(
    banks: Sequence[str],
    size: tuple[int, int],
    features: NDArray[np.float32],
    read: Floats,
    training: NDArray[np.float32],
) -> PictureEncoding:
    """Fit what is read of dreams, linear in components of their features.

    Parameters
    ----------
    banks : sequence of str
    size : (int, int)
        Height and width of the pictures.
    features : (n, features) float32
        Of dreamed pictures.
    read : (n, d) float64
        Of a dreamed answer to each.
    training : (m, features) float32
        Of the pictures of the training trials, one a trial.
    """
    standard = Standard.of(features)
    rows = standard.forward(features[:_FOUND_IN].astype(np.float64))
    powers, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    # In units of the power of all features, so that a component says how much of a picture it is.
    axes = axes[:, ::-1][:, :COMPONENTS] / np.sqrt(powers.sum())
    k, d = axes.shape[1] + 1, read.shape[1]
    looks = PictureEncoding(
        tuple(banks), size, standard.mean, standard.scale, axes, np.zeros((k, d)), np.eye(d), np.eye(k), 1
    )
    components, shown = (_in_parts(looks.projected, part) for part in (features, training))
    weights = np.linalg.lstsq(components, read, rcond=None)[0]
    errors = read - components @ weights
    noise = errors.T @ errors / len(errors)
    return replace(looks, weights=weights, noise=noise, gram=shown.T @ shown, trials=len(shown))


def foretold(encoding: PictureEncoding, pictures: NDArray[np.uint8], read: Floats) -> float:
    """Return the share of the variance of what was read of pictures, (n, d), that an encoding model foretells."""
    error = ((read - encoding.expected(pictures)) ** 2).sum()
    return float(1 - error / ((read - read.mean(axis=0)) ** 2).sum())


def _in_parts(of: Callable[[Any], Floats], features: NDArray[np.float32]) -> Floats:
    parts = np.array_split(features, 1 + len(features) // _BATCH)
    return np.concatenate([of(part) for part in parts])

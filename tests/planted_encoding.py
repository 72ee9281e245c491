"""Planted encoding models, and bundles that hold one: what is read of a picture is known but for the noise."""

from pathlib import Path
from typing import Any

import numpy as np
from tiny_bundle import tiny_bundle

from bci.decoder.bundle import Bundle
from bci.io.files.encoding import ENCODING, encoding_part
from bci.signal.picture_encoding import PictureEncoding

SIZE, COMPONENTS, TRAINING = (8, 8), 12, 200


def planted_encoding(latent: int = 4, seed: int = 0) -> PictureEncoding:
    """Return an encoding model of what a decoder reads of pictures of 8 × 8 by the brightness of their pixels."""
    random = np.random.default_rng(seed)
    axes = np.linalg.qr(random.standard_normal((64, COMPONENTS)))[0] / 8
    weights = random.standard_normal((COMPONENTS + 1, latent))
    looks = PictureEncoding(
        ("brightness",),
        SIZE,
        np.zeros(64),
        np.full(64, 0.29),
        axes,
        weights,
        0.04 * np.eye(latent),
        np.eye(1),
        1,
    )
    shown = looks.components(random.integers(0, 256, (TRAINING, *SIZE, 3), np.uint8))
    return PictureEncoding(
        looks.banks, SIZE, looks.mean, looks.scale, axes, weights, looks.noise, shown.T @ shown, TRAINING
    )


def encoding_bundle(folder: Path, encoding: PictureEncoding | None = None, **settings: Any) -> Bundle:
    """Save a tiny bundle that holds an encoding model, and return it loaded."""
    encoding = encoding or planted_encoding()
    recipe, content = encoding_part(encoding)
    settings = {"latent": encoding.latent, "height": 8, "width": 8} | settings
    return tiny_bundle(folder, encoding=recipe, replace={ENCODING: content}, **settings)

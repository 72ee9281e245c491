"""Readers of a generator's latents, for the table of all brain readers: HYPER's, and those that go on from it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.reader_trials import Lesson
from models.readouts.family import build_readout
from models.readouts.size import LatentSize
from models.systems.reader import PictureReader

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]


def readers() -> tuple[PictureReader, ...]:
    """Return them."""
    return (
        PictureReader(
            "HYPER",
            "Dado et al. (2022): one dense layer to the latent, 60 epochs of Adam at 3e-4; rescaled and drawn",
            read_dense,
        ),
        PictureReader("ridge to latents", "ridge to the generator's latent; rescaled and drawn", read_ridge),
        PictureReader(
            "encoding, inverted",
            "Mozafari et al. (2020), the slide's direction: responses by least squares of latents, pseudo-inverted",
            read_encoder,
        ),
        PictureReader(
            "empirical Bayes",
            "the same direction, with a covariance of the noise and of the map: the posterior mean",
            read_bayes,
        ),
        PictureReader(
            "dreamed",
            "ours: an encoding model of pictures dreams trials, and a linear readout of latents learns from them",
            read_dreamed,
        ),
        PictureReader(
            "dreamed, network",
            "ours: the same dreams, read by a network",
            read_dreamed_network,
        ),
    )


def read_ridge(lesson: Lesson, brain: Floats) -> Pictures:
    """Read by ridge."""
    return _read(lesson, brain, "ridge")


def read_dense(lesson: Lesson, brain: Floats) -> Pictures:
    """Read by HYPER's dense layer."""
    return _read(lesson, brain, "dense", epochs=lesson.scaled(60), rate=3e-4)


def read_encoder(lesson: Lesson, brain: Floats) -> Pictures:
    """Read by the pseudo-inverse of a linear encoding of latents, of principal components."""
    few = min(200, len(lesson.brain) // 3, lesson.brain.shape[1])
    return _read(lesson, brain, "components-encoder", components=few, alphas=(0.0,))


def read_bayes(lesson: Lesson, brain: Floats) -> Pictures:
    """Read by empirical Bayes."""
    few = min(200, len(lesson.brain) // 3, lesson.brain.shape[1])
    return _read(lesson, brain, "inverted-encoder", components=few, relevance=True)


def read_dreamed(lesson: Lesson, brain: Floats) -> Pictures:
    """Read by the linear readout that learned from dreams."""
    return _read(lesson, brain, "dreamed", dreams=lesson.scaled(20_000, 500), always=True)


def read_dreamed_network(lesson: Lesson, brain: Floats) -> Pictures:
    """Read by the network that learned from dreams."""
    steps = lesson.scaled(2000, 50)
    dreams = lesson.scaled(20_000, 500)
    return _read(lesson, brain, "dreamed-network", dreams=dreams, steps=steps, always=True)


def _read(lesson: Lesson, brain: Floats, name: str, **options: Any) -> Pictures:
    package = lesson.package()
    readout = build_readout(name, generator=package, **options)
    readout.fit(lesson.brain, lesson.latents, runs=lesson.runs)
    latents = LatentSize("rescale")(readout.predict(brain))
    drawn: Pictures = package.draw(np.asarray(latents, np.float32))
    return drawn

"""Readers of the table of all systems that are no system of their own: of pixels and components, and by likelihood."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.datasets.reader_trials import Lesson
from models.encoding.features import BANKS, features_of
from models.encoding.white import WhiteEncoding
from models.readouts.family import build_readout
from models.readouts.scaling import Standard
from models.systems.reader import PictureReader

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]

#: Sizes of the two that learn pictures first; published are 512 components and 1024 latents.
COMPONENTS, LATENTS, UPDATES = 256, 128, 400
#: Candidates of the likelihood, and how many of the likeliest are averaged.
CANDIDATES, LIKELIEST = 1000, 5


def readers() -> tuple[PictureReader, ...]:
    """Return them."""
    return (
        PictureReader(
            "eigenfaces",
            f"Cowen et al. (2014): ridge to {COMPONENTS} principal components of other pictures",
            read_eigenfaces,
            best_of_eigenfaces,
        ),
        PictureReader(
            "VAE-GAN",
            f"VanRullen and Reddy (2019): ridge to the {LATENTS} latents of a VAE-GAN; {UPDATES} updates on others",
            read_vaegan,
            best_of_vaegan,
        ),
        PictureReader(
            "likelihood",
            f"Kay et al. (2008), Naselaris et al. (2009): of {CANDIDATES} other pictures the {LIKELIEST} under which "
            "an encoding model finds the response likeliest, averaged",
            read_likelihood,
        ),
        PictureReader("ridge to pixels", "baseline: ridge to every pixel", read_pixels),
    )


def read_pixels(lesson: Lesson, brain: Floats) -> Pictures:
    """Read every pixel by ridge."""
    rows = lesson.pictures.reshape(len(lesson.pictures), -1) / 255.0
    vary = rows.std(0) > 0
    drawn = np.tile(rows.mean(0), (len(brain), 1))
    drawn[:, vary] = build_readout("ridge").fit(lesson.brain, rows[:, vary], runs=lesson.runs).predict(brain)
    return _bytes(drawn.reshape(-1, *lesson.pictures.shape[1:]))


def read_eigenfaces(lesson: Lesson, brain: Floats) -> Pictures:
    """Read principal components."""
    faces = _eigenfaces(lesson)
    scores = build_readout("ridge").fit(lesson.brain, faces.encode(lesson.pictures), runs=lesson.runs)
    return _drawn(faces, scores.predict(brain))


def best_of_eigenfaces(lesson: Lesson, pictures: Pictures) -> Pictures:
    """Return pictures of the true components."""
    faces = _eigenfaces(lesson)
    return _drawn(faces, faces.encode(pictures))


def _eigenfaces(lesson: Lesson):  # type: ignore[no-untyped-def]  # of torch, which is not imported here
    from models.generators.eigenfaces import Eigenfaces

    return Eigenfaces.of(lesson.others, min(COMPONENTS, len(lesson.others) - 1))


def _drawn(faces, scores: Floats) -> Pictures:  # type: ignore[no-untyped-def]  # eigenfaces, of torch too
    import torch

    with torch.no_grad():
        planes = faces(torch.from_numpy(np.asarray(scores, np.float32))).numpy()
    return _bytes(planes.transpose(0, 2, 3, 1))


def read_vaegan(lesson: Lesson, brain: Floats) -> Pictures:
    """Read the latents of a VAE-GAN."""
    from models.generators.interface import pictures

    vae = _vaegan(lesson)
    latents = build_readout("ridge").fit(lesson.brain, vae.encode(lesson.pictures), runs=lesson.runs)
    return pictures(vae.generator, np.asarray(latents.predict(brain), np.float32), (-1.0, 1.0))


def best_of_vaegan(lesson: Lesson, shown: Pictures) -> Pictures:
    """Return pictures of the latents that the encoder gives the true ones."""
    from models.generators.interface import pictures

    vae = _vaegan(lesson)
    return pictures(vae.generator, np.asarray(vae.encode(shown), np.float32), (-1.0, 1.0))


@lru_cache(maxsize=1)
def _vaegan(lesson: Lesson):  # type: ignore[no-untyped-def]  # of torch, which is not imported here
    from models.generators.vaegan import VaeGanSchedule, train_vaegan

    schedule = VaeGanSchedule(latent=LATENTS, steps=lesson.scaled(UPDATES), seed=lesson.seed)
    return train_vaegan(lesson.others, schedule)


def read_likelihood(lesson: Lesson, brain: Floats) -> Pictures:
    """Average the candidates under which the response is likeliest."""
    candidates = lesson.others[:CANDIDATES]
    scale, banks = Standard.of(lesson.brain), tuple(BANKS)
    x = np.asarray(scale.forward(lesson.brain), np.float64)
    runs = np.unique(lesson.runs, return_inverse=True)[1]
    few = min(150, len(x) // 3, x.shape[1])
    encoding = WhiteEncoding.fit(
        x, features_of(lesson.pictures, banks), runs, components=few, axes=min(60, few)
    )
    seen = np.asarray(scale.forward(np.asarray(brain, np.float64)), np.float64)
    logs = encoding.log_likelihood(seen, features_of(candidates, banks))
    likeliest = np.argsort(-logs, axis=1)[:, :LIKELIEST]
    return _bytes(candidates[likeliest].mean(1) / 255.0)


def _bytes(values: NDArray[np.floating]) -> Pictures:
    """Return pictures of values from 0 to 1."""
    return np.round(255.0 * np.clip(values, 0.0, 1.0)).astype(np.uint8)

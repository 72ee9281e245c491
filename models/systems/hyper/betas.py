"""Betas made twice: as volumes came, by the live code, and of whole runs; and what each is worth to the other.

A decoder meets betas of the volumes so far. One that was fitted on betas of whole runs has never seen such, so what it
reaches on these is told beside what the shipped kind reaches.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.insilico.trials import Set
from models.metrics.identification import correlation_table, wins
from models.metrics.latents import cosine
from models.readouts.family import build_readout
from models.readouts.voxels import choose_voxels
from models.systems.hyper.settings import HyperConfig

Floats = NDArray[np.floating[Any]]


def beta_scores(
    config: HyperConfig, fitted: Set, held: Set, fitted_whole: Floats, held_whole: Floats
) -> dict[str, Any]:
    """Return how well ridge reads held-out trials, fitted and tested on betas of whole runs and on causal ones.

    Parameters
    ----------
    fitted, held : Set
        With the betas that the live code gave.
    fitted_whole, held_whole : (n, voxels) array
        The same trials' betas of whole runs.

    Returns
    -------
    dict
        ``kind`` and ``wait_s`` of the betas; for each of ``offline to offline``, ``offline to causal`` and ``causal to
        causal`` the mean cosine, and the shares of ``two_way`` and ``n_way`` identification of single trials.
    """
    step = config.betas
    assert step is not None
    offline, causal = _reader(config, fitted, fitted_whole), _reader(config, fitted, fitted.brain)
    pairs = {
        "offline to offline": offline(held_whole),
        "offline to causal": offline(held.brain),
        "causal to causal": causal(held.brain),
    }
    return {
        "kind": step.kind,
        "wait_s": step.wait_s,
        **{name: _score(held.latents, predicted) for name, predicted in pairs.items()},
    }


def _reader(config: HyperConfig, fitted: Set, brain: Floats) -> Any:
    voxels, mask = config.voxels, None
    if voxels is not None:
        mask = choose_voxels(brain, voxels.count, subject="in silico", by=voxels.by, latents=fitted.latents)
    readout = build_readout("ridge")
    readout.fit(mask(brain) if mask else brain, fitted.latents, runs=fitted.runs)
    return lambda others: readout.predict(mask(others) if mask else others)


def _score(latents: Floats, predicted: Floats) -> dict[str, float]:
    candidates, which = np.unique(latents, axis=0, return_inverse=True)
    table, trials = correlation_table(candidates, predicted), np.arange(len(predicted))
    return {
        "cosine": float(cosine(latents, predicted).mean()),
        "two_way": float(wins(table, 2)[trials, which].mean()),
        "n_way": float(wins(table, len(candidates))[trials, which].mean()),
    }

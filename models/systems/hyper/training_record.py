"""The training record of HYPER in silico is ``training.json`` in its bundle.

Configuration, seed, versions, processor, the hash of the trials that were fitted on, and the learning curve: the score
on the held-out trials against the number of training trials, everything fitted again on those alone.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import BciError
from bci.io.files.folder import plain
from models.insilico.trials import Set
from models.metrics.identification import correlation_table, wins
from models.metrics.latents import cosine, r_squared
from models.provenance import processor, versions
from models.systems.hyper.settings import HyperConfig, portable

_PACKAGES = ("numpy", "scipy", "scikit-learn", "onnx", "onnxruntime")

#: One trial in so many is fitted on, evenly over the session, so that every run has its part.
_EVERY = (8, 4, 2, 1)

#: Fits trials and returns the function that predicts latents of others, (n, features) to (n, d).
Fit = Callable[[Set], Callable[[NDArray[Any]], NDArray[Any]]]


def training_record(config: HyperConfig, fitted: Set, held: Set, fit: Fit) -> str:
    """Return the content of ``training.json``.

    Parameters
    ----------
    config : HyperConfig
    fitted, held : Set
        Training trials, and those of other pictures.
    fit : callable
        Chooses voxels and fits the readout, on the trials that it is given alone; `fitted` itself comes last.
    """
    record = {
        "config": portable(config),
        "seeds": {"all": config.seed},
        "versions": versions(_PACKAGES),
        "processor": processor(),
        "data": {"training_trials_sha256": fitted.digest, "held_out_trials_sha256": held.digest},
        "curve": learning_curve(fitted, held, fit),
    }
    return json.dumps(plain(record), indent=1, ensure_ascii=False) + "\n"


def learning_curve(fitted: Set, held: Set, fit: Fit) -> list[dict[str, Any]]:
    """Return scores of held-out trials, fitted on ever more of the training trials.

    Returns
    -------
    list of dict
        ``trials``, ``cosine``, ``r_squared``, ``two_way`` and ``n_way`` (single trials among the held-out pictures); or
        ``trials`` and ``refused``, where they are too few for the readout.
    """
    candidates, which = np.unique(held.latents, axis=0, return_inverse=True)
    curve: list[dict[str, Any]] = []
    for every in _EVERY:
        part = fitted
        if every > 1:
            part = Set(fitted.brain[::every], fitted.latents[::every], fitted.runs[::every])
        try:
            predicted = fit(part)(held.brain)
        except BciError as error:
            curve.append({"trials": len(part.brain), "refused": str(error)})
            continue
        table, trials = correlation_table(candidates, predicted), np.arange(len(predicted))
        curve.append(
            {
                "trials": len(part.brain),
                "cosine": float(cosine(held.latents, predicted).mean()),
                "r_squared": float(r_squared(held.latents, predicted)),
                "two_way": float(wins(table, 2)[trials, which].mean()),
                "n_way": float(wins(table, len(candidates))[trials, which].mean()),
            }
        )
    return curve

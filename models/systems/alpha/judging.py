"""Judging decides whether a readout may claim a confidence, by predictions for blocks that no choice depended on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bci.decoder.spec import ConfidenceSpec
from models.metrics.blocks import CLAIM_LEVEL, Blocks, falling_with
from models.metrics.ranks import auc
from models.systems.alpha.fitting import Floats, StateEstimator, Trials
from models.systems.alpha.readout import class_confidence

_PERMUTATIONS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A Judged is the result of judging a readout.

    Attributes
    ----------
    p : (n,) float64
        Probability of state 1 of every window, by a readout that never saw its block.
    claim : ConfidenceSpec
        The bundle's claim of confidence.
    blocks : str
        The held-out blocks, in words; the limits of what is like training are drawn on them too.
    report : mapping
        How the readout was chosen and the claim judged; numbers and texts.
    """

    p: Floats
    claim: ConfidenceSpec
    blocks: str
    report: dict[str, Any]


def judge(
    estimator: StateEstimator, trials: Trials, blocks: Blocks, *, seed: int, calibrated_on: str
) -> Judged:
    """Judge a fitted estimator.

    Parameters
    ----------
    estimator : StateEstimator
        Fitted on `trials`.
    trials : Trials
        Trials that it was fitted on.
    blocks : Blocks
        Blocks of the windows in `trials`, permuted and resampled whole.
    seed : int
        Of the permutations.
    calibrated_on : str
        Which held-out blocks these are, in words.
    """
    p = estimator.cross_predict(trials)
    wrong = (p >= 0.5) != trials.states
    falls, chance = falling_with(
        class_confidence(p),
        wrong.astype(float),
        blocks,
        permutations=_PERMUTATIONS,
        rng=np.random.default_rng([seed, 0]),
    )
    holds = falls is not None and falls < 0 and chance < CLAIM_LEVEL
    claim = ConfidenceSpec(
        kind="classifier" if holds else "none", calibrated_on=calibrated_on if holds else "", classes=2
    )
    calibrate = estimator.readout_.calibrate
    report = {
        "windows": len(trials),
        "blocks": len(blocks),
        "shrinkage": estimator.validation_.shrinkage,
        "held_out_log_loss": dict(
            zip(map(str, estimator.shrinkages), estimator.validation_.losses, strict=True)
        ),
        "calibration": {"slope": calibrate.slope, "offset": calibrate.offset},
        "cross_predicted": {
            "auc": auc(trials.states, p),
            "wrong_windows": int(wrong.sum()),
            "confidence_with_error": falls,
            "p": chance,
            "claim": holds,
        },
    }
    return Judged(p, claim, calibrated_on, report)

"""Evaluation of a bundle on held-out recordings: every score beside its baselines.

Windows of one run overlap and its state never changes, so significance and intervals move whole blocks of time
(`models.metrics.blocks`). What they cannot undo: with one run per state, a state and its run are one thing, and
the scores say how well these two runs are told apart.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.errors import BundleError, ConfigError, RecordingError
from bci.io.files.folder import plain
from models.metrics.blocks import CLAIM_LEVEL, Blocks, bootstrap, cut_blocks, falling_with, permuted_labels
from models.metrics.probability import accuracy, balanced_accuracy, brier, calibration, log_loss
from models.metrics.ranks import auc
from models.settings import find_data_root
from models.systems.alpha.heldout import HeldOut, decode_held_out
from models.systems.alpha.recordings import StateRecording, open_states
from models.systems.alpha.report import headline
from models.systems.alpha.settings import TrainingConfig, parse_training, window_shape


def evaluate(
    bundle_path: Path,
    data_root: Path | None = None,
    out: Path | None = None,
    *,
    permutations: int = 2000,
    resamples: int = 2000,
) -> dict[str, Any]:
    """Score a bundle on the test part that its provenance names.

    Parameters
    ----------
    bundle_path : Path
        The bundle's folder.
    data_root : Path, optional
        Folder that the recordings' paths start from; see `models.settings.find_data_root`.
    out : Path, optional
        Folder for ``index.html``, ``report.json`` and figures.
    permutations, resamples : int
        Of the shuffled controls and of the bootstrap.

    Returns
    -------
    dict
        Numbers, texts and None alone, ready for JSON; see `score`.

    Raises
    ------
    BundleError
        If the bundle cannot be read, or does not name its training recordings.
    RecordingError
        If a recording is missing, or is not the one that the bundle was trained on.
    """
    bundle = Bundle.load(bundle_path)
    config, recordings = open_held_out(bundle, data_root)
    held_out = decode_held_out(bundle, config, recordings)
    report = {
        "bundle": bundle.name,
        "hash": bundle.hash,
        **score(
            held_out,
            config,
            blocks_of(held_out.run, bundle.output.rate, config),
            claimed=bundle.spec.confidence.kind != "none",
            permutations=permutations,
            resamples=resamples,
        ),
    }
    report["beats_chance"] = headline(report)[1]
    if out is not None:
        from models.reports.writing import make
        from models.systems.alpha.figures import draw_figures  # matplotlib takes a second to import
        from models.systems.alpha.report import write_states_report

        make(out)
        labels = [recording.settings.label for recording in recordings]
        report["figures"] = [path.name for path in draw_figures(out, held_out, labels)]
        report["page"] = str(write_states_report(out, report, bundle.spec.title))
    ready: dict[str, Any] = plain(report)
    return ready


def open_held_out(bundle: Bundle, data_root: Path | None) -> tuple[TrainingConfig, list[StateRecording]]:
    """Open the recordings that a bundle was trained on, whose test parts it has not seen.

    Raises
    ------
    BundleError
        If the bundle does not say what it was trained on.
    RecordingError
        If a recording is missing, or is not the one that the bundle was trained on.
    """
    config = held_out_of(bundle)
    recordings = open_states(config, find_data_root(data_root))
    for recording in recordings:
        wanted = bundle.spec.provenance.data.get(recording.settings.path)
        if wanted != recording.sha256:
            raise RecordingError(
                f"{recording.settings.path}: expected the file that bundle {bundle.name!r} was trained on "
                f"(SHA-256 {wanted}), came another ({recording.sha256}): training and test parts could overlap. "
                "Use the original file."
            )
    return config, recordings


def held_out_of(bundle: Bundle) -> TrainingConfig:
    """Return the training configuration that a bundle carries.

    Raises
    ------
    BundleError
        If it carries none, or one that this release does not know.
    """
    carried: Mapping[str, Any] = bundle.spec.provenance.config
    if "calibration" in carried:
        raise BundleError(
            f"bundle {bundle.name!r} was calibrated: each of its blocks was held out in turn, and what came of it is "
            "in it (bci info). Nothing else of its recording is left to score; for another session run bci calibrate."
        )
    if not carried:
        raise BundleError(
            f"bundle {bundle.name!r} does not say what it was trained on, so nothing is known to be held out. "
            "Evaluate a bundle made by bci train."
        )
    try:
        config = parse_training(carried, f"the training configuration in bundle {bundle.name!r}")
    except ConfigError as error:
        raise BundleError(str(error)) from None
    try:
        window_shape(config.readout, config.window, bundle.pipeline, bundle.signal)
    except ConfigError as error:
        raise BundleError(f"bundle {bundle.name!r}: {error} Then train it again: bci train.") from None
    return config


def blocks_of(run: NDArray[np.int64], rate: float, config: TrainingConfig) -> Blocks:
    """Group windows into blocks of the configured seconds, each at least two windows long.

    Parameters
    ----------
    run : (n,) int64
        Which recording each window comes from.
    rate : float
        Samples per second of the pipeline's output.
    config : TrainingConfig
        Says how long a block, a window and a hop are.
    """
    length, hop = config.window.length, config.window.hop
    return cut_blocks(run, max(round(config.readout.block_seconds * rate / hop), 2 * -(-length // hop)))


def score(
    decoded: HeldOut,
    config: TrainingConfig,
    blocks: Blocks,
    *,
    claimed: bool,
    permutations: int,
    resamples: int,
) -> dict[str, Any]:
    """Compute every score with its baselines.

    Parameters
    ----------
    decoded : HeldOut
        What was decoded.
    config : TrainingConfig
        Names the recordings and the seed.
    blocks : Blocks
        Blocks of the windows in `decoded`.
    claimed : bool
        Whether the bundle claims a confidence.
    permutations, resamples : int
        Of the controls and intervals.

    Raises
    ------
    RecordingError
        If a state has fewer than two blocks.
    """
    states, p = decoded.states, decoded.p
    of_block = states[blocks.index[:, 0]] if len(blocks) else np.zeros(0, bool)
    if min(np.count_nonzero(of_block), np.count_nonzero(~of_block)) < 2:
        raise RecordingError(
            f"expected at least 2 blocks of {config.readout.block_seconds:g} s of each state in the held-out "
            f"part, came {np.count_nonzero(~of_block)} and {np.count_nonzero(of_block)}. Hold out a longer part."
        )
    rng = np.random.default_rng([config.seed, 1])

    def interval(of: Any) -> list[float]:
        return list(bootstrap(of, blocks, resamples=resamples, rng=rng))

    _, shuffled, chance = permuted_labels(auc, states, p, blocks, permutations=permutations, rng=rng)
    _, shuffled_hits, chance_hits = permuted_labels(
        balanced_accuracy, states, p, blocks, permutations=permutations, rng=rng
    )
    share = float(states.mean())
    constant = np.full(len(p), share)
    table, calibration_error = calibration(decoded.confidence, decoded.right)
    falls, falls_p = falling_with(
        decoded.confidence, (~decoded.right).astype(float), blocks, permutations=permutations, rng=rng
    )
    holds = falls is not None and falls < 0 and falls_p < CLAIM_LEVEL
    return {
        "test": {
            "recordings": {r.path: r.label for r in config.recordings},
            "part": list(config.split.test),
            "windows": decoded.formed,
            "scored": len(p),
            "invalid": dict(decoded.invalid),
            "blocks": len(blocks),
            "block_seconds": config.readout.block_seconds,
            "outside_blocks": blocks.left_out,
            "averaged": "single windows, nothing averaged; scores over all windows, chance and intervals by blocks",
        },
        "auc": {
            "value": auc(states, p),
            "interval_95": interval(lambda k: auc(states[k], p[k])),
            "chance": 0.5,
            "shuffled_mean": float(shuffled.mean()),
            "shuffled_95th": float(np.quantile(shuffled, 0.95)),
            "p_shuffled": chance,
            "permutations": permutations,
            "one_band_without_fit": auc(states, decoded.single),
        },
        "accuracy": {"value": accuracy(states, p), "majority": max(share, 1 - share)},
        "balanced_accuracy": {
            "value": balanced_accuracy(states, p),
            "interval_95": interval(lambda k: balanced_accuracy(states[k], p[k])),
            "chance": 0.5,
            "shuffled_mean": float(shuffled_hits.mean()),
            "p_shuffled": chance_hits,
        },
        "brier": {
            "value": brier(states, p),
            "interval_95": interval(lambda k: brier(states[k], p[k])),
            "constant": brier(states, constant),
        },
        "log_loss": {"value": log_loss(states, p), "constant": log_loss(states, constant)},
        "latent": {
            "mean_absolute_error": float(np.abs(p - states).mean()),
            "mean_latent": float(np.abs(constant - states).mean()),
            "variance_over_truth": float(p.var() / states.var()),
        },
        "picture": _picture_scores(decoded, blocks, permutations, rng),
        "calibration": {
            "expected_error": calibration_error,
            "expected_error_of_always_sure": float(np.mean(~decoded.right)),
            "mean_stated": float(decoded.confidence.mean()),
            "mean_came": float(decoded.right.mean()),
            "table": [asdict(row) for row in table],
        },
        "confidence": {
            "claimed": claimed,
            "rank_correlation_with_error": falls,
            "p": falls_p,
            "wrong_windows": int(np.count_nonzero(~decoded.right)),
            "holds": holds,
            "says": _verdict(claimed, holds, falls),
        },
    }


def _picture_scores(
    decoded: HeldOut, blocks: Blocks, permutations: int, rng: np.random.Generator
) -> dict[str, float]:
    """Score the pictures themselves: mean absolute difference from the drawing of the true state, 0 to 1."""
    own = np.where(decoded.states, decoded.picture_error[:, 1], decoded.picture_error[:, 0])
    of_block = decoded.states[blocks.index[:, 0]]
    by_block = decoded.picture_error[blocks.index].mean(1)
    shuffled = [
        float(by_block[np.arange(len(blocks)), rng.permutation(of_block).astype(int)].mean())
        for _ in range(permutations)
    ]
    truth = decoded.truth.astype(float) / 255.0
    mean_picture = truth[decoded.states.astype(int)].mean(0)
    return {
        "mean_absolute_error": float(own.mean()),
        "mean_picture": float(np.abs(truth[decoded.states.astype(int)] - mean_picture).mean()),
        "shuffled_mean": float(np.mean(shuffled)),
    }


def _verdict(claimed: bool, holds: bool, falls: float | None) -> str:
    """Return in words whether the claim of a confidence holds."""
    if falls is None:
        finding = "no window was decoded wrongly, or all were equally sure: the claim cannot be tested here"
    elif holds:
        finding = f"confidence falls as errors rise (rank correlation below 0 at p < {CLAIM_LEVEL:g})"
    else:
        finding = f"confidence does not fall with the error at p < {CLAIM_LEVEL:g}"
    return f"{'claimed' if claimed else 'not claimed'}; {finding}"

r"""Calibration fits a bundle's readout again to cued blocks of one participant, and keeps its generator.

Each pair of blocks, one of each state, is held out in turn, and every score is of predictions for blocks that took no
part in any choice. What moves as one in the shuffled baseline and in the intervals is a whole block, since within one
nothing was planned anew:

.. math:: p = \frac{1 + \#\{\text{shuffled} \ge \text{observed}\}}{1 + B}
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.card import write_card
from bci.decoder.spec import CARD, BundleSpec, GraphSpec, NoveltySpec, Provenance, SignalSpec, WindowSpec
from bci.io.files.pace import require_paced
from bci.io.files.recording import Recording, open_recording
from models.datasets.recordings import require_possible
from models.metrics.blocks import CLAIM_LEVEL, Blocks, bootstrap, cut_blocks
from models.metrics.probability import balanced_accuracy, brier
from models.metrics.ranks import auc
from models.progress import warn
from models.provenance import versions
from models.systems.alpha.calibration_file import CalibrationConfig, Recipe, plan_of
from models.systems.alpha.cued import cut_cued, pairs_of, uncertain_cues
from models.systems.alpha.export import export_state_readout
from models.systems.alpha.fitting import StateEstimator, Trials
from models.systems.alpha.judging import judge
from models.systems.alpha.readout import RelativePower
from models.systems.saving import save_decoder

Progress = Callable[[float, str], None]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "onnx", "onnxruntime")
_PERMUTATIONS, _RESAMPLES = 250, 1000


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A Calibration is a fitted readout with its score, computed before it is used.

    Attributes
    ----------
    spec : BundleSpec
        Of the bundle that `write` makes.
    files : mapping of str to bytes or str
        Of that bundle.
    scores : mapping
        Each beside its chance and its shuffled baseline; also in the bundle.
    windows : (n, length, *output shape) float32, optional
        Those of the recording; None where its file says ``keep_windows = false``.
    """

    spec: BundleSpec
    files: dict[str, bytes | str]
    scores: dict[str, Any]
    windows: NDArray[np.float32] | None

    @property
    def beats_chance(self) -> bool:
        """Whether blocks of shuffled states score as well less often than `CLAIM_LEVEL`."""
        return bool(self.scores["auc"]["p_shuffled"] < CLAIM_LEVEL)

    def write(self, out: Path) -> Bundle:
        """Write the bundle; one that is there is replaced.

        Raises
        ------
        BundleError
            If `out` holds something else than a bundle.
        """
        return save_decoder(out, self.spec, self.files, self.windows, as_given=True)


def calibrate(
    config: CalibrationConfig, base: Bundle, path: Path, progress: Progress | None = None
) -> Calibration:
    """Fit the base's readout to a labelled recording, and score it by cross-validation over pairs of blocks.

    Parameters
    ----------
    config : CalibrationConfig
        Says which markers are cues, and what of each block is left out.
    base : Bundle
        Whose generator is kept.
    path : Path
        The recording: a signal and the cues' markers.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Raises
    ------
    ConfigError, BundleError
        If the recording's signal, the pipeline and the base do not fit each other.
    RecordingError
        If it cannot be read, moves by what no brain gives, or has too few blocks of each state, or too few usable
        windows in them.
    """
    say = progress or (lambda done, text: None)
    say(0.0, "reading the recording")
    recording = open_recording(path)
    require_paced(recording)
    warn(say, 0.0, recording.defects)
    plan = plan_of(config, base, recording.signal)
    recipe, signal = plan.recipe, plan.signal
    require_possible(path.name, recording, recipe.signal)
    running = plan.pipeline.start(signal)
    say(0.05, "cutting windows")
    trials, block, dropped = cut_cued(config, plan, recording)
    say(0.2, "fitting the readout")
    margin = max(int(trials.end[0] - trials.start[0]), running.settle)
    settings = recipe.readout
    features = RelativePower(settings.bands, settings.reference)
    estimator = StateEstimator(features, settings.shrinkage, settings.folds, margin).fit(trials)
    say(0.3, "predicting each block by a readout that never saw it")
    size = max(round(settings.block_seconds * running.output.rate / recipe.window.hop), 1)
    judged = judge(
        estimator,
        trials,
        cut_blocks(block, size),
        seed=config.seed,
        calibrated_on=f"held-out pairs of blocks of {path.name}"
        + (" (simulated)" if recording.simulated else ""),
    )
    scores = _scores(
        config,
        recipe,
        estimator,
        trials,
        block,
        judged.p,
        lambda done: say(0.5 + 0.45 * done, "shuffling blocks"),
    )
    # Nothing of the recording is left that the limits did not see: its own windows, by limits of held-out blocks.
    flagged = float((estimator.novelty_(trials.windows) > 1.0).mean())
    name = f"{path.resolve().parent.name}/{path.name}"
    scores["test"] |= {
        "windows_left_out": dropped,
        "blocks_left_out": uncertain_cues(config, recording),
        "recording": name,
        "simulated": recording.simulated,
    }
    scores["confidence"] = judged.report["cross_predicted"] | {"claimed": judged.claim.kind != "none"}
    spec = base.spec.model_copy(
        update={
            "name": config.name,
            "title": ("SIMULATED: " if recording.simulated else "")
            + (config.title or f"{base.spec.title} (calibrated)"),
            "signal": SignalSpec.of(signal),
            "pipeline": tuple(plan.pipeline.to_json()),
            "window": WindowSpec(length=recipe.window.length, hop=recipe.window.hop),
            "graphs": (
                GraphSpec(file="readout.onnx", role="readout"),
                *(graph for graph in base.spec.graphs if graph.role == "generator"),
            ),
            "confidence": judged.claim,
            "novelty": NoveltySpec(calibrated_on=judged.blocks, flagged=flagged),
            "provenance": _provenance(config, recipe, base, path, name),
            "scores": scores,
            "files": {},
        }
    )
    files: dict[str, bytes | str] = {
        graph.file: base.read(graph.file) for graph in base.spec.graphs if graph.role == "generator"
    }
    files["readout.onnx"] = export_state_readout(estimator.readout_, plan.shape, estimator.novelty_)
    files[CARD] = write_card(spec) + _limits(config, recording)
    say(1.0, "done")
    return Calibration(spec, files, scores, trials.windows if config.keep_windows else None)


def _scores(
    config: CalibrationConfig,
    recipe: Recipe,
    estimator: StateEstimator,
    trials: Trials,
    block: NDArray[np.int64],
    p: NDArray[np.float64],
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Score predictions for held-out blocks; chance, shuffled and fitless baselines beside them."""
    states = trials.states
    rng = np.random.default_rng([config.seed, 1])
    blocks = _whole_blocks(states, block)
    observed, shuffled = _shuffled(estimator, trials, block, rng, progress)
    as_good = int(np.count_nonzero(shuffled >= observed))
    single = RelativePower((recipe.readout.single,), recipe.readout.reference)(trials.windows).mean(axis=1)
    share = float(states.mean())

    def interval(of: Callable[[NDArray[np.intp]], float]) -> list[float]:
        return list(bootstrap(of, blocks, resamples=_RESAMPLES, rng=rng))

    return {
        "test": {
            "windows": len(states),
            "blocks": len(blocks),
            "held_out": "each pair of blocks in turn, one of each state",
            "block_seconds": config.blocks.seconds,
            "averaged": "single windows, nothing averaged; chance and intervals by whole blocks",
        },
        "auc": {
            "value": auc(states, p),
            "interval_95": interval(lambda k: auc(states[k], p[k])),
            "chance": 0.5,
            "shuffled_mean": float(shuffled.mean()),
            "shuffled_95th": float(np.quantile(shuffled, 0.95)),
            "p_shuffled": (1 + as_good) / (1 + len(shuffled)),
            "permutations": len(shuffled),
            "one_band_without_fit": auc(states, single),
        },
        "balanced_accuracy": {
            "value": balanced_accuracy(states, p),
            "interval_95": interval(lambda k: balanced_accuracy(states[k], p[k])),
            "chance": 0.5,
        },
        "brier": {"value": brier(states, p), "constant": brier(states, np.full(len(p), share))},
    }


def _whole_blocks(states: NDArray[np.bool_], block: NDArray[np.int64]) -> Blocks:
    """Return cued blocks as what is drawn together, of equal size, spread over each; those of one state are one run."""
    members = [np.flatnonzero(block == k) for k in np.unique(block)]
    size = min(map(len, members))
    index = np.array([own[np.linspace(0, len(own) - 1, size).round().astype(int)] for own in members])
    return Blocks(index, states[index[:, 0]].astype(np.intp), len(block) - index.size)


def _shuffled(
    estimator: StateEstimator,
    trials: Trials,
    block: NDArray[np.int64],
    rng: np.random.Generator,
    progress: Callable[[float], None],
) -> tuple[float, NDArray[np.float64]]:
    """Return the cross-validated AUC, and those of readouts fitted anew to blocks whose states were exchanged.

    Whatever is done with the true states is done with the shuffled ones: their blocks are paired anew, and both are
    fitted at the middle one of the shrinkages, fixed in advance. A rest that had more blocks of one state than of the
    other would lean towards it and score what was held out below one half.
    """
    shrinkage = sorted(estimator.shrinkages)[len(estimator.shrinkages) // 2]
    _, first, place = np.unique(block, return_index=True, return_inverse=True)
    planned = trials.states[first]

    def score(of_block: NDArray[np.bool_]) -> float:
        states = of_block[place]
        labelled = replace(trials, states=states, fold=pairs_of(states, block))
        return auc(states, estimator.cross_score(labelled, shrinkage))

    def others() -> Iterator[float]:
        for turn in range(_PERMUTATIONS):
            progress(turn / _PERMUTATIONS)
            yield score(rng.permutation(planned))

    return score(planned), np.fromiter(others(), np.float64, _PERMUTATIONS)


def _provenance(config: CalibrationConfig, recipe: Recipe, base: Bundle, path: Path, name: str) -> Provenance:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    settings = config.model_dump(mode="json", include={"name", "title", "seed", "stream", "blocks", "states"})
    for state, given in zip(settings["states"], config.states, strict=True):
        # Where it lies is of this machine.
        state["picture"] = given.picture and given.picture.name
    return Provenance(
        data={name: digest},
        config={"calibration": settings, "base": {"name": base.name, "hash": base.hash}, **recipe.plain()},
        seeds={"all": config.seed},
        versions=versions(_PACKAGES),
    )


def _limits(config: CalibrationConfig, recording: Recording) -> str:
    """Return the part of the card that says what the scores do not show."""
    states = " and ".join(state.label for state in config.states)
    simulated = "- It was fitted to simulated EEG: nothing here is a measurement of a brain.\n"
    return (
        "\n## What it cannot do\n\n"
        f"{simulated if recording.simulated else ''}"
        f"- It was fitted to one session ({recording.name}): {states}, in alternating blocks of "
        f"{config.blocks.seconds:g} s. On another day, or with the cap moved, calibrate again.\n"
        "- The states alternate in a fixed order: what changes with every block for another reason than the state "
        "would help to tell them apart.\n"
        "- The picture is a drawing that stands for the state. It is not what the person sees.\n"
    )

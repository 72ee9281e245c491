"""The comparison of readouts: one data set, folds by run, one metric set, every row beside baselines and the oracle.

Every picture is shown once, so no fold's test pictures are learned from; voxels, scaling, regularisation and rank are
fitted inside the fold. A unit is one readout on one fold (`models.units`). The predictions of all folds together are
scored, a picture a trial.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import BciError, DataError
from bci.io.files.folder import plain
from bci.memory.lsl_clock import LslClock
from bci.sim.electrodes import ElectrodeParticipant
from bci.sim.oracle import identify as identify_exactly
from bci.sim.oracle import likelihoods
from bci.sim.responses import respond
from bci.sim.threads import one_thread
from bci.sim.voxels import VoxelParticipant
from models.comparison.page import write_comparison
from models.comparison.settings import ComparisonConfig, Entry, load_comparison
from models.datasets.trials import Stimuli, Trials
from models.generators.package import GeneratorPackage
from models.insilico.trials import TRAINING, Set, answers, design, onsets_of, participant_of
from models.metrics.calibration import coverage
from models.metrics.latents import scaled_r_squared
from models.metrics.table import latent_rows
from models.readouts.collapse import diagnose
from models.readouts.family import build_readout
from models.readouts.voxels import choose_voxels
from models.systems.hyper.settings import HyperConfig, load_hyper
from models.systems.hyper.training_record import digest
from models.units import Unit, run_units

Progress = Callable[[float, str], None]

#: Shares of the truth that a readout's intervals should hold.
_LEVELS = (0.5, 0.9)

#: What a result may hang on beside data and settings.
_PACKAGES = ("numpy", "scipy", "scikit-learn")


def compare(
    path: Path,
    out: Path,
    *,
    jobs: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit every readout on every fold, and write the table.

    Parameters
    ----------
    path : Path
        A comparison file.
    out : Path
        Folder of ``index.html``, ``report.json``, and ``units``: one file a readout and fold, gone on from when the
        run was killed.
    jobs, cluster
        As of `models.units.run_units`.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Returns
    -------
    dict
        ``systems`` (for each its rows and what it took), ``baselines``, ``oracle``, ``test``, ``ceiling``.

    Raises
    ------
    ConfigError
        If a file cannot be used, or the cluster is not there.
    DataError
        If the trials cannot be split, or a readout gives no finite prediction.
    """
    say = progress or (lambda done, text: None)
    config = load_comparison(path)
    source = load_hyper(config.data)
    for entry in config.readouts:
        build_readout(entry.name, **entry.options)  # a misspelt one is refused before hours of work
    say(0.0, "the participant looks at the pictures")
    trials, data, pictures = _trials(config, source)
    runs = [int(run) for run in np.unique(trials.runs)]
    units = [_unit(config, source, entry, run, data) for entry in config.readouts for run in runs]
    results = run_units(
        units,
        fit_fold,
        out / "units",
        given={"trials": trials},
        jobs=jobs,
        cluster=cluster,
        progress=lambda done, text: say(0.2 + 0.6 * done, text),
    )
    say(0.82, "scoring, beside every baseline")
    found = [results[k : k + len(runs)] for k in range(0, len(results), len(runs))]
    report = {
        "name": config.name,
        "simulated": True,
        "data": {"file": config.data.name, "sha256": data, "snr": source.participant.snr},
        "test": {
            "pictures": len(trials),
            "trials": len(trials),
            "folds": len(runs),
            "averaged": "single trials, nothing averaged; a picture is shown once and is in no other fold",
        },
        "systems": {
            entry.title or entry.name: _system(config, entry, trials, folds)
            for entry, folds in zip(config.readouts, found, strict=True)
        },
        "baselines": _baselines(config, trials),
        "ceiling": "unknown: no stimulus was repeated",
        "versions": {"python": sys.version.split()[0]} | {name: version(name) for name in _PACKAGES},
        "seed": config.seed,
    }
    say(0.95, "asking the oracle")
    report["oracle"] = oracle(config, source, trials, pictures)
    ready: dict[str, Any] = plain(report)
    ready["page"] = str(write_comparison(out, ready))
    return ready


def _trials(config: ComparisonConfig, source: HyperConfig) -> tuple[Trials, str, NDArray[np.uint8]]:
    """Return the training trials of a training file, their hash, and all its pictures."""
    package = GeneratorPackage.load(source.generator)
    plan = design(source, package.spec.latent, np.random.default_rng(source.seed))
    pictures = package.draw(plan.latents)
    participant = participant_of(source, pictures[plan.reference], TRAINING)
    told = answers(source, participant, pictures[plan.train], plan.latents[plan.train])
    kept = np.arange(len(told.brain))
    if config.trials is not None:
        if config.trials > len(kept):
            raise DataError(
                f"expected at most the {len(kept)} training trials of {config.data.name}, came trials = "
                f"{config.trials}. Ask for fewer."
            )
        kept = np.unique(np.linspace(0, len(kept) - 1, config.trials).round().astype(int))
    part = Set(told.brain[kept], told.latents[kept], told.runs[kept])
    # Where a latent stands among all shown: trials that had not settled are not in `told`.
    place = {latent.tobytes(): k for k, latent in enumerate(plan.latents)}
    shown = np.array([place[latent.tobytes()] for latent in part.latents])
    stimuli = Stimuli(
        names=tuple(f"{k:04d}" for k in range(len(plan.latents))),
        latents=plan.latents,
        generator=package.spec.name,
    )
    trials = Trials(
        brain=part.brain,
        shown=shown,
        stimuli=stimuli,
        subject=f"in silico {source.participant.subject}",
        runs=part.runs,
        simulated=True,
    )
    return trials, digest(part), pictures


def _unit(config: ComparisonConfig, source: HyperConfig, entry: Entry, run: int, data: str) -> Unit:
    voxels = config.voxels or source.voxels
    inputs = {
        "data": data,
        "readout": entry.name,
        "options": dict(entry.options),
        "voxels": None if voxels is None else voxels.model_dump(),
        "run": run,
        "versions": {name: version(name) for name in (*_PACKAGES, "closed-loop-bci")},
    }
    return Unit(f"{entry.title or entry.name}, run {run} held out", inputs)


def fit_fold(
    *,
    trials: Trials,
    readout: str,
    options: dict[str, Any],
    voxels: dict[str, Any] | None,
    run: int,
    data: str,
    versions: dict[str, str],
) -> dict[str, Any]:
    """Fit one readout with one run held out, on all that shares no picture with it; predict the run.

    Parameters
    ----------
    trials : Trials
    readout, options
        Of `models.readouts.family`.
    voxels : dict, optional
        How many are chosen, and by what; inside the fold.
    run : int
        Held out.
    data, versions
        What the result hangs on; they name the unit.

    Returns
    -------
    dict
        ``predicted`` (trials of the run × d), ``training_mean`` (d), ``coverage`` (of the intervals that should hold a
        share of the latents, by that share), ``trained_on`` (trials), ``seconds``; or ``refused``, why the readout
        cannot be fitted here.
    """
    clock = LslClock()
    began = clock.now()
    learn, test = next(fold for fold in trials.folds() if fold[1].runs is not None and fold[1].runs[0] == run)
    a, b = learn.brain, test.brain
    try:
        with one_thread():
            if voxels is not None:
                mask = choose_voxels(a, **voxels, subject=trials.subject, latents=learn.latents)
                a, b = mask(a), mask(b)
            fitted = build_readout(readout, **options)
            fitted.fit(a, learn.latents, runs=learn.runs)
            predicted, belief = fitted.predict(b), fitted.posterior(b)
    except BciError as error:
        return {"refused": str(error)}
    return {
        "predicted": predicted.tolist(),
        "training_mean": learn.latents.mean(0, dtype=np.float64).tolist(),
        "coverage": {
            f"{level:.0%}": coverage(test.latents, belief.mean, belief.sd, level) for level in _LEVELS
        },
        "trained_on": len(learn),
        "seconds": clock.now() - began,
    }


def _system(
    config: ComparisonConfig, entry: Entry, trials: Trials, folds: list[dict[str, Any]]
) -> dict[str, Any]:
    """Score one readout over all folds together."""
    facts: dict[str, Any] = {"readout": entry.name, "options": dict(entry.options)}
    if refused := [fold["refused"] for fold in folds if "refused" in fold]:
        return facts | {"refused": refused[0]}
    predicted = _in_order(trials, [np.array(fold["predicted"]) for fold in folds])
    if not np.isfinite(predicted).all():
        raise DataError(
            f"expected finite predictions of the readout {entry.title or entry.name!r}, came "
            "others. Regularise it more."
        )
    return facts | {
        "rows": _rows(config, trials, predicted),
        "r_squared_after_best_scalar": scaled_r_squared(trials.latents, predicted),
        "collapse": str(diagnose(trials.latents, predicted)),
        "coverage": {
            level: float(np.average([fold["coverage"][level] for fold in folds], weights=_sizes(trials)))
            for level in folds[0]["coverage"]
        },
        "seconds": float(sum(fold["seconds"] for fold in folds)),
        "trained_on": [fold["trained_on"] for fold in folds],
    }


def _in_order(trials: Trials, parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Put the predictions of all folds, by run, into the order of the trials."""
    predicted = np.empty((len(trials), parts[0].shape[1]))
    for run, part in zip(np.unique(trials.runs), parts, strict=True):
        predicted[trials.runs == run] = part
    return predicted


def _sizes(trials: Trials) -> list[int]:
    """Return how many trials each fold tests, by run."""
    return [int(np.count_nonzero(trials.runs == run)) for run in np.unique(trials.runs)]


def _rows(config: ComparisonConfig, trials: Trials, predicted: NDArray[Any]) -> list[dict[str, Any]]:
    rows = latent_rows(
        {"read": predicted},
        trials.latents,
        averaged="single trials",
        rng=np.random.default_rng(config.seed),
        ways=(min(config.candidates, len(trials)),),
        permutations=config.permutations,
        resamples=config.permutations,
    )
    return [asdict(row) | {"baselines": dict(row.baselines)} for row in rows]


def _baselines(config: ComparisonConfig, trials: Trials) -> dict[str, list[dict[str, Any]]]:
    """Score what knows nothing of the trial: the training mean of each fold, and random latents."""
    random = np.random.default_rng([config.seed, 8])
    mean = _in_order(
        trials,
        [np.broadcast_to(learn.latents.mean(0), test.latents.shape) for learn, test in trials.folds()],
    )
    guessed = random.standard_normal(trials.latents.shape)
    return {"training mean": _rows(config, trials, mean), "random latents": _rows(config, trials, guessed)}


def oracle(
    config: ComparisonConfig, source: HyperConfig, trials: Trials, pictures: NDArray[np.uint8]
) -> dict[str, Any]:
    """Identify some of the trials by the exact likelihood of as many candidates as the readouts have.

    Returns
    -------
    dict
        ``two_way``, ``n_way``, ``candidates``, ``trials``; empty where it was not asked.
    """
    asked = min(config.oracle_trials, len(trials))
    candidates = min(config.candidates, len(trials))
    if not asked:
        return {}
    random = np.random.default_rng([config.seed, 9])
    participant = participant_of(source, pictures[: min(32, source.trials.train)], TRAINING)
    assert isinstance(participant, VoxelParticipant | ElectrodeParticipant)
    shown = np.arange(source.trials.train)
    answered = respond(
        participant, pictures[shown], onsets_of(source, len(shown)), seconds=source.trials.stimulus_s
    )
    scores = []
    for trial in np.sort(random.choice(trials.shown, asked, replace=False)):
        others = random.choice(np.setdiff1d(trials.shown, [trial]), candidates - 1, replace=False)
        among = pictures[[trial, *others]]
        scores.append(likelihoods(participant, answered, int(trial), among))
    return dict(identify_exactly(np.stack(scores), np.zeros(asked, int))) | {"trials": asked}

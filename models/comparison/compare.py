"""The comparison of readouts: one data set, folds by run, one metric set, every row beside baselines and the oracle.

Every picture is shown once, so no fold's test pictures are learned from; voxels, scaling, regularisation and rank are
fitted inside the fold. A unit is one readout on one fold (`models.units`). The predictions of all folds together are
scored, a picture a trial, with permutations and resamples; that is a unit for each row.
"""

from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import BciError, ConfigError, DataError
from bci.io.files.folder import plain
from bci.memory.lsl_clock import LslClock
from bci.sim.oracle import identify
from bci.sim.threads import one_thread
from models.comparison.page import write_comparison
from models.comparison.settings import ComparisonConfig, Entry, load_comparison
from models.datasets.comparable import ComparableTrials
from models.datasets.trials import Trials
from models.metrics.calibration import coverage
from models.metrics.latents import scaled_r_squared
from models.metrics.table import latent_rows
from models.provenance import digest, versions
from models.readouts.collapse import diagnose
from models.readouts.family import build_readout
from models.readouts.settings import VoxelSettings
from models.readouts.voxels import choose_voxels
from models.systems.registry import system_of_file
from models.units import Unit, run_units

Progress = Callable[[float, str], None]
Floats = NDArray[np.float64]

#: Shares of the truth that a readout's intervals should hold.
_LEVELS = (0.5, 0.9)

#: Baselines that are scored beside the readouts.
_GUESSES = ("training mean", "random latents")

#: Libraries that a result may depend on beside data and settings.
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
        Folder of ``index.html``, ``report.json``, and of what a run that was killed goes on from: ``units``, one file a
        readout and fold, and ``scores``, one a row.
    jobs, cluster
        As of `models.units.run_units`.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Returns
    -------
    dict
        ``systems`` (for each its rows and its time), ``baselines``, ``oracle``, ``test``, ``ceiling``.

    Raises
    ------
    ConfigError
        If a file cannot be used, or the cluster is not there.
    DataError
        If the trials cannot be split, or a readout gives no finite prediction.
    """
    say = progress or (lambda done, text: None)
    config = load_comparison(path)
    system = system_of_file(config.data)
    if system.comparable is None:
        raise ConfigError(
            f"{config.data}: expected a training file whose trials can be compared on, came one of kind "
            f"{system.kind!r}, whose trials are not in runs or have no latents. Name another in data."
        )
    for entry in config.readouts:
        build_readout(entry.name, **entry.options)  # a misspelt one is refused before hours of work
    say(0.0, "gathering training trials")
    source = system.comparable(config.data)
    trials = _some(config, source.trials)
    data = digest(trials.brain, trials.latents, trials.runs)
    runs = [int(run) for run in np.unique(trials.runs)]
    units = [
        _unit(entry, config.voxels or source.voxels, run, data) for entry in config.readouts for run in runs
    ]
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
    by_entry = [results[k : k + len(runs)] for k in range(0, len(results), len(runs))]
    folds = {entry.title or entry.name: found for entry, found in zip(config.readouts, by_entry, strict=True)}
    predicted = {title: _predicted(trials, found) for title, found in folds.items() if not _refused(found)}
    scored = _scored(config, trials, predicted, _guesses(config, trials), out / "scores", jobs, cluster)
    report = {
        "name": config.name,
        "simulated": trials.simulated,
        "data": {"file": config.data.name, "sha256": data, "snr": source.snr},
        "test": {
            "pictures": len(trials),
            "trials": len(trials),
            "folds": len(runs),
            "averaged": "single trials, nothing averaged; a picture is shown once and is in no other fold",
        },
        "systems": {
            title: _system(entry, trials, found, predicted.get(title), scored.get(f"readout {title}", []))
            for entry, (title, found) in zip(config.readouts, folds.items(), strict=True)
        },
        "baselines": {title: scored[f"baseline {title}"] for title in _GUESSES},
        "ceiling": "unknown: no stimulus was repeated",
        "versions": versions(_PACKAGES),
        "seed": config.seed,
    }
    say(0.95, "asking the oracle")
    report["oracle"] = oracle(config, source, trials)
    ready: dict[str, Any] = plain(report)
    ready["page"] = str(write_comparison(out, ready))
    return ready


def _some(config: ComparisonConfig, trials: Trials) -> Trials:
    """Return at most the configured number of trials, evenly over the session."""
    if config.trials is None:
        return trials
    if config.trials > len(trials):
        raise DataError(
            f"expected at most the {len(trials)} training trials of {config.data.name}, came trials = "
            f"{config.trials}. Ask for fewer."
        )
    return trials.select(np.unique(np.linspace(0, len(trials) - 1, config.trials).round().astype(int)))


def _unit(entry: Entry, voxels: VoxelSettings | None, run: int, data: str) -> Unit:
    inputs = {
        "data": data,
        "readout": entry.name,
        "options": dict(entry.options),
        "voxels": None if voxels is None else voxels.model_dump(),
        "run": run,
        "versions": _built(),
    }
    return Unit(f"{entry.title or entry.name}, run {run} held out", inputs)


def _built() -> dict[str, str]:
    return {name: version(name) for name in (*_PACKAGES, "closed-loop-bci")}


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
        Number of voxels chosen inside the fold, and the criterion.
    run : int
        Held out.
    data, versions
        Values that the result depends on; they name the unit.

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


def _refused(folds: list[dict[str, Any]]) -> list[str]:
    """Return why a readout could not be fitted, of each fold where it could not."""
    return [fold["refused"] for fold in folds if "refused" in fold]


def _predicted(trials: Trials, folds: list[dict[str, Any]]) -> Floats:
    return _in_order(trials, [np.array(fold["predicted"]) for fold in folds])


def _system(
    entry: Entry,
    trials: Trials,
    folds: list[dict[str, Any]],
    predicted: Floats | None,
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    """Describe one readout over all folds together; without predictions, why there are none."""
    facts: dict[str, Any] = {"readout": entry.name, "options": dict(entry.options)}
    if predicted is None:
        return facts | {"refused": _refused(folds)[0]}
    return facts | {
        "rows": rows,
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


def _scored(
    config: ComparisonConfig,
    trials: Trials,
    predicted: dict[str, Floats],
    guesses: dict[str, Floats],
    folder: Path,
    jobs: int,
    cluster: str | None,
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each readout and baseline, a unit each, by ``readout`` or ``baseline`` and title."""
    for title, values in predicted.items():
        if not np.isfinite(values).all():
            raise DataError(
                f"expected finite predictions of the readout {title!r}, came others. Regularise it more."
            )
    read = {f"readout {title}": values for title, values in predicted.items()}
    read |= {f"baseline {title}": values for title, values in guesses.items()}
    common = {
        "truth": digest(trials.latents),
        "ways": min(config.candidates, len(trials)),
        "permutations": config.permutations,
        "seed": config.seed,
        "versions": _built(),
    }
    units = [
        Unit(f"{row}: scores", {"row": row, "values": digest(values), **common})
        for row, values in read.items()
    ]
    given = {"predicted": read, "latents": trials.latents}
    found = run_units(units, score_row, folder, given=given, jobs=jobs, cluster=cluster)
    return {row: one["rows"] for row, one in zip(read, found, strict=True)}


def score_row(
    *,
    row: str,
    values: str,
    truth: str,
    ways: int,
    permutations: int,
    seed: int,
    versions: dict[str, str],
    predicted: dict[str, Floats],
    latents: NDArray[Any],
) -> dict[str, Any]:
    """Score one readout's or baseline's predictions, with permutations and resamples.

    Parameters
    ----------
    row : str
        Its key in `predicted`.
    values, truth, versions
        Hashes and versions that the result depends on; they name the unit.
    ways, permutations, seed : int
        Candidates of an identification, permutations and resamples, and the seed of both.
    predicted : dict of str to (n, d)
        Of all rows.
    latents : (n, d)
        The truth.

    Returns
    -------
    dict
        ``rows``, as of `models.metrics.table.latent_rows`.
    """
    with one_thread():
        rows = latent_rows(
            {"read": predicted[row]},
            latents,
            averaged="single trials",
            rng=np.random.default_rng(seed),
            ways=(ways,),
            permutations=permutations,
            resamples=permutations,
        )
    return {"rows": [asdict(one) | {"baselines": dict(one.baselines)} for one in rows]}


def _guesses(config: ComparisonConfig, trials: Trials) -> dict[str, Floats]:
    """Return baselines that do not use the trial, `_GUESSES`: the training mean of each fold, and random latents."""
    random = np.random.default_rng([config.seed, 8])
    mean = _in_order(
        trials,
        [np.broadcast_to(learn.latents.mean(0), test.latents.shape) for learn, test in trials.folds()],
    )
    return dict(zip(_GUESSES, (mean, random.standard_normal(trials.latents.shape)), strict=True))


def oracle(config: ComparisonConfig, source: ComparableTrials, trials: Trials) -> dict[str, Any]:
    """Identify some of the trials by the exact likelihood of as many candidates as the readouts have.

    Returns
    -------
    dict
        ``two_way``, ``n_way``, ``candidates``, ``trials``; empty where it was not asked, or there is none.
    """
    asked = min(config.oracle_trials, len(trials))
    candidates = min(config.candidates, len(trials))
    if not asked or source.likelihoods is None:
        return {}
    random = np.random.default_rng([config.seed, 9])
    scores = []
    for stimulus in np.sort(random.choice(trials.shown, asked, replace=False)):
        others = random.choice(np.setdiff1d(trials.shown, [stimulus]), candidates - 1, replace=False)
        scores.append(source.likelihoods(int(stimulus), np.array([stimulus, *others])))
    return dict(identify(np.stack(scores), np.zeros(asked, int))) | {"trials": asked}

"""A report on a number: what is read of windows held out, beside the true one and beside the number shifted in time."""

from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import draw_readings
from bci.io.files.folder import plain
from bci.io.files.page import escape, facts, header
from models.datasets.recordings import require_trained_on
from models.reports.decoded import Decoded
from models.reports.writing import write_report
from models.systems.numbers.figures import called, course
from models.systems.numbers.own_data import root_of
from models.systems.numbers.readout import cross_predict
from models.systems.numbers.settings import NumbersConfig, parse_numbers
from models.systems.numbers.train import score
from models.systems.numbers.trials import Fold, NumberTrials, contiguous_folds, cut_windows
from models.systems.saving import settings_of
from models.systems.system import Progress

#: Levels of the number that stand for pictures in a comparison.
_LEVELS = 4


def open_trials(bundle: Bundle, data_root: Path | None) -> tuple[NumbersConfig, NumberTrials, list[Fold]]:
    """Cut the windows again that a bundle was trained on.

    Raises
    ------
    BundleError
        If the bundle does not say how it was trained.
    RecordingError
        If a recording is missing, or is not the one that it was trained on.
    """
    config = parse_numbers(*settings_of(bundle, "numbers"))
    trials = cut_windows(config, root_of(config, data_root))
    require_trained_on(bundle, trials.data)
    return config, trials, contiguous_folds(trials, np.arange(len(trials)), config.folds)


def cross_predicted(bundle: Bundle, data_root: Path | None) -> Decoded:
    """Return each window as it is read without its fold; its picture is that of the middle of its quarter."""
    config, trials, folds = open_trials(bundle, data_root)
    predicted = cross_predict(trials, folds, config.readout)
    edges = np.quantile(trials.values, np.linspace(0, 1, _LEVELS + 1)[1:-1])
    which = np.searchsorted(edges, trials.values)
    levels = np.array([trials.values[which == one].mean() for one in range(_LEVELS)], np.float32)[:, None]
    seen = draw_readings(bundle, levels)
    read = predicted.astype(np.float32)[:, None]
    return Decoded(
        names=tuple(f"{level:.3g}" for level in levels[:, 0]),
        latents=levels,
        seen=seen,
        predicted=read,
        which=which,
        # Scores of a bundle are any JSON; this one is a number.
        confidence=np.full(len(trials), max(0.0, float(bundle.spec.scores.get("r2", 0.0) or 0.0))),  # type: ignore[arg-type]
        averaged=np.stack([read[which == one].mean(axis=0) for one in range(_LEVELS)]),
        how="mean of all windows of a quarter",
        mean_picture=seen.mean(axis=0) / 255,
        mean_of="the quarters",
        simulated=False,
    )


def evaluate(bundle: Bundle, out: Path, data_root: Path | None, progress: Progress) -> dict[str, Any]:
    """Score a bundle's readout on folds that it did not see, and write the page.

    Parameters
    ----------
    bundle : Bundle
        Of this system.
    out : Path
        Folder of ``index.html`` and ``report.json``.
    data_root : Path or None
        Folder that recordings' paths start from.
    progress : callable
        Takes the share done, 0 to 1, and a line of text.

    Returns
    -------
    dict
        What `models.systems.numbers.train.score` returns; ``as_stated``, whether the bundle states the same
        correlation; ``page``.
    """
    progress(0.0, "cutting windows")
    config, trials, folds = open_trials(bundle, data_root)
    progress(0.2, "scoring, beside the number shifted in time")
    scores = score(config, trials, folds)
    predicted = cross_predict(trials, folds, config.readout)
    stated = bundle.spec.scores.get("r")
    report: dict[str, Any] = plain(
        {
            **scores,
            "bundle": bundle.name,
            "hash": bundle.hash,
            "as_stated": isinstance(stated, float) and abs(stated - scores["r"]) < 1e-9,
        }
    )
    low, _, high = report["shifted"]
    informed = report["r"] > high
    name = called(config)
    listed = [
        ("Recordings", ", ".join(trials.data)),
        ("Windows", str(len(trials))),
        (
            "Folds",
            f"{config.folds} contiguous parts; windows that share a sample with a scored one were not fitted on",
        ),
        ("Share of the variance read", f"{report['r2']:.3f}"),
        ("Penalties chosen", ", ".join(f"{penalty:g}" for penalty in report["penalties"])),
        ("Left out", ", ".join(f"{n} {why}" for why, n in sorted(report["left_out"].items())) or "none"),
        ("Hash", report["hash"]),
    ]
    parts = [
        header("Report on a decoder", bundle.name, bundle.spec.title or f"hash {bundle.hash}"),
        f'<section class="verdict {"passed" if informed else "void"}"><strong>'
        f"{'The number is read' if informed else 'No information'}</strong><p>Correlation {report['r']:.3f} of what is "
        f"read with {escape(name)}, each window without its fold; with the number shifted in time {low:.3f} to "
        f"{high:.3f}, p {report['p']:.4f}.</p></section>",
        "<h2>What is read, beside the true number</h2>" + course(config, trials, predicted),
        "<h2>What was tested</h2>" + facts(listed),
    ]
    page = write_report(out, f"Report: {bundle.name}", parts, report)
    progress(1.0, "done")
    return report | {"page": str(page)}

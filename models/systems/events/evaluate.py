"""A report on classes of events: what single trials and averages tell, beside shuffled classes, and mean responses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import draw_readings
from bci.io.files.folder import plain
from bci.io.files.page import escape, facts, header, table
from models.datasets.recordings import require_trained_on
from models.reports.charts import GREY, Line, chart
from models.reports.decoded import Decoded
from models.reports.writing import write_report
from models.systems.events.figures import mean_responses
from models.systems.events.folds import Fold, folds_of
from models.systems.events.own_data import root_of
from models.systems.events.readout import softmax
from models.systems.events.scoring import predict, score
from models.systems.events.settings import EventsConfig, parse_events
from models.systems.events.trials import EventTrials, cut_trials
from models.systems.saving import settings_of
from models.systems.system import Progress


def open_trials(bundle: Bundle, data_root: Path | None) -> tuple[EventsConfig, EventTrials, list[Fold]]:
    """Cut the epochs again that a bundle was trained on.

    Raises
    ------
    BundleError
        If the bundle does not say how it was trained.
    RecordingError
        If a recording is missing, or is not the one that it was trained on.
    """
    config = parse_events(*settings_of(bundle, "events"))
    trials = cut_trials(config, root_of(config, data_root))
    require_trained_on(bundle, trials.data)
    return config, trials, list(folds_of(config, trials))


def cross_predicted(bundle: Bundle, data_root: Path | None) -> Decoded:
    """Return each epoch as it is read without its fold; its picture is that of its class alone."""
    config, trials, folds = open_trials(bundle, data_root)
    predicted = predict(config, trials, folds)
    pure = np.eye(len(config.labels), dtype=np.float32)
    seen = draw_readings(bundle, pure)
    probabilities = softmax(predicted.scores).astype(np.float32)
    return Decoded(
        names=config.labels,
        latents=pure,
        seen=seen,
        predicted=probabilities,
        which=trials.classes,
        confidence=probabilities.max(axis=1).astype(np.float64),
        averaged=np.stack([probabilities[trials.classes == one].mean(axis=0) for one in range(len(pure))]),
        how="mean of all trials of a class",
        mean_picture=seen.mean(axis=0) / 255,
        mean_of="the classes",
        simulated=trials.simulated,
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
        What `models.systems.events.scoring.score` returns; ``as_stated``, whether the bundle states the same area under
        the curve; ``page``.
    """
    progress(0.0, "cutting epochs")
    config, trials, folds = open_trials(bundle, data_root)
    progress(0.2, "scoring, beside shuffled classes")
    scores = score(config, trials, folds)
    stated = bundle.spec.scores.get("auc")
    report: dict[str, Any] = plain(
        {
            **scores,
            "bundle": bundle.name,
            "hash": bundle.hash,
            "simulated": trials.simulated,
            "as_stated": isinstance(stated, float) and abs(stated - scores["auc"]) < 1e-9,
        }
    )
    parts = [
        header("Report on a decoder", bundle.name, bundle.spec.title or f"hash {bundle.hash}"),
        '<p class="notice">The participant is simulated. Nothing on this page is a measurement of a brain.</p>'
        if trials.simulated
        else "",
        _verdict(report),
        _averages(report),
        mean_responses(config, trials),
        _tested(config, report, trials),
    ]
    page = write_report(out, f"Report: {bundle.name}", parts, report)
    progress(1.0, "done")
    return report | {"page": str(page)}


def _verdict(report: Mapping[str, Any]) -> str:
    low, _, high = report["shuffled"]
    informed = report["auc"] > high
    said = "Single trials tell the classes apart" if informed else "No information"
    folds = ", ".join(f"{value:.3f}" for value in report["auc_folds"])
    return (
        f'<section class="verdict {"passed" if informed else "void"}"><strong>{said}</strong>'
        f"<p>Area under the curve {report['auc']:.3f}, the mean of folds that the readout did not see ({folds}); with "
        f"shuffled classes {low:.3f} to {high:.3f}, p {report['p']:.4f}.</p></section>"
    )


def _averages(report: Mapping[str, Any]) -> str:
    rows = report["averaged"]
    places = [int(n) for n in rows if np.isfinite(rows[n]["auc"])]
    values = [rows[str(n)] for n in places]
    lines = [
        Line("cross-predicted", places, [row["auc"] for row in values]),
        Line(
            "shuffled classes, middle 95 %", places, [row["shuffled"][1] for row in values], GREY,
            [row["shuffled"][0] for row in values], [row["shuffled"][2] for row in values], dashed=True,
        ),
    ]  # fmt: skip
    return "<h2>Averages of trials</h2>" + chart(
        lines, title="Area under the curve", x_label="consecutive trials of one class, averaged", y_range=(0.3, 1.0),
        size=(560, 280),
    )  # fmt: skip


def _tested(config: EventsConfig, report: Mapping[str, Any], trials: EventTrials) -> str:
    rows = [
        (escape(label), str(report["trials"][label]), escape(config.classes[label]))
        for label in config.labels
    ]
    left = ", ".join(f"{n} {why}" for why, n in sorted(report["left_out"].items())) or "none"
    way = "each recording" if config.folds == "recordings" else f"{config.folds} contiguous parts"
    listed: list[tuple[str, str]] = [
        ("Recordings", ", ".join(trials.data)),
        ("Folds", f"{way}; epochs that share a sample with a scored one were not fitted on"),
        ("Balanced accuracy", f"{report['balanced_accuracy']:.1%} (guessing {1 / len(config.labels):.1%})"),
        ("All trials ranked together", f"area under the curve {report['auc_together']:.3f}"),
        ("Left out", left),
        ("Hash", report["hash"]),
    ]
    return "<h2>What was tested</h2>" + table(("class", "trials", "markers"), rows, (1,)) + facts(listed)

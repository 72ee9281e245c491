"""A report on a rhythm: what is read of windows held out, beside the true one and beside the rhythm shifted in time."""

from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import draw_readings
from bci.io.files.folder import plain
from bci.io.files.page import escape, facts, header
from models.datasets.recordings import require_trained_on
from models.reports.charts import GREY, TEAL, Line, chart
from models.reports.decoded import Decoded
from models.reports.writing import write_report
from models.settings import find_data_root
from models.systems.numbers.trials import Fold, contiguous_folds
from models.systems.rhythm.readout import cross_predict_rhythm
from models.systems.rhythm.scoring import score_rhythm
from models.systems.rhythm.settings import RhythmConfig, load_rhythm, parse_rhythm
from models.systems.rhythm.trials import Analytic, RhythmTrials, cut_rhythm
from models.systems.saving import settings_of
from models.systems.system import FoundData, Progress

#: Sectors of the circle that stand for pictures in a comparison.
_SECTORS = 4
#: Windows that a chart shows.
_SHOWN = 250


def open_rhythm(bundle: Bundle, data_root: Path | None) -> tuple[RhythmConfig, RhythmTrials, list[Fold]]:
    """Cut the windows again that a bundle was trained on.

    Raises
    ------
    BundleError
        If the bundle does not say how it was trained.
    RecordingError
        If a recording is missing, or is not the one that it was trained on.
    """
    config = parse_rhythm(*settings_of(bundle, "rhythm"))
    trials = cut_rhythm(config, find_data_root(data_root))
    require_trained_on(bundle, trials.cut.data)
    return config, trials, contiguous_folds(trials.cut, np.arange(len(trials)), config.folds)


def cross_predicted_phases(bundle: Bundle, data_root: Path | None) -> Decoded:
    """Return each window as it is read without its fold; its picture is that of the middle of its quarter of a cycle.

    What is compared is the point of the complex plane, which has no jump at half a cycle.
    """
    _, trials, folds = open_rhythm(bundle, data_root)
    penalties: Any = bundle.spec.scores["penalties"]
    read = cross_predict_rhythm(trials, folds, penalties)
    which = np.floor((np.angle(trials.analytic) / (2 * np.pi) * _SECTORS) + 0.5).astype(int) % _SECTORS
    middles = np.array([trials.analytic[which == one].mean() for one in range(_SECTORS)])
    values = np.stack([np.angle(middles), np.abs(middles) ** 2], axis=1).astype(np.float32)
    seen = draw_readings(bundle, values)
    return Decoded(
        names=tuple(f"{360 // _SECTORS * one}°" for one in range(_SECTORS)),
        latents=_points(middles),
        seen=seen,
        predicted=_points(read),
        which=which,
        # Scores of a bundle are any JSON; this one is a number.
        confidence=np.full(len(trials), max(0.0, float(bundle.spec.scores["explained"]))),  # type: ignore[arg-type]
        averaged=np.stack([_points(read[which == one]).mean(axis=0) for one in range(_SECTORS)]),
        how="mean of all windows of a quarter of a cycle",
        mean_picture=seen.mean(axis=0) / 255,
        mean_of="the quarters",
        simulated=False,
    )


def _points(values: Analytic) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.stack([values.real, values.imag], axis=1).astype(np.float32)


def evaluate_rhythm(bundle: Bundle, out: Path, data_root: Path | None, progress: Progress) -> dict[str, Any]:
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
        What `models.systems.rhythm.scoring.score_rhythm` returns; ``as_stated``, whether the bundle states the same
        phase locking value; ``page``.
    """
    progress(0.0, "cutting windows")
    config, trials, folds = open_rhythm(bundle, data_root)
    progress(0.2, "scoring, beside the rhythm shifted in time")
    scores, read = score_rhythm(config, trials, folds)
    stated = bundle.spec.scores.get("phase_locking")
    report: dict[str, Any] = plain(
        {
            **scores,
            "bundle": bundle.name,
            "hash": bundle.hash,
            "as_stated": isinstance(stated, float) and abs(stated - scores["phase_locking"]) < 1e-9,
        }
    )
    low, _, high = report["shifted"]
    informed = report["phase_locking"] > high
    listed = [
        ("Recordings", ", ".join(trials.cut.data)),
        ("Windows", str(len(trials))),
        (
            "Folds",
            f"{config.folds} contiguous parts; no window shares a sample with one that it is scored beside",
        ),
        (
            "Phase error, median",
            f"{report['error_deg']:.1f}°; in the stronger half {report['error_strong_deg']:.1f}°",
        ),
        ("Phase read is ahead by", f"{report['lag_deg']:+.1f}° on average"),
        *_beside(report),
        ("Power", f"correlation of the logarithms {report['r_power']:.3f}"),
        ("Share of the analytic signal read", f"{report['explained']:.3f}"),
        ("Penalties chosen", ", ".join(f"{penalty:g}" for penalty in report["penalties"])),
        ("Left out", ", ".join(f"{n} {why}" for why, n in sorted(report["left_out"].items())) or "none"),
        ("Hash", report["hash"]),
    ]
    parts = [
        header("Report on a decoder", bundle.name, bundle.spec.title or f"hash {bundle.hash}"),
        f'<section class="verdict {"passed" if informed else "void"}"><strong>'
        f"{'The phase is read' if informed else 'No information'}</strong><p>Phase locking "
        f"{report['phase_locking']:.3f} of what is read with {escape(config.target.name)} in "
        f"{escape(config.target.channel)}, each window without its fold; with the rhythm shifted in time {low:.3f} to "
        f"{high:.3f}, p {report['p']:.4f}.</p></section>",
        "<h2>What is read, beside the true rhythm</h2>" + course_of_rhythm(config, trials, read),
        "<h2>What was tested</h2>" + facts(listed),
    ]
    page = write_report(out, f"Report: {bundle.name}", parts, report)
    progress(1.0, "done")
    return report | {"page": str(page)}


def _beside(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Say what the window alone gives, where the rhythm is in a channel that is read."""
    alone = report["untrained"]
    if alone is None:
        return []
    said = f"phase locking {alone['phase_locking']:.3f}, ahead by {alone['lag_deg']:+.1f}° on average"
    return [("Untrained: endpoint-corrected Hilbert transform of each window", said)]


def course_of_rhythm(config: RhythmConfig, trials: RhythmTrials, read: Analytic | None = None) -> str:
    """Draw the filtered signal of the first windows, and what was read of each, (n,), where it is given."""
    own = np.flatnonzero(trials.cut.run == trials.cut.run[0])[:_SHOWN]
    seconds = (trials.cut.end[own] / trials.cut.signal.rate).tolist()
    lines = [Line("true, needs the future", seconds, trials.analytic[own].real.tolist(), GREY, dots=False)]
    if read is not None:
        lines.append(Line("read from the past", seconds, read[own].real.tolist(), TEAL, dots=False))
    name = f"{config.target.name} ({config.signal.unit})"
    return chart(lines, title=name, x_label="seconds of the recording", y_label=name, size=(760, 300))


def find_rhythm(path: Path, data_root: Path | None) -> FoundData:
    """Cut the windows of every recording, and count them.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    RecordingError
        If a recording cannot be used, or there are too few windows.
    """
    config = load_rhythm(path)
    trials = cut_rhythm(config, find_data_root(data_root))
    rows = []
    for run, name in enumerate(trials.cut.data):
        amplitudes = np.abs(trials.analytic[trials.cut.run == run])
        found = np.quantile(amplitudes, [0.05, 0.5, 0.95]) if len(amplitudes) else np.full(3, np.nan)
        rows.append((name, len(amplitudes), *(f"{one:.3g}" for one in found)))
    unit = config.signal.unit
    return FoundData(
        columns=("recording", "windows", f"amplitude ({unit}), 5 %", "median", "95 %"),
        rows=tuple(rows),
        left_out=dict(trials.left_out),
        defects=trials.cut.defects,
        figure=course_of_rhythm(config, trials),
    )

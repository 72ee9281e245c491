"""The page of a report on a decoder of two states: headline, pictures, curves and table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bci.io.files.page import escape, facts, header, inline, table
from models.reports.figures import p_value
from models.reports.writing import write_report

#: Area under the curve of a decoder that tells states apart well; where shuffled blocks reach it, nothing is told.
_GOOD = 0.9

_CAPTIONS = {
    "latent.png": "The latent over the held-out part of each run.",
    "roc.png": "Beside the baseline that needs no fit: one band's power.",
    "reliability.png": "Stated probability against the share that was right.",
}


def write_states_report(out: Path, report: Mapping[str, Any], title: str) -> Path:
    """Write the page beside the figures, and ``report.json``; return the page's path.

    Parameters
    ----------
    out : Path
        Where the figures lie that ``report["figures"]`` names.
    report : mapping
        As `models.systems.alpha.evaluate.evaluate` returns it.
    title : str
        Of the bundle, for people.
    """
    parts = [
        header("Report on a decoder", str(report["bundle"]), title),
        _verdict(report),
        _pictures(out, report["figures"]),
        _curves(out, report["figures"]),
        _metrics(report),
        _tested(report),
    ]
    return write_report(out, f"Report: {report['bundle']}", parts, report)


def headline(report: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the headline: whether the two states are told apart better than chance."""
    auc = report["auc"]
    informed = bool(auc["value"] > auc["shuffled_95th"])
    verdict = "Single windows tell the two states apart" if informed else "No information"
    if not informed and auc["shuffled_95th"] > _GOOD:
        verdict = "Too few blocks to tell"
    figures = f"AUC {auc['value']:.4f} (95 % of shuffled blocks stay below {auc['shuffled_95th']:.3f}, "
    return f"{verdict}: {figures}p {auc['p_shuffled']:.4f})", informed


def _verdict(report: Mapping[str, Any]) -> str:
    words, informed = headline(report)
    said, _, figures = words.partition(": ")
    test = report["test"]
    return (
        f'<section class="verdict {"passed" if informed else "void"}"><strong>{escape(said)}</strong>'
        f"<p>{escape(figures)}.</p><p>{test['scored']} held-out windows of {len(test['recordings'])} recordings, "
        f"{test['blocks']} blocks of {test['block_seconds']:g} s.</p></section>"
    )


def _pictures(out: Path, figures: Sequence[str]) -> str:
    if "pictures.png" not in figures:
        return ""
    shown = inline(
        (out / "pictures.png").read_bytes(), "What was decoded, beside the drawing of the true state"
    )
    return (
        f'<h2>True and decoded</h2><figure class="wide">{shown}<figcaption>A row a recording: the drawing of the '
        "true state, then decoded pictures at even times of the held-out part, none chosen.</figcaption></figure>"
    )


def _curves(out: Path, figures: Sequence[str]) -> str:
    drawn = [
        f'<figure class="wide">{inline((out / name).read_bytes(), words)}<figcaption>{words}</figcaption></figure>'
        for name, words in _CAPTIONS.items()
        if name in figures
    ]
    return f'<h2>Curves</h2>{drawn[0]}<div class="two">{"".join(drawn[1:])}</div>' if drawn else ""


def _metrics(report: Mapping[str, Any]) -> str:
    auc, balanced, brier = report["auc"], report["balanced_accuracy"], report["brier"]
    loss, latent, shown, calibrated = (
        report["log_loss"],
        report["latent"],
        report["picture"],
        report["calibration"],
    )
    constant = "always the same answer"
    rows = [
        _row("AUC", auc, f"chance .500, shuffled {auc['shuffled_mean']:.3f}, one band without a fit "
             f"{auc['one_band_without_fit']:.3f}", auc["p_shuffled"]),
        _row("accuracy", report["accuracy"], f"the commoner state {report['accuracy']['majority']:.3f}"),
        _row("balanced accuracy", balanced, f"chance .500, shuffled {balanced['shuffled_mean']:.3f}",
             balanced["p_shuffled"]),
        _row("Brier score, lower is better", brier, f"{constant} {brier['constant']:.3f}"),
        _row("log loss, lower is better", loss, f"{constant} {loss['constant']:.3f}"),
        _row("latent, mean absolute error", {"value": latent["mean_absolute_error"]},
             f"mean latent {latent['mean_latent']:.3f}"),
        _row("picture, mean absolute error", {"value": shown["mean_absolute_error"]},
             f"mean picture {shown['mean_picture']:.3f}, shuffled {shown['shuffled_mean']:.3f}"),
        _row("expected calibration error", {"value": calibrated["expected_error"]},
             f"always sure {calibrated['expected_error_of_always_sure']:.3f}"),
    ]  # fmt: skip
    return (
        "<h2>All metrics</h2>"
        + table(("", "score", "95 % interval", "beside it", "p"), rows, (1, 2, 4))
        + '<p class="legend">Intervals resample, and p exchanges, whole blocks of time: neighbouring windows are not '
        "independent.</p>"
    )


def _row(name: str, found: Mapping[str, Any], beside: str, p: float | None = None) -> list[str]:
    interval = found.get("interval_95")
    return [
        name,
        f"{found['value']:.4f}",
        f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "",
        beside,
        "" if p is None else p_value(p),
    ]


def _tested(report: Mapping[str, Any]) -> str:
    test = report["test"]
    rows = [
        ("Recordings", "; ".join(f"{label}: {path}" for path, label in test["recordings"].items())),
        ("Part", f"{test['part'][0]:g} to {test['part'][1]:g} of each, not trained on"),
        ("Averaged", test["averaged"]),
        ("Confidence", report["confidence"]["says"]),
        ("Noise ceiling", "unknown: a state lasts a whole run, nothing was repeated"),
        ("Decoder", f"hash {report['hash']}"),
    ]
    return "<h2>What was tested</h2>" + facts(rows)

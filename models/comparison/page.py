"""The page of a comparison shows all readouts in one table, with baselines and oracle."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bci.io.files.page import escape, facts, header, table
from models.reports.figures import between, number, p_value, share, spread
from models.reports.writing import write_report


def write_comparison(out: Path, report: Mapping[str, Any]) -> Path:
    """Write ``index.html`` and ``report.json``; return the page's path."""
    parts = [
        header("Comparison of readouts", str(report["name"]), f"Data: {report['data']['file']}"),
        _verdict(report),
        _table(report),
        _identification(report),
        _words(report),
        _tested(report),
    ]
    beside = "; every readout and fold below units"
    return write_report(out, f"Comparison: {report['name']}", parts, report, beside)


def metric(rows: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """Return the row of a metric; ``-way`` for the identification that is not two-way."""
    if name == "-way":
        several = [row for row in rows if "-way" in row["metric"]]
        return several[-1]
    return next(row for row in rows if row["metric"] == name)


def ranking(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the systems that could be fitted, the best cosine first."""
    fitted = [(name, results) for name, results in report["systems"].items() if "rows" in results]
    return sorted(fitted, key=lambda pair: _falling(metric(pair[1]["rows"], "cosine")["score"]))


def _falling(score: float | None) -> float:
    """Return a key that sorts the largest score first, and what has none last."""
    return math.inf if score is None or math.isnan(score) else -score


def _verdict(report: Mapping[str, Any]) -> str:
    best = ranking(report)
    if not best:
        return '<section class="verdict failed"><strong>No readout could be fitted</strong></section>'
    name, results = best[0]
    cosine, two = metric(results["rows"], "cosine"), metric(results["rows"], "2-way identification")
    informed = two["p"] is not None and two["p"] < 0.05
    headline = f"{name} reads best" if informed else "No information"
    return (
        f'<section class="verdict {"passed" if informed else "void"}"><strong>{escape(headline)}</strong>'
        f"<p>Cosine {number(cosine['score'])} ({spread(cosine)}), two-way "
        f"identification {share(two['score'])} ({between((two['low'], two['high']))}; chance 50 %).</p>"
        f"<p>{report['test']['trials']} single trials, each picture shown once; {report['test']['folds']} "
        "folds by run.</p>"
        "</section>"
        + (
            '<p class="notice">The participant is simulated. Nothing on this page is a measurement of a brain.</p>'
            if report["simulated"]
            else ""
        )
    )


def _table(report: Mapping[str, Any]) -> str:
    columns = ("cosine", "R²", "similarity 1/(1+MSE)", "pattern r")
    rows, fitted = [], ranking(report)
    levels = list(fitted[0][1]["coverage"]) if fitted else []
    for name, results in fitted:
        scored = [metric(results["rows"], column) for column in columns]
        rows.append(
            [
                escape(name),
                *(number(r["score"]) for r in scored[:1]),
                spread(scored[0]),
                number(scored[1]["score"]),
                number(results["r_squared_after_best_scalar"]),
                *(number(r["score"]) for r in scored[2:]),
                number(scored[0]["baselines"]["shuffled"]),
                p_value(scored[0]["p"]),
                *(share(results["coverage"][level], 0) for level in levels),
                f"{results['seconds']:.1f}",
            ]
        )
    for name, scored_rows in report["baselines"].items():
        scored = [metric(scored_rows, column) for column in columns]
        rows.append(
            [
                f"<em>{escape(name)}</em>",
                number(scored[0]["score"]),
                spread(scored[0]),
                number(scored[1]["score"]),
                "",
                *(number(r["score"]) for r in scored[2:]),
                *[""] * (3 + len(levels)),
            ]
        )
    head = (
        "readout",
        "cosine",
        "95 % interval",
        "R²",
        "R² after the best scalar",
        "similarity",
        "pattern r",
        "cosine, shuffled",
        "p",
        *levels,
        "seconds, all folds",
    )
    return (
        "<h2>Latents</h2>"
        + table(head, rows, range(1, len(head)))
        + '<p class="legend">Ordered by cosine on these very trials, so the first place is a '
        "little flattered. Intervals resample pictures; p exchanges pictures, one-sided. R² is "
        "about zero; the scalar is chosen on the test trials themselves: what a better size would bring at most. "
        "Columns of percents: how many of the latents lie in the readout's own intervals of that level.</p>"
    )


def _identification(report: Mapping[str, Any]) -> str:
    rows, ways = [], ""
    for name, results in ranking(report):
        two, several = metric(results["rows"], "2-way identification"), metric(results["rows"], "-way")
        ways = several["metric"].partition("-")[0]
        rows.append(
            [
                escape(name),
                share(two["score"]),
                between((two["low"], two["high"])),
                share(two["baselines"]["shuffled"]),
                share(several["score"]),
                between((several["low"], several["high"])),
                share(several["baselines"]["shuffled"]),
            ]
        )
    best = report["oracle"]
    if best:
        rows.append(["<em>oracle</em>", share(best["two_way"]), "", "", share(best["n_way"]), "", ""])
    rows.append(["<em>guessing</em>", share(0.5), "", "", share(1 / int(ways)) if ways else "", "", ""])
    head = ("readout", "of 2", "95 % interval", "shuffled", f"of {ways}", "95 % interval", "shuffled")
    legend = (
        f"The oracle knows the participant's own model and noise; it was asked about {best['trials']} of the trials, "
        f"among {best['candidates']:.0f} candidates. It is a bound for every decoder, not a decoder."
        if best
        else "No oracle was asked."
    )
    return f'<h2>Identification</h2>{table(head, rows, range(1, 7))}<p class="legend">{legend}</p>'


def _words(report: Mapping[str, Any]) -> str:
    rows = [
        (name, results.get("collapse") or f"not fitted: {results['refused']}")
        for name, results in report["systems"].items()
    ]
    return "<h2>Does it collapse?</h2>" + facts(rows)


def _data(report: Mapping[str, Any]) -> str:
    """Return the data's description: source, whether simulated, and the SNR of single trials where known."""
    data = report["data"]
    simulated = ", simulated" if report["simulated"] else ""
    snr = "" if data["snr"] is None else f", single-trial signal-to-noise ratio {data['snr']:g}"
    return f"{data['file']}{simulated}{snr}"


def _tested(report: Mapping[str, Any]) -> str:
    rows = [
        (
            "Data",
            _data(report),
        ),
        ("Hash of the data", report["data"]["sha256"]),
        (
            "Test items",
            f"{report['test']['pictures']} pictures, one trial of each, {report['test']['folds']} folds by run",
        ),
        ("Averaged", report["test"]["averaged"]),
        (
            "Fitted in the fold",
            "voxels, scaling, regularisation, rank: on runs that share no picture with the one held out",
        ),
        ("Noise ceiling", report["ceiling"]),
        ("Versions", ", ".join(f"{name} {number}" for name, number in report["versions"].items())),
    ]
    return "<h2>What was compared</h2>" + facts(rows)

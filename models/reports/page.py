"""The page of a report on latents read: headline, curves, tables, as one HTML file with nothing outside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bci.io.files.page import escape, facts, table
from models.reports.charts import GREY, OCHRE, PLUM, TEAL, Line, chart
from models.reports.decoded import SINGLE
from models.reports.figures import between, number, p_value, share, spread

_COLOURS = (TEAL, OCHRE)
_BASELINES = ["shuffled", "zero latent", "random latents", "mean picture"]


def verdict(report: Mapping[str, Any]) -> str:
    """Return the headline."""
    words, _, figures = str(report["headline"]).partition(": ")
    test = report["test"]
    kind = "passed" if report["informed"] else "void"
    notice = (
        '<p class="notice">The participant is simulated. Nothing on this page is a measurement of a brain.</p>'
        if report["simulated"]
        else ""
    )
    what = f"readings ({test['read_of']})" if "read_of" in test else SINGLE
    of = f"{test['trials']} {what} of {test['pictures']} pictures that the decoder was not trained on"
    first = escape(words[0].upper() + words[1:])
    figures = escape(figures[0].upper() + figures[1:])
    return f'<section class="verdict {kind}"><strong>{first}</strong><p>{figures}.</p><p>{of}.</p></section>{notice}'


def identification_section(
    report: Mapping[str, Any], more: Sequence[tuple[str, Mapping[str, Any]]] = ()
) -> str:
    """Return the table of identification, with further rows such as an oracle's.

    Parameters
    ----------
    report : mapping
        As `models.reports.scoring.score_decoded` returns it.
    more : sequence of (str, mapping)
        Name of the row; its ``two_way`` and ``n_way``, with chance and p where known.
    """
    k = report["test"]["pictures"]
    rows = [
        [
            escape(name),
            share(scores["two_way"]),
            between(scores.get("two_way_chance")),
            share(scores["n_way"]),
            between(scores.get("n_way_chance")),
            p_value(scores.get("two_way_p")),
        ]
        for name, scores in (*report["identification"].items(), *more)
    ]
    rows.append(["guessing", share(0.5), "", share(1 / k), "", ""])
    head = ("", "told from one other", "95 % of chance", f"picked out of {k}", "95 % of chance", "p")
    return (
        "<h2>Which picture was seen?</h2>"
        + table(head, rows, range(1, 6))
        + '<p class="legend">What was read is compared with the latents of all pictures shown, by correlation. '
        "Chance: whole pictures exchanged; pairs share pictures, so no binomial test would hold. p of the first "
        "column, one-sided.</p>"
    )


def curves_section(report: Mapping[str, Any], more: str = "") -> str:
    """Return identification against candidates, confidence against error, and a chart of the caller's."""
    lines = [
        Line(
            level,
            [p["ways"] for p in curve],
            [p["score"] for p in curve],
            colour,
            [p["low"] for p in curve],
            [p["high"] for p in curve],
        )
        for (level, curve), colour in zip(report["curves"].items(), _COLOURS, strict=False)
        if all(p["score"] is not None for p in curve)  # what was read held NaN
    ]
    first = next(iter(report["curves"].values()))
    chance = Line("chance", [p["ways"] for p in first], [p["chance"] for p in first], GREY, dashed=True)
    charts = [
        chart(
            [*lines, chance],
            title="Identification against the number of candidates",
            x_label="candidates",
            y_label="identified",
            y_range=(0.0, 1.0),
            x_log=True,
            percent=True,
        )
    ]
    confidence = report["confidence"]
    if confidence is None:
        note = "<p>Nothing can be said of confidence: none is stated, or what was read holds NaN.</p>"
    else:
        curve, bins = confidence["risk_coverage"], confidence["bins"]
        charts.append(
            chart(
                [
                    Line("most confident first", curve["coverage"], curve["risk"], TEAL, dots=False),
                    Line("order without meaning", [0.0, 1.0], [curve["chance"]] * 2, GREY, dashed=True),
                ],
                title="Risk and coverage",
                x_label="share of trials accepted",
                y_label="mean error (1 − cosine)",
            )
        )
        charts.append(
            chart(
                [Line("", [b["confidence"] for b in bins], [b["error"] for b in bins], PLUM)],
                title="Error against stated confidence",
                x_label=f"stated confidence, {len(bins)} equal parts of the trials",
                y_label="mean error (1 − cosine)",
            )
        )
        rho, p = confidence["rho"], confidence["p"]
        note = (
            "<p>All trials are equally sure: whether the confidence means something cannot be told.</p>"
            if rho is None
            else f"<p>Over pictures, confidence and error correlate with ρ = {rho:.2f} (one-sided p {p_value(p)}); "
            f"the area below the curve is {curve['area']:.3f}, {curve['best']:.3f} if errors were known, "
            f"{curve['chance']:.3f} if the order meant nothing.</p>"
        )
    even = len(charts) % 2 == 0 if not more else len(charts) % 2 == 1
    inside, below = ("", note) if even else (note, "")  # words fill the place that is left
    return f'<h2>Curves</h2><div class="two">{"".join(charts)}{more}{inside}</div>{below}'


def metrics_section(report: Mapping[str, Any]) -> str:
    """Return the table of every metric, each beside its baselines, a table for each kind of averaging."""
    parts = []
    for level, rows in _by_level(report["rows"]).items():
        if level.startswith("best possible") and all((row["score"] or 0.0) > 0.9995 for row in rows):
            continue  # the pictures were drawn by this very generator
        parts.append(f"<h3>{escape(level[0].upper() + level[1:])}</h3>{_metric_table(rows)}")
    networks = [
        [
            escape(row["metric"]),
            row["better"],
            escape(row["said"]) or number(row["score"]),
            ", ".join(f"{name} {number(value)}" for name, value in row["baselines"].items()),
        ]
        for row in report["networks"]
    ]
    asked = (
        "<h3>Scores that need a trained network</h3>"
        + table(("", "better", "score", "baselines"), networks, ())
        + '<p class="legend">Name the folder of the networks with --weights.</p>'
        if networks
        else ""
    )
    lost = "".join(f"<p>Not scored: {escape(words)}.</p>" for words in report["missing"])
    test = report["test"]
    return (
        "<h2>All metrics</h2>"
        + "".join(parts)
        + f'<p class="legend">n = {test["pictures"]} pictures, {_trials(test["repeats"])} of each. Intervals resample '
        "pictures, never trials of one picture; p exchanges whole pictures, one-sided; none where pairs are too many "
        "to score each with each. Similarity 1/(1+MSE) of a constant is .5 for standard normal latents: read it "
        "beside the zero latent.</p>" + lost + asked
    )


def _trials(repeats: str) -> str:
    return "1 trial" if repeats == "1" else f"{repeats} trials"


def _by_level(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    by_level: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        level = row["averaged"] if row["system"] == "read" else f"{row['system']}: {row['averaged']}"
        by_level.setdefault(level, []).append(row)
    return by_level


def _metric_table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = sorted({name for row in rows for name in row["baselines"]}, key=_BASELINES.index)
    lines = [
        [
            escape(row["metric"]),
            number(row["score"]),
            spread(row),
            "" if row["chance"] is None else f"{row['chance']:.3f}",
            *(number(row["baselines"][name]) if name in row["baselines"] else "" for name in names),
            p_value(row["p"]),
        ]
        for row in rows
    ]
    head = ("", "score", "95 % interval", "chance", *names, "p")
    return table(head, lines, range(1, len(head)))


def held_out_section(report: Mapping[str, Any], rows: Sequence[tuple[str, str]]) -> str:
    """Return what was tested, in facts; `rows` come first."""
    test = report["test"]
    rows_of_test = [
        *rows,
        ("Test items", f"{test['pictures']} pictures, {test['trials']} trials ({test['repeats']} of each)"),
        ("Averaged", "; ".join(test["averaged"])),
        ("Noise ceiling", f"of the responses: {report['ceiling']}"),
    ]
    return "<h2>What was tested</h2>" + facts(rows_of_test)

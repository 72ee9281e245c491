"""The page of a report on latents read: headline, pairs, curves, table, as one HTML file with nothing outside it."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.files.page import facts, picture, table
from models.metrics.identification import correlation_table
from models.reports.charts import GREY, OCHRE, PLUM, TEAL, Line, chart
from models.reports.decoded import Decoded

Draw = Callable[[NDArray[Any]], NDArray[np.uint8]]

_PER_ROW = 8

#: Pictures that differ by no more levels are not drawn twice.
_SAME = 2
_COLOURS = (TEAL, OCHRE)


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
    of = f"{test['trials']} single trials of {test['pictures']} pictures that the decoder was not trained on"
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
            "" if scores.get("two_way_p") is None else p_value(scores["two_way_p"]),
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


def pairs_section(decoded: Decoded, draw: Draw, seed: int = 0) -> str:
    """Return every picture beside its reconstruction, in the set's order, and reconstructions by guessing."""
    trial = np.array([np.flatnonzero(decoded.which == k)[0] for k in range(len(decoded.names))])
    ranks = _ranks(decoded)
    best = draw(decoded.latents)
    levels = int(np.abs(best.astype(int) - decoded.seen).max()) if best.shape == decoded.seen.shape else 255
    same = levels <= _SAME
    within = f"within {levels} of 256 levels" if levels else "to the bit"
    rows: list[tuple[str, NDArray[np.uint8], Sequence[str]]] = [
        ("seen", decoded.seen, ()),
        *([] if same else [("best possible: its latent, drawn", best, ())]),
        ("read, first single trial", draw(decoded.predicted[trial]), [_rank(ranks[t]) for t in trial]),
    ]
    if decoded.averaged is not None:
        order = _ranks_of(decoded.averaged, decoded.latents, np.arange(len(decoded.names)))
        rows.append((f"read, {decoded.how}", draw(decoded.averaged), [_rank(r) for r in order]))
    blocks = []
    bounds = [*range(0, len(decoded.names), _PER_ROW), len(decoded.names)]
    for first, end in pairwise(bounds):
        cells = []
        for name, pictures, notes in rows:
            cells.append(f'<div class="side">{escape(name)}</div>')
            cells += [
                picture(p, f"{name}: {decoded.names[k]}") for k, p in enumerate(pictures[first:end], first)
            ]
            cells += ["<div></div>"] * (_PER_ROW - (end - first))
            if notes:
                cells += ["<div></div>", *notes[first:end], *["<div></div>"] * (_PER_ROW - (end - first))]
        blocks.append(grid("pairs", "".join(cells), _PER_ROW))
    random = np.random.default_rng(seed).standard_normal((6, decoded.latents.shape[1])).astype(np.float32)
    mean = np.round(255 * np.clip(decoded.mean_picture, 0, 1)).astype(np.uint8)
    guesses = [mean, draw(np.zeros_like(random[:1]))[0], *draw(random)]
    names = ["mean", "zero latent", *["random latent"] * 6]
    cells = [
        '<div class="side">what guessing draws</div>',
        *(picture(p, n) for p, n in zip(guesses, names, strict=True)),
    ]
    cells += ["<div></div>", *(f'<div class="note">{n}</div>' for n in names)]
    note = (
        f" The true latents, drawn, are what was seen {within}: the best possible reconstruction "
        "is what stands above."
        if same
        else ""
    )
    return (
        "<h2>Seen and read</h2>"
        "<p>Every picture of the test set, none chosen. Below what was read stands the place of the true picture among "
        f"all {len(decoded.names)}: 1 is right.</p>"
        + "".join(blocks)
        + grid("pairs", "".join(cells), _PER_ROW)
        + f'<p class="legend">The mean is that of {escape(decoded.mean_of)}.{note}</p>'
    )


def pairs_or_why(decoded: Decoded, draw: Draw | None, seed: int = 0) -> str:
    """Return `pairs_section`, or why there is none."""
    if draw is None:
        return "<h2>Seen and read</h2><p>The bundle has no generator of its own: latents cannot be drawn alone.</p>"
    return pairs_section(decoded, draw, seed)


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
        note = "<p>The decoder states no confidence.</p>"
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
        if level.startswith("best possible") and all(row["score"] > 0.9995 for row in rows):
            continue  # the pictures were drawn by this very generator
        parts.append(f"<h3>{escape(level[0].upper() + level[1:])}</h3>{_metric_table(rows)}")
    networks = [
        [
            escape(row["metric"]),
            row["better"],
            escape(row["said"]) if row["score"] is None else f"{row['score']:.3f}",
            ", ".join(f"{name} {value:.3f}" for name, value in row["baselines"].items()),
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
            f"{row['score']:.3f}",
            f"{row['low']:.3f} to {row['high']:.3f}",
            "" if row["chance"] is None else f"{row['chance']:.3f}",
            *(f"{row['baselines'][name]:.3f}" if name in row["baselines"] else "" for name in names),
            "" if row["p"] is None else p_value(row["p"]),
        ]
        for row in rows
    ]
    head = ("", "score", "95 % interval", "chance", *names, "p")
    return table(head, lines, range(1, len(head)))


_BASELINES = ["shuffled", "zero latent", "random latents", "mean picture"]


def test_section(report: Mapping[str, Any], rows: Sequence[tuple[str, str]]) -> str:
    """Return what was tested, in facts; `rows` come first."""
    test = report["test"]
    rows_of_test = [
        *rows,
        ("Test items", f"{test['pictures']} pictures, {test['trials']} trials ({test['repeats']} of each)"),
        ("Averaged", "; ".join(test["averaged"])),
        ("Noise ceiling", f"of the responses: {report['ceiling']}"),
    ]
    return "<h2>What was tested</h2>" + facts(rows_of_test)


def grid(kind: str, cells: str, columns: int, side: str = "7.2rem") -> str:
    """Return cells in rows: a name, and so many pictures."""
    return f'<div class="{kind}" style="grid-template-columns:{side} repeat({columns},1fr)">{cells}</div>'


def share(value: float) -> str:
    """Return a share as percent."""
    return f"{value:.1%}".replace("%", " %")


def between(interval: Sequence[float] | None) -> str:
    """Return an interval of shares."""
    return "" if interval is None else f"{share(interval[0])} to {share(interval[1])}"


def p_value(p: float) -> str:
    """Return p in few digits."""
    if p < 1e-4:
        return "&lt; 0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _ranks(decoded: Decoded) -> NDArray[np.intp]:
    return _ranks_of(decoded.predicted, decoded.latents, decoded.which)


def _ranks_of(
    predicted: NDArray[Any], latents: NDArray[Any], which: NDArray[np.integer[Any]]
) -> NDArray[np.intp]:
    """Return the place of the true picture among all, 1 for the likest: (n,)."""
    similar = correlation_table(latents, predicted)
    own = similar[np.arange(len(similar)), which][:, None]
    return np.asarray(1 + (similar > own).sum(1))


def _rank(place: int) -> str:
    return f'<div class="note{" right" if place == 1 else ""}">{place}</div>'

"""The page of a session in which pictures evolved: its words, the course of fitness, pictures and figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.renderer import Artist
from bci.io.files.page import escape, facts, picture, table
from models.reports.charts import GREY, OCHRE, PLUM, TEAL, Line, chart
from models.reports.pairs import grid
from models.sessions.proposals import REFERENCE, Proposal, control, in_second

#: Pictures in a row: five optimisers, and what they evolve towards.
_PICTURES = 6
_COLOURS = (TEAL, OCHRE, PLUM, "#5b8c3e", "#3e5b8c")


def words(report: Mapping[str, Any]) -> str:
    """Say in a sentence each what has evolved."""
    lines = []
    for name, row in report["optimisers"].items():
        above = row["above_random"] or row["above_references"]
        if above is None:
            continue
        beside = control(name).replace("random", "random search") if row["above_random"] else "the references"
        verdict = "rose above" if above["p"] < 0.05 else "cannot be told from"
        lines.append(f"{name}: fitness {verdict} {beside} ({above['difference']:+.3f}, p {above['p']:.4f}).")
        if first := row["above_first"]:
            more = "differently" if first["p"] < 0.05 else "alike"
            lines.append(
                f"Its pictures of the two generators were answered {more} (second - first "
                f"{first['difference']:+.3f}, p {first['p']:.4f})."
            )
    who = (
        "The participant is simulated: nothing here is a measurement of a brain. "
        if report["simulated"]
        else ""
    )
    lines += [_beside(one) for one in report["compared"]]
    return f"<p>{who}{' '.join(lines)}</p>"


def _beside(compared: Mapping[str, Any]) -> str:
    """Say which of two optimisers reached more."""
    (one, other), difference, p = compared["optimisers"], compared["difference"], compared["p"]
    more, less = (one, other) if difference > 0 else (other, one)
    verdict = f"{more} rose above {less}" if p < 0.05 else f"{one} cannot be told from {other}"
    return f"{verdict} ({one} - {other} {difference:+.3f}, p {p:.4f}, both sides)."


def curves(proposals: Sequence[Proposal], generations: int, names: Sequence[str]) -> str:
    """Return the course of fitness: the mean of each generation, by optimiser."""
    lines = []
    places = list(range(generations))
    for name, colour in zip([*names, REFERENCE], (*_COLOURS[: len(names)], GREY), strict=True):
        means, errors = [], []
        for generation in places:
            scores = np.array(
                [one.fitness for one in proposals if (one.optimiser, one.generation) == (name, generation)]
            )
            scores = scores[np.isfinite(scores)]
            means.append(float(scores.mean()) if len(scores) else float("nan"))
            errors.append(float(scores.std() / np.sqrt(len(scores))) if len(scores) else float("nan"))
        known = [k for k in places if np.isfinite(means[k])]
        if known:
            low, high = ([means[k] + sign * errors[k] for k in known] for sign in (-1, 1))
            lines.append(
                Line(name, known, [means[k] for k in known], colour, low, high, dashed=name == REFERENCE)
            )
    return "<h2>Fitness</h2>" + chart(
        lines,
        title="Mean fitness of a generation, ± one standard error",
        x_label="generation",
        size=(760, 300),
    )


def pictures(
    proposals: Sequence[Proposal],
    generations: int,
    names: Sequence[str],
    artists: tuple[Artist | None, Artist | None],
    target: NDArray[np.float32] | None,
) -> str:
    """Return what each optimiser came to: mean latents of three generations, and the picture answered to most."""
    draw, also = artists
    if draw is None:
        return "<p>No pictures: the bundle has no generator of its own.</p>"
    drawn_by = {name: also if also is not None and in_second(name) else draw for name in names}
    columns = [*names, *(["towards"] if target is not None else [])]
    spare = ["<div></div>"] * (_PICTURES - len(columns))
    cells = ["<div></div>", *(f'<div class="note">{escape(name)}</div>' for name in columns), *spare]
    for generation in dict.fromkeys((0, generations // 2, generations - 1)):
        cells.append(f'<div class="side">generation {generation}</div>')
        for name in names:
            latents = [o.latent for o in proposals if (o.optimiser, o.generation) == (name, generation)]
            cells.append(_drawn(np.mean(latents, axis=0), drawn_by[name], f"{name}, generation {generation}"))
        if target is not None:
            cells.append(_drawn(target, draw, f"towards, generation {generation}"))
        cells += spare
    cells.append('<div class="side">answered to most</div>')
    cells += [_best([one for one in proposals if one.optimiser == name], drawn_by[name]) for name in names]
    words = (
        "Of a generation, the picture of the mean latent. Answered to most: the one picture of the highest fitness, "
        "which owes some of it to luck."
    )
    return f"<h2>Pictures</h2><p>{words}</p>" + grid("pairs", "".join(cells), _PICTURES)


def _drawn(latent: NDArray[Any], draw: Artist, alt: str) -> str:
    (image,) = draw(latent[None].astype(np.float32))
    return picture(image, alt)


def _best(own: Sequence[Proposal], draw: Artist) -> str:
    """Return the picture of the highest fitness; nothing where nothing was read."""
    read = [one for one in own if np.isfinite(one.fitness)]
    if not read:
        return "<div></div>"
    best = max(read, key=lambda one: one.fitness)
    words = f"generation {best.generation}, {best.fitness:.3f}"
    alt = f"{best.optimiser}, answered to most"
    return f'<div>{_drawn(best.latent, draw, alt)}<div class="note">{words}</div></div>'


def figures(report: Mapping[str, Any]) -> str:
    """Return the figures of the report, a row an optimiser, and how each two of them compare."""
    rows = []
    for name, row in report["optimisers"].items():

        def beside(which: str, row: Mapping[str, Any] = row) -> str:
            above = row[which]
            return "" if above is None else f"{above['difference']:+.3f} (p {above['p']:.4f})"

        rows.append(
            (
                name,
                f"{row['trials']}",
                f"{row['unread']}",
                f"{row['uncertain']}",
                f"{row['first']:.3f}",
                f"{row['last']:.3f}",
                beside("above_random"),
                beside("above_references"),
                beside("above_first"),
                "" if row["target"] is None else f"{row['target']:.3f}",
            )
        )
    head = (
        "optimiser", "trials", "unread", "uncertain time", "fitness, first third", "last third", "above random",
        "above references", "above first generator", "last mean latent · target",
    )  # fmt: skip
    beside_each_other = [
        (escape(" - ".join(one["optimisers"])), f"{one['difference']:+.3f}", f"{one['p']:.4f}")
        for one in report["compared"]
    ]
    return (
        "<h2>Figures</h2>"
        + table(head, rows, range(1, 10))
        + (table(("last third", "difference", "p"), beside_each_other, (1, 2)) if beside_each_other else "")
        + facts([("Generations", str(report["generations"]))])
    )

"""Semantic analysis of decoded latents: attributes by SVM boundaries, after Dado et al. (2022).

An attribute's semantic score is a latent's projection on the normal of the boundary between latents that have it and
those that have not. Scores of true and read latents are correlated over test pictures, one value a picture.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.files.page import escape, picture, table
from bci.io.installation import install_line
from models.generators.package import GeneratorPackage
from models.reports.charts import bars
from models.reports.decoded import Decoded
from models.reports.figures import p_value
from models.reports.labels import label
from models.reports.pairs import grid

Draw = Callable[[NDArray[Any]], NDArray[np.uint8]]

_STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_FEWEST = 30  # labelled pictures of each side, for a boundary worth its name
_EDITED, _BETWEEN, _CARDS = 4, 4, 6


def semantic_analysis(
    decoded: Decoded,
    draw: Draw | None,
    package: GeneratorPackage | None,
    *,
    seed: int = 0,
    permutations: int = 1000,
    labelled: int = 1500,
) -> tuple[dict[str, Any], str]:
    """Score attributes; return them as JSON holds them and as a section of the page.

    Parameters
    ----------
    decoded : Decoded
        Trials of known pictures.
    draw : callable, optional
        Draws latents.
    package : GeneratorPackage, optional
        Says which attributes its pictures can have.
    seed, permutations : int
        Of labels, boundaries and permutations.
    labelled : int
        Generated pictures that boundaries are fitted on.

    Returns
    -------
    (dict, str)
        ``attributes``: for each what was found; ``how`` labels came about; or ``missing``, why there is nothing.
    """
    try:
        from models.metrics.semantic import fit_boundary
    except ModuleNotFoundError as error:
        return _nothing(f"{error.name} is not installed ({install_line('train')})")
    if draw is None:
        return _nothing("the bundle has no generator of its own")
    if not np.isfinite(decoded.predicted).all():
        return _nothing("what was read of some trials holds NaN")
    labels = label(package, draw, labelled, seed)
    if isinstance(labels, str):
        return _nothing(labels)
    enough = {
        name: present
        for name, present in labels.present.items()
        if min(present.sum(), (~present).sum()) >= _FEWEST
    }
    boundaries = [fit_boundary(name, labels.latents, present, seed=seed) for name, present in enough.items()]
    if not boundaries:
        return _nothing(f"fewer than {_FEWEST} of {labelled} generated pictures show each attribute")
    rows = _attributes(decoded, boundaries, permutations, np.random.default_rng([seed, 5]))
    for row, boundary in zip(rows, boundaries * (len(rows) // len(boundaries)), strict=True):
        known = labels.directions.get(boundary.attribute)
        row["cosine_with_truth"] = None if known is None else float(boundary.normal @ known)
        row["share_with_it"] = float(enough[boundary.attribute].mean())
    report = {
        "attributes": rows,
        "how": labels.how,
        "labelled": labelled,
        "left_out": sorted(set(labels.present) - set(enough)),
    }
    return report, _section(decoded, draw, boundaries, report)


def _nothing(why: str) -> tuple[dict[str, Any], str]:
    return {"missing": why}, f"<h2>What was read of the attributes</h2><p>Not analysed: {escape(why)}.</p>"


def _read(decoded: Decoded) -> dict[str, NDArray[Any]]:
    """Return decoded latents, one a picture, by level of averaging."""
    first = np.array([np.flatnonzero(decoded.which == k)[0] for k in range(len(decoded.names))])
    read = {"first single trial": decoded.predicted[first]}
    if decoded.averaged is not None:
        read[decoded.how] = decoded.averaged
    return read


def _attributes(
    decoded: Decoded, boundaries: Sequence[Any], permutations: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Score each attribute at each level, p corrected over attributes and levels (Holm)."""
    from models.metrics.semantic import score_attribute
    from models.metrics.significance import holm

    rows: list[dict[str, Any]] = []
    for level, predicted in _read(decoded).items():
        for boundary in boundaries:
            scored = score_attribute(boundary, decoded.latents, predicted, rng=rng, permutations=permutations)
            rows.append(
                {
                    "attribute": boundary.attribute,
                    "averaged": level,
                    "r": scored.r,
                    "t_test_p": scored.t_test,
                    "permutation_p": scored.permutation,
                    "boundary_accuracy": boundary.accuracy,
                    "n": scored.n,
                }
            )
    for name in ("t_test_p", "permutation_p"):
        for row, p in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[f"{name}_holm"] = float(p)
    return rows


def _section(decoded: Decoded, draw: Draw, boundaries: Sequence[Any], report: dict[str, Any]) -> str:
    rows = report["attributes"]
    levels = list(dict.fromkeys(row["averaged"] for row in rows))
    strongest = sorted(boundaries, key=lambda b: -max(r["r"] for r in rows if r["attribute"] == b.attribute))
    lost = (
        f" Left out, for too few pictures show or lack them: {', '.join(report['left_out'])}."
        if report["left_out"]
        else ""
    )
    return (
        "<h2>What was read of the attributes</h2>"
        f"<p>Boundaries were fitted among {report['labelled']} other latents of the generator, labelled by "
        f"{escape(report['how'])}. Semantic scores of true and read latents are correlated over {len(decoded.names)} "
        f"pictures, one value a picture.{escape(lost)}</p>"
        + _table(rows, levels)
        + '<p class="legend">t: two-sided t-test of r. Shuffled: pictures exchanged, one-sided. Both corrected over '
        "attributes and kinds of averaging (Holm). Boundary: share of held-back latents on their own side. Where the "
        "labels are directions that the generator was told, boundary and cosine say that the boundary was found, not "
        "that its pictures show the attribute: its card says how often they do.</p>"
        + _editing(decoded, draw, strongest[:_EDITED])
        + _interpolations(decoded, draw)
        + _cards(decoded, draw, boundaries)
    )


def _table(rows: Sequence[dict[str, Any]], levels: Sequence[str]) -> str:
    known = any(row["cosine_with_truth"] is not None for row in rows)
    head = ["attribute", "boundary", "have it"]
    head += ["cosine with the true direction"] if known else []
    for level in levels:
        head += [f"r, {level}", "t", "shuffled"]
    lines = []
    for name in dict.fromkeys(row["attribute"] for row in rows):
        own = {row["averaged"]: row for row in rows if row["attribute"] == name}
        some = next(iter(own.values()))
        line = [escape(name), f"{some['boundary_accuracy']:.0%}", f"{some['share_with_it']:.0%}"]
        if known:
            line.append("" if some["cosine_with_truth"] is None else f"{some['cosine_with_truth']:.2f}")
        for level in levels:
            row = own[level]
            sure = row["permutation_p_holm"] < 0.05
            r = f"{row['r']:.2f}"
            line += [
                f'<span class="good">{r}</span>' if sure else r,
                p_value(row["t_test_p_holm"]),
                p_value(row["permutation_p_holm"]),
            ]
        lines.append(line)
    return table(head, lines, range(1, len(head)))


def _editing(decoded: Decoded, draw: Draw, boundaries: Sequence[Any]) -> str:
    """Move one picture's latent along boundaries."""
    latent = decoded.latents[:1].astype(np.float64)
    strips = []
    for boundary in boundaries:
        moved = np.concatenate([boundary.edit(latent, step) for step in _STEPS]).astype(np.float32)
        strips.append(_strip(boundary.attribute, draw(moved), [f"{step:+g}" for step in _STEPS]))
    return (
        "<h3>Edited along a boundary</h3>"
        + "".join(strips)
        + '<p class="legend">The first picture of the set, its latent moved '
        "by −3 to +3 along the normal; the middle one is as it was shown.</p>"
    )


def _interpolations(decoded: Decoded, draw: Draw) -> str:
    from models.metrics.semantic import interpolate

    level, read = list(_read(decoded).items())[-1]
    strips = []
    for k in range(min(_BETWEEN, len(decoded.names))):
        path = interpolate(decoded.latents[k], read[k], 7).astype(np.float32)
        strips.append(_strip(f"picture {decoded.names[k]}", draw(path), ["true", *[""] * 5, "read"]))
    return (
        "<h3>From the true latent to the one read</h3>"
        + "".join(strips)
        + f'<p class="legend">Even steps between the two latents; read: {escape(level)}.</p>'
    )


def _cards(decoded: Decoded, draw: Draw, boundaries: Sequence[Any]) -> str:
    """Show attribute bars of single pictures."""
    level, read = list(_read(decoded).items())[-1]
    best, drawn = draw(decoded.latents), draw(read)
    cards = []
    for k in range(min(_CARDS, len(decoded.names))):
        rows = [
            (b.attribute, float(b.scores(decoded.latents[[k]])[0]), float(b.scores(read[[k]])[0]))
            for b in boundaries
        ]
        faces = "".join(
            picture(p, f"{name}: {decoded.names[k]}")
            for name, p in (("seen", decoded.seen[k]), ("best possible", best[k]), ("read", drawn[k]))
        )
        chart = bars(rows, title=f"Attributes of picture {decoded.names[k]}", ends=("true", "read"))
        cards.append(f'<div><div class="faces">{faces}</div>{chart}</div>')
    return (
        "<h3>Attributes of single pictures</h3>"
        f'<div class="cards">{"".join(cards)}</div><p class="legend">Pictures: seen; best possible (the true '
        f"latent, drawn); read ({escape(level)}). Bars: semantic scores, true in grey and read in green.</p>"
    )


def _strip(name: str, pictures: NDArray[np.uint8], notes: Sequence[str]) -> str:
    cells = f'<div class="side">{escape(name)}</div>' + "".join(
        picture(p, f"{name} {note}".strip()) for p, note in zip(pictures, notes, strict=True)
    )
    return grid("strip", cells, len(pictures), "7.2rem")

"""Pairs of a report: every picture that was seen beside what was read of it, and the place of the true one."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.files.page import escape, picture
from models.metrics.identification import correlation_table
from models.reports.decoded import Decoded
from models.reports.figures import NONE

Draw = Callable[[NDArray[Any]], NDArray[np.uint8]]

_PER_ROW = 8

#: Pictures that differ by no more levels are not drawn twice.
_SAME = 2
_GREY = 128


def pairs_section(decoded: Decoded, draw: Draw, seed: int = 0) -> str:
    """Return every picture beside its reconstruction, in the set's order, and reconstructions by guessing."""
    trial = np.array([np.flatnonzero(decoded.which == k)[0] for k in range(len(decoded.names))])
    ranks = places(decoded.predicted, decoded.latents, decoded.which)
    best = draw(decoded.latents)
    levels = int(np.abs(best.astype(int) - decoded.seen).max()) if best.shape == decoded.seen.shape else 255
    same = levels <= _SAME
    within = f"within {levels} of 256 levels" if levels else "to the bit"
    rows: list[tuple[str, NDArray[np.uint8], Sequence[str]]] = [
        ("seen", decoded.seen, ()),
        *([] if same else [("best possible: its latent, drawn", best, ())]),
        (
            "read, first single trial",
            draw_finite(draw, decoded.predicted[trial]),
            [_rank(ranks[t]) for t in trial],
        ),
    ]
    if decoded.averaged is not None:
        order = places(decoded.averaged, decoded.latents, np.arange(len(decoded.names)))
        rows.append((f"read, {decoded.how}", draw_finite(draw, decoded.averaged), [_rank(r) for r in order]))
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


def draw_finite(draw: Draw, latents: NDArray[Any]) -> NDArray[np.uint8]:
    """Draw latents; one that holds NaN is grey all over."""
    finite = np.isfinite(latents).all(1)
    pictures = draw(np.where(finite[:, None], latents, np.float32(0)))
    pictures[~finite] = _GREY
    return pictures


def pairs_or_why(decoded: Decoded, draw: Draw | None, seed: int = 0) -> str:
    """Return `pairs_section`, or why there is none."""
    if draw is None:
        return "<h2>Seen and read</h2><p>The bundle has no generator of its own: latents cannot be drawn alone.</p>"
    return pairs_section(decoded, draw, seed)


def grid(kind: str, cells: str, columns: int, side: str = "7.2rem") -> str:
    """Return cells in rows: a name, and so many pictures."""
    return f'<div class="{kind}" style="grid-template-columns:{side} repeat({columns},1fr)">{cells}</div>'


def places(
    predicted: NDArray[Any], latents: NDArray[Any], which: NDArray[np.integer[Any]]
) -> list[int | None]:
    """Return the place of the true picture among all, 1 for the likest, of each reading.

    Pictures that are equally like share the middle of their places, the later one of two: a reading that is like all
    alike has not found its own. One that holds NaN has no place.
    """
    similar = correlation_table(latents, predicted)
    own = similar[np.arange(len(similar)), which][:, None]
    found = 1 + (similar > own).sum(1) + (similar == own).sum(1) // 2
    return [None if np.isnan(like) else int(place) for like, place in zip(own[:, 0], found, strict=True)]


def _rank(place: int | None) -> str:
    if place is None:
        return f'<div class="note">{NONE}</div>'
    return f'<div class="note{" right" if place == 1 else ""}">{place}</div>'

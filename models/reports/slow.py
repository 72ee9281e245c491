"""The section on what a quick readout loses: beside it what takes far longer, by the same encoding model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.files.page import escape, picture, table
from models.reports.figures import number, share
from models.reports.pairs import Draw, draw_finite, grid

#: Pictures that are shown.
_SHOWN = 8


def slow_section(
    latents: Mapping[str, NDArray[np.floating[Any]]],
    rows: Sequence[Mapping[str, Any]],
    samples: int,
    likeness: str,
    draw: Draw,
    seen: NDArray[np.uint8],
) -> str:
    """Return the ways side by side.

    Parameters
    ----------
    latents : mapping of str to (n, d)
        Read of the first single trial of each picture, by way.
    rows : sequence of mapping
        As of `models.encoding.quick_and_slow.QuickAndSlow.score`.
    samples : int
        Of a trial.
    likeness : str
        How far held-out trials lie from dreamed ones, in words.
    draw : callable
        From latents to pictures.
    seen : (n, height, width, 3) uint8
    """
    few = slice(0, _SHOWN)
    shown = [("seen", seen[few])]
    shown += [(way, draw_finite(draw, read[few].astype(np.float32))) for way, read in latents.items()]
    cells = []
    for way, pictures in shown:
        cells.append(f'<div class="side">{escape(way)}</div>')
        cells += [picture(one, f"{way}: picture {k + 1}") for k, one in enumerate(pictures)]
    lines = [
        (
            escape(row["way"]),
            share(row["two_way"]),
            share(row["n_way"]),
            number(row["cosine"]),
            number(row["from_quick"]),
            "–" if row["seconds"] is None else f"{row['seconds']:.1f} s",
        )
        for row in rows
    ]
    counted = next(row["effective"] for row in rows if row["effective"] is not None)
    head = ("way", "of two", f"of {len(seen)}", "cosine", "cosine with quick", "processor, a trial")
    warning = " With so few their mean is hardly more than single samples." if counted < 10 else ""
    return (
        "<h2>How far the quick reading is from slow ones</h2>"
        "<p>The first single trial of each picture. The encoding model of the training trials says how probable every "
        "picture of the generator is; the most probable latent is sought by gradient (MAP), the mean latent by "
        f"weighing samples. Of {samples} samples a trial {counted:.1f} count (the median of trials).{warning}</p>"
        + grid("pairs", "".join(cells), len(shown[0][1]))
        + table(head, lines, (1, 2, 3, 4, 5))
        + f"<p class='legend'>Whether the encoding model is to be believed: {escape(likeness)}.</p>"
    )

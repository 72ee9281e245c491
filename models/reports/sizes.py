"""The section on the size rule: what was read, drawn at its own length, at that of a drawn latent, and truncated."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bci.io.files.page import escape, picture, table
from models.readouts.size import LatentSize
from models.reports.decoded import Decoded
from models.reports.figures import number, share
from models.reports.pairs import Draw, draw_finite, grid

#: Pictures that are shown.
_SHOWN = 8


def sizes_section(decoded: Decoded, draw: Draw | None, scores: Mapping[str, Any]) -> str:
    """Return the rules side by side on the first pictures, and what each reached on validation.

    Nothing where no rule is known or nothing can be drawn. Latents are stored after the rule: where it was not
    ``keep``, the length as read is gone, and what is shown begins with the rule's own.

    Parameters
    ----------
    decoded : Decoded
    draw : callable, optional
        From latents to pictures.
    scores : mapping
        A bundle's: ``size``, and ``sizes`` where it was chosen.
    """
    if draw is None or "size" not in scores:
        return ""
    kind, sizes = str(scores["size"]), dict(scores.get("sizes", {}))
    few = range(min(_SHOWN, len(decoded.names)))
    trials = [int(np.flatnonzero(decoded.which == k)[0]) for k in few]
    read = np.asarray(decoded.predicted[trials], np.float64)
    bound = _bound(sizes)
    rules = [LatentSize("rescale"), LatentSize("truncate", bound)]
    rows = [("seen", decoded.seen[list(few)]), (kind, draw_finite(draw, read.astype(np.float32)))]
    rows += [
        (
            f"truncate at {bound:g}" if rule.kind == "truncate" else rule.kind,
            draw_finite(draw, rule(read).astype(np.float32)),
        )
        for rule in rules
        if rule.kind != kind
    ]
    cells = []
    for name, pictures in rows:
        cells.append(f'<div class="side">{escape(name)}</div>')
        cells += [picture(p, f"{name}: {decoded.names[k]}") for k, p in enumerate(pictures)]
    title = "<h2>How large a latent is drawn</h2>"
    words = (
        "A regression reads short what it is unsure of: these latents have a mean length of "
        f"{number(float(np.linalg.norm(read, axis=1).mean()))}, drawn ones {number(float(np.sqrt(read.shape[1])))}. "
        f"The bundle has the rule <b>{escape(kind)}</b>"
    )
    drawn = grid("pairs", "".join(cells), len(few))
    if not sizes:
        return f"{title}<p>{words}, as its training file says.</p>{drawn}"
    words += ", under which held-out training trials were identified best by the features of their pictures."
    rates = [(escape(name), share(float(value))) for name, value in sizes.items()]
    return f"{title}<p>{words}</p>{drawn}{table(('rule', 'identified among 24'), rates, (1,))}"


def _bound(sizes: Mapping[str, float]) -> float:
    """Return the bound of truncation that did best on validation; the smallest of equals, 1 where none was tried."""
    bounds = {float(name.split()[1]): value for name, value in sizes.items() if name.startswith("truncate")}
    return max(sorted(bounds), key=bounds.__getitem__) if bounds else 1.0

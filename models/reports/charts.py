"""Charts of a report, as SVG inside the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bci.io.files.page import escape

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 26, 42
TEAL, OCHRE, GREY, PLUM = "#2b6c75", "#c9762b", "#9aa3a9", "#7a4a6d"


@dataclass(frozen=True)
class Line:
    """A Line is one line of a chart.

    Attributes
    ----------
    name : str
        In the legend; empty for none.
    x, y : sequences of float
    colour : str
    low, high : sequences of float
        A band around it; empty for none.
    dashed, dots : bool
        How it is drawn.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str = TEAL
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False
    dots: bool = True


def chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str = "",
    y_range: tuple[float, float] | None = None,
    x_log: bool = False,
    percent: bool = False,
    size: tuple[int, int] = (372, 250),
) -> str:
    """Draw lines over one another, with their bands.

    Parameters
    ----------
    lines : sequence of Line
        At least one with a point.
    title : str
        For those who cannot see it, and above it.
    x_label, y_label : str
    y_range : (low, high), optional
        By default the lines' range.
    x_log : bool
        Whether equal steps are equal ratios.
    percent : bool
        Whether y is a share.
    size : (width, height)
    """
    width, height = size
    xs = [v for line in lines for v in line.x]
    ys = [v for line in lines for v in (*line.y, *line.low, *line.high) if math.isfinite(v)]
    low, high = y_range or _padded(min(ys), max(ys))
    near, far = min(xs), max(xs)
    if near == far:
        near, far = near - 0.5, far + 0.5

    def scale(value: float) -> float:
        return math.log(value) if x_log else value

    def x(value: float) -> float:
        return _LEFT + (width - _LEFT - _RIGHT) * (scale(value) - scale(near)) / (scale(far) - scale(near))

    def y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return height - _BOTTOM - (height - _BOTTOM - _TOP) * share

    out = [f'<text x="0" y="11" class="head">{escape(y_label)}</text>'] if y_label else []
    for tick in ticks(low, high):
        shown = f"{100 * tick:.0f} %" if percent else f"{tick:g}"
        out.append(
            f'<line x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>'
            f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" class="axis" text-anchor="end">{shown}</text>'
        )
    marks = _sparse(sorted(set(xs)), x) if x_log else ticks(near, far)
    for tick in marks:
        out.append(
            f'<text x="{x(tick):.1f}" y="{height - 24}" class="axis" text-anchor="middle">{tick:g}</text>'
        )
    middle = (_LEFT + width - _RIGHT) / 2
    out.append(
        f'<text x="{middle:.0f}" y="{height - 6}" class="axis" text-anchor="middle">{escape(x_label)}</text>'
    )
    for line in lines:
        if line.low:
            edge = [f"{x(a):.1f},{y(b):.1f}" for a, b in zip(line.x, line.high, strict=True)]
            edge += [f"{x(a):.1f},{y(b):.1f}" for a, b in reversed(list(zip(line.x, line.low, strict=True)))]
            out.append(f'<polygon points="{" ".join(edge)}" fill="{line.colour}" opacity=".14"/>')
    for line in lines:
        points = [(x(a), y(b)) for a, b in zip(line.x, line.y, strict=True) if math.isfinite(b)]
        dash = ' stroke-dasharray="4 4"' if line.dashed else ""
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.8"{dash}/>')
        if line.dots and not line.dashed:
            out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6" fill="{line.colour}"/>' for a, b in points]
    drawn = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{"".join(out)}</svg>'
    )
    return f"<figure><h3>{escape(title)}</h3>{drawn}{legend(lines)}</figure>"


def legend(lines: Sequence[Line]) -> str:
    """Return the legend of the colours."""
    dashes = ' stroke-dasharray="4 4"'
    keys = [
        f'<span class="key"><svg width="22" height="8" aria-hidden="true"><line x1="0" x2="22" y1="4" y2="4" '
        f'stroke="{line.colour}" stroke-width="2"{dashes if line.dashed else ""}/></svg> {escape(line.name)}</span>'
        for line in lines
        if line.name
    ]
    return f'<p class="legend">{"".join(keys)}</p>'


def bars(rows: Sequence[tuple[str, float, float]], *, title: str, ends: tuple[str, str]) -> str:
    """Draw, a row each, two values as bars to both sides of zero: what is true above what was read.

    Parameters
    ----------
    rows : sequence of (str, float, float)
        What it is called; its true and its read value.
    title : str
    ends : (str, str)
        Names of the two.
    """
    width, row, left = 236, 17, 96
    most = max(1e-9, *(abs(v) for _, *values in rows for v in values))
    middle = left + (width - left) / 2

    def bar(value: float, y: float, colour: str) -> str:
        length = (width - left) / 2 * abs(value) / most
        start = middle if value >= 0 else middle - length
        return f'<rect x="{start:.1f}" y="{y:.1f}" width="{length:.1f}" height="5" fill="{colour}"/>'

    out = []
    for i, (name, true, read) in enumerate(rows):
        y = row * i
        out.append(
            f'<text x="{left - 6}" y="{y + 11}" class="axis" text-anchor="end">{escape(name)}</text>'
            + bar(true, y + 2, GREY)
            + bar(read, y + 7.5, TEAL)
        )
    height = row * len(rows) + 2
    out.append(f'<line x1="{middle}" x2="{middle}" y1="0" y2="{height}" class="grid"/>')
    label = escape(f"{title}: {ends[0]} in grey, {ends[1]} in green")
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(out)}</svg>'


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers between two.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (high - low) / about
    size = 10 ** math.floor(math.log10(raw))
    step = min((m * size for m in (1, 2, 5, 10)), key=lambda s: abs(s - raw))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = 0.08 * (high - low) or max(abs(high) * 0.1, 0.05)
    return low - pad, high + pad


def _sparse(values: Sequence[float], place: object) -> list[float]:
    """Return values whose labels do not touch."""
    kept: list[float] = []
    assert callable(place)
    for value in values:
        if not kept or place(value) - place(kept[-1]) > 22:
            kept.append(value)
    return kept

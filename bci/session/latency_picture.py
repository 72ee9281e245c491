"""The picture of a session's latency: a bar for every stage, each beginning where the stages before it have ended.

A bar is as long as the stage's median; the line behind it reaches to the 99th percentile, with a stroke at the 95th.
The figures stand at the right, in milliseconds.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bci.io.files.folder import write_whole
from bci.session.latency import STAGES, Percentiles, latency_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR, _TOTAL, _BEHIND, _INK, _FAINT = "#2b6c75", "#1c1f24", "#c9762b", "#1c1f24", "#6b7280"
_COLUMNS = {"p50": 1.12, "p95": 1.24, "p99": 1.36}


def latency_picture(session: Path, path: Path) -> None:
    """Draw the stages of a session into a PNG.

    Raises
    ------
    RecordingError
        As `bci.session.latency.intervals`.
    """
    drawn = io.BytesIO()
    latency_figure(latency_table(session)).savefig(drawn, format="png", dpi=120)
    write_whole(path, drawn.getvalue())


def latency_figure(table: Mapping[str, Percentiles]) -> "Figure":
    """Draw a table of `bci.session.latency.latency_table`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.8))
    axes = figure.add_axes((0.27, 0.13, 0.53, 0.70))
    figure.text(
        0.012, 0.935, "Where the time goes, from the sample to the flip", color=_INK, fontsize=14, va="center"
    )
    figure.text(
        0.012,
        0.88,
        "Bars are medians, each from where the one before ends; lines reach to the 99th percentile, strokes: the 95th.",
        color=_FAINT,
        fontsize=9.5,
        va="center",
    )
    _draw(axes, table)
    return figure


def bars(table: Mapping[str, Percentiles]) -> dict[str, tuple[float, float, float, float]]:
    """Return where each stage's bar begins, its median, and its 95th and 99th percentile end, milliseconds.

    Stages of which nothing was measured have no bar. The total begins at zero.

    Examples
    --------
    >>> some = {"p50": 2.0, "p95": 3.0, "p99": 5.0, "n": 9}
    >>> bars({"window": some, "decode": some, "total": some})["decode"]
    (2.0, 4.0, 5.0, 7.0)
    """
    placed, start = {}, 0.0
    for name, stage in table.items():
        if not stage["n"]:
            continue
        begins = 0.0 if name == "total" else start
        placed[name] = (begins, begins + stage["p50"], begins + stage["p95"], begins + stage["p99"])
        start = placed[name][1]
    return placed


def _draw(axes: "Axes", table: Mapping[str, Percentiles]) -> None:
    placed = bars(table)
    rows = {name: len(table) - 1 - place for place, name in enumerate(table)}
    limit = 1.04 * max((end for *_, end in placed.values()), default=1.0)
    for name, (begins, median, p95, p99) in placed.items():
        y, colour = rows[name], _TOTAL if name == "total" else _BAR
        axes.plot([begins, p99], [y, y], color=_BEHIND, lw=1.6, solid_capstyle="butt", zorder=2)
        for end, half in ((p95, 0.17), (p99, 0.10)):
            axes.plot([end, end], [y - half, y + half], color=_BEHIND, lw=1.6, zorder=2)
        # A bar that is shorter than a pixel is drawn as a hair.
        axes.barh(y, max(median - begins, limit / 900), left=begins, height=0.56, color=colour, zorder=3)
    for (name, percentile), x in {(n, p): x for n in table for p, x in _COLUMNS.items()}.items():
        shown = _milliseconds(table[name][percentile]) if table[name]["n"] else "–"
        axes.text(
            x, rows[name], shown, transform=axes.get_yaxis_transform(), ha="right", va="center", color=_INK
        )
    for percentile, x in _COLUMNS.items():
        axes.text(
            x, len(table) - 0.35, percentile, transform=axes.get_yaxis_transform(), ha="right", color=_FAINT
        )
    for name, y in rows.items():
        axes.text(-0.487, y, name, transform=axes.get_yaxis_transform(), va="center", color=_INK, fontsize=11)
        words = STAGES[name]
        axes.text(
            -0.02,
            y,
            words,
            transform=axes.get_yaxis_transform(),
            va="center",
            ha="right",
            color=_FAINT,
            fontsize=8.5,
        )
    if not placed:
        axes.text(0.5, 0.5, "no valid reconstruction", transform=axes.transAxes, ha="center", color=_FAINT)
    axes.set(xlim=(0, limit), ylim=(-0.6, len(table) - 0.4), yticks=[], xlabel="milliseconds")
    axes.axhline(0.5, color=_FAINT, lw=0.6)
    axes.grid(axis="x", alpha=0.25, zorder=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _milliseconds(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

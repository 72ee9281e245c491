"""Figures of an evaluation: the latent over time, the ROC curve, the calibration and the pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from models.metrics.probability import calibration
from models.metrics.ranks import auc, roc
from models.systems.alpha.heldout import HeldOut

_COLOURS = ("#d98032", "#2b6f9e")  # state 0, state 1; told apart by every common colour vision
_GREY = "#8a8a8a"
_COLUMNS = 12


def draw_figures(out: Path, decoded: HeldOut, labels: Sequence[str]) -> list[Path]:
    """Write ``latent.png``, ``roc.png``, ``reliability.png`` and ``pictures.png`` into `out`.

    Parameters
    ----------
    out : Path
        An existing folder.
    decoded : HeldOut
        What was decoded.
    labels : sequence of str
        What each recording holds.

    Returns
    -------
    list of Path
    """
    written = []
    for name, draw, size in (
        ("latent.png", lambda axes: _latent(axes, decoded, labels), (7.0, 2.8)),
        ("roc.png", lambda axes: _roc(axes, decoded), (3.6, 3.4)),
        ("reliability.png", lambda axes: _reliability(axes, decoded), (3.6, 3.4)),
    ):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(out / name)
        written.append(out / name)
    sheet = Image.fromarray(contact_sheet(decoded))
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST).save(out / "pictures.png")
    return [*written, out / "pictures.png"]


def contact_sheet(decoded: HeldOut) -> NDArray[np.uint8]:
    """Lay out decoded pictures: a row per recording in time order, the drawing of the true state in front."""
    rows = []
    for run in np.unique(decoded.run):
        where = np.flatnonzero(decoded.run == run)
        shown = where[np.linspace(0, len(where) - 1, _COLUMNS).round().astype(int)]
        truth = decoded.truth[int(decoded.states[where[0]])]
        gap = np.full((truth.shape[0], 8, 3), 255, np.uint8)
        rows.append(np.concatenate([truth, gap, *decoded.pictures[shown]], axis=1))
    return np.concatenate(rows, axis=0)


def _latent(axes: Axes, decoded: HeldOut, labels: Sequence[str]) -> None:
    for run in np.unique(decoded.run):
        own = decoded.run == run
        state = int(decoded.states[own][0])
        axes.plot(decoded.seconds[own], decoded.p[own], color=_COLOURS[state], lw=1.4, label=labels[int(run)])
    axes.axhline(0.5, color=_GREY, lw=0.7, ls=":")
    axes.set(ylim=(-0.03, 1.03), xlabel="held-out part of each run (s)", ylabel="latent")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8)


def _roc(axes: Axes, decoded: HeldOut) -> None:
    for scores, colour, name in (
        (decoded.single, _GREY, "one band, no fit"),
        (decoded.p, _COLOURS[1], "decoder"),
    ):
        alarms, hits = roc(decoded.states, scores)
        axes.plot(alarms, hits, color=colour, lw=1.6, label=f"{name}: {auc(decoded.states, scores):.4f}")
    axes.plot([0, 1], [0, 1], color=_GREY, lw=0.7, ls=":")
    axes.set(xlabel="false positives", ylabel="true positives", title="ROC, held-out windows", aspect="equal")
    axes.title.set_fontsize(9)
    axes.legend(frameon=False, loc="lower right", fontsize=8)


def _reliability(axes: Axes, decoded: HeldOut) -> None:
    table, error = calibration(decoded.confidence, decoded.right)
    axes.plot([0.5, 1], [0.5, 1], color=_GREY, lw=0.7, ls=":")
    axes.plot([b.stated for b in table], [b.came for b in table], "o-", color=_COLOURS[1], lw=1.4, ms=4)
    for b in table:
        axes.annotate(
            f"{b.n}", (b.stated, b.came), xytext=(3, -9), textcoords="offset points", fontsize=7, color=_GREY
        )
    axes.set(
        xlabel="stated probability",
        ylabel="share right (windows beside each point)",
        title=f"Calibration, expected error {error:.3f}",
    )
    axes.title.set_fontsize(9)
    axes.set(xlim=(0.48, 1.02), ylim=(min(0.48, min(b.came for b in table) - 0.06), 1.04))

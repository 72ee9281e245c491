"""The section on encoding maps: what each channel or voxel answers to, by bank of features."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.files.page import escape, picture, table
from models.reports.charts import GREY, OCHRE, TEAL, Line, chart
from models.reports.figures import share
from models.reports.pairs import grid

Floats = NDArray[np.float64]

_LEGEND = (
    "<p class='legend'>Each bank of features of the picture, alone, predicts training trials of runs that were held "
    "out. What it predicts of a value's variance in single trials is what the value answers to.</p>"
)
#: Screen points of one value of a map, across and along.
_ACROSS, _ALONG = 4, 12
#: Points of a curve over voxels.
_POINTS = 60


def encoding_section(maps: Mapping[str, Floats], channels: Sequence[str], times: Sequence[float]) -> str:
    """Return the maps, and where each bank predicts best.

    Parameters
    ----------
    maps : mapping of str to (times * channels,) or (channels,) float64
        By bank; time is the slower axis.
    channels : sequence of str
    times : sequence of float
        Of the samples of an epoch, seconds from the flip; one where samples are averaged.
    """
    shaped = {bank: np.asarray(values).reshape(len(times), len(channels)) for bank, values in maps.items()}
    one = len(times) == 1
    drawn = _curves(shaped) if one else _pictures(shaped)
    rows = []
    for bank, values in shaped.items():
        at, channel = np.unravel_index(int(values.argmax()), values.shape)
        where = channels[channel] if one else f"{channels[channel]}, {times[at]:.2f} s"
        answering = float((values > 0).any(axis=0).mean())
        rows.append((escape(bank), escape(where), share(float(values.max())), share(answering)))
    head = ("features", "best predicted", "of its variance", "share of channels or voxels predicted at all")
    return f"<h2>What answers to what</h2>{drawn}{table(head, rows, (2, 3))}{_LEGEND}"


def _pictures(shaped: Mapping[str, Floats]) -> str:
    """Return a map for each bank: channels down, time to the right, black for nothing and white for the most."""
    most = max(float(values.max()) for values in shaped.values())
    cells = []
    for bank, values in shaped.items():
        levels = np.clip(values.T / max(most, 1e-12), 0, 1)
        grey = np.round(255 * levels).astype(np.uint8)
        pixels: NDArray[Any] = np.repeat(np.repeat(grey, _ACROSS, axis=0), _ALONG, axis=1)
        cells.append(picture(np.repeat(pixels[:, :, None], 3, axis=2), f"{bank}: channels by time"))
    cells += [f'<div class="note">{escape(bank)}</div>' for bank in shaped]
    side = "<div class='side'>channels, down; time, to the right; white is " + share(most) + "</div>"
    return grid(
        "pairs",
        side + "".join(cells[: len(shaped)]) + "<div></div>" + "".join(cells[len(shaped) :]),
        len(shaped),
    )


def _curves(shaped: Mapping[str, Floats]) -> str:
    """Return the shares of all voxels in falling order, a line a bank."""
    colours = (GREY, OCHRE, TEAL)
    lines = []
    for number, (bank, values) in enumerate(shaped.items()):
        falling = np.sort(values[0])[::-1]
        few = np.unique(np.linspace(0, len(falling) - 1, min(_POINTS, len(falling))).astype(int))
        lines.append(Line(bank, (few + 1).tolist(), falling[few].tolist(), colours[number % 3]))
    drawn = chart(
        lines,
        title="Variance predicted, voxels in falling order",
        x_label="voxels",
        y_label="variance predicted",
        percent=True,
    )
    return f"<div class='two'>{drawn}</div>"

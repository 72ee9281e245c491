"""Figures are the page's curves as Bokeh draws them; each takes what a model gives and shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJSTickFormatter, Label, Range1d
from bokeh.plotting import figure
from numpy.typing import NDArray

from bci.control.page.evoked import AFTER_S, BEFORE_S, EvokedResponse
from bci.control.page.model import GapBand
from bci.control.page.side_groups import SideGroup
from bci.control.page.spectrum import Spectrum
from bci.control.page.stages import EDGES_MS, StageHistogram
from bci.control.page.style import BAND, FAINT, GRID, MASKED, SERIES, TRACE
from bci.control.page.traces import TracePicture, unusable
from bci.session.latency import STAGES


def _figure(title: str, height: int, **options: Any) -> Any:
    drawn = figure(
        title=title,
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        background_fill_color="white",
        border_fill_color="white",
        outline_line_color=None,
        min_border_right=16,
        output_backend="canvas",
        **options,
    )
    drawn.grid.grid_line_color = GRID
    drawn.axis.axis_line_color = None
    drawn.axis.major_tick_line_color = None
    drawn.axis.minor_tick_line_color = None
    drawn.axis.major_label_text_color = FAINT
    drawn.axis.axis_label_text_color = FAINT
    drawn.axis.axis_label_text_font_style = "normal"
    drawn.title.text_color = "#3d4650"
    drawn.title.text_font_size = "12px"
    drawn.title.text_font_style = "bold"
    return drawn


def _fixed_ranges() -> dict[str, Range1d]:
    """Return ranges that `_fit` sets: a browser that found them itself would look through all data at each update."""
    return {"x_range": Range1d(0, 1), "y_range": Range1d(0, 1)}


def _fit(shown: Range1d, values: Any, margin: float = 0.0) -> None:
    """Let a range hold all values that are finite, and a share of their span on either side."""
    given = np.asarray(values, float)
    given = given[np.isfinite(given)]
    if not len(given):
        return
    low, high = float(given.min()), float(given.max())
    room = margin * (high - low) or (0.0 if high > low else 1.0)
    shown.start, shown.end = low - room, high + room


class TraceFigure:
    """Signals one above the other, newest on the right; gaps are red, channels without a signal are grey.

    Attributes
    ----------
    drawn : bokeh figure
        To be laid out.
    """

    def __init__(self, height: int) -> None:
        self.drawn = _figure("Signals", height, x_range=Range1d(-10, 0), y_range=Range1d(-16, 1))
        self._lines = ColumnDataSource({"x": [], "y": []}, name="traces")
        self._grey = ColumnDataSource({"x": [], "y": []})
        self._gaps = ColumnDataSource({"left": [], "right": [], "why": []})
        self.drawn.quad(
            left="left", right="right", bottom=-1000, top=1000, source=self._gaps, fill_color=BAND, fill_alpha=0.18,
            line_color=BAND, line_alpha=0.5,
        )  # fmt: skip
        for source, colour in ((self._grey, MASKED), (self._lines, TRACE)):
            self.drawn.line("x", "y", source=source, line_color=colour, line_width=1)
        self._silence = Label(
            x=0, y=0, x_units="screen", y_units="screen", text="", text_color=BAND, text_font_size="14px",
            text_font_style="bold",
        )  # fmt: skip
        self.drawn.add_layout(self._silence)
        self.drawn.ygrid.grid_line_color = None
        self.drawn.xaxis.axis_label = "seconds from now"
        self._amplitude = 0.0
        self._named: tuple[str, ...] = ()

    def show(
        self,
        picture: TracePicture,
        names: Sequence[str],
        unit: str,
        now: float,
        seconds: float,
        gain: float,
        gaps: Sequence[GapBand],
    ) -> None:
        """Show some channels.

        Parameters
        ----------
        picture : TracePicture
            Their columns.
        names : sequence of str
            What they are called.
        unit : str
            Of their values.
        now : float
            The time on the right, session seconds.
        seconds : float
            How much is shown.
        gain : float
            How many times larger than usual.
        gaps : sequence of GapBand
            Where data are missing.
        """
        channels = picture.low.shape[1]
        grey = unusable(picture)
        scale = self._scale(picture, grey)
        lines: dict[bool, list[tuple[NDArray[Any], NDArray[Any]]]] = {False: [], True: []}
        with np.errstate(invalid="ignore"):
            middle = np.zeros(channels) if not len(picture.times) else _middles(picture)
        for channel in range(channels):
            times, values = picture.zigzag(channel)
            high = np.clip(gain * (values - middle[channel]) / scale, -0.95, 0.95) - channel
            nothing = np.array([np.nan])
            lines[bool(grey[channel])].append(
                (np.concatenate([times - now, nothing]), np.concatenate([high, nothing]))
            )
        for source, kind in ((self._lines, False), (self._grey, True)):
            parts = lines[kind]
            source.data = {
                "x": np.concatenate([x for x, _ in parts]).astype(np.float32) if parts else [],
                "y": np.concatenate([y for _, y in parts]).astype(np.float32) if parts else [],
            }
        self._gaps.data = {
            # A moment is drawn as wide as a line.
            "left": [gap.start - now for gap in gaps],
            "right": [gap.stop - now for gap in gaps],
            "why": [gap.why for gap in gaps],
        }
        self._name(tuple(f"{name} ×" if grey[i] else name for i, name in enumerate(names)), seconds)
        half = 2 * scale / gain
        self.drawn.title.text = f"Signals · one row is {half:.3g} {unit or 'units'}" + (
            f" · {int(grey.sum())} flat or not a number" if grey.any() else ""
        )

    def _name(self, names: tuple[str, ...], seconds: float) -> None:
        if names != self._named:
            self._named = names
            self.drawn.yaxis.ticker = [-i for i in range(len(names))]
            self.drawn.yaxis.major_label_overrides = {-i: name for i, name in enumerate(names)}
            self.drawn.y_range.start, self.drawn.y_range.end = -len(names), 1
        if self.drawn.x_range.start != -seconds:
            self.drawn.x_range.start = -seconds

    def _scale(self, picture: TracePicture, grey: NDArray[np.bool_]) -> float:
        """Return half a row's height in the signal's unit; it follows slowly, so that rows do not breathe."""
        if len(picture.times) < 2 or grey.all():
            return self._amplitude or 1.0
        low, high = picture.low[:, ~grey], picture.high[:, ~grey]
        with np.errstate(invalid="ignore"):
            ranges = np.nanpercentile(high, 97, axis=0) - np.nanpercentile(low, 3, axis=0)
        wanted = float(np.nanmedian(ranges)) or 1.0
        # A third more or less than needed is left as it is; steps of a power of two thirds are not noticed.
        if not 0.6 < wanted / (self._amplitude or 1e-30) < 1.6:
            self._amplitude = wanted
        return self._amplitude


def _middles(picture: TracePicture) -> NDArray[np.float64]:
    """Return the middle of each channel, (channels,); 0 where it shows nothing."""
    middles = (picture.low.astype(float) + picture.high) / 2
    whole = np.isfinite(middles)
    counts = whole.sum(axis=0)
    return np.where(counts, np.where(whole, middles, 0).sum(axis=0) / np.maximum(counts, 1), 0.0)


class SpectrumFigure:
    """The power of the channels that are shown: their median, and from the tenth to the ninetieth percentile."""

    def __init__(self, height: int) -> None:
        self.drawn = _figure("Spectrum of the channels above", height, **_fixed_ranges())
        self._source = ColumnDataSource({"hz": [], "median": [], "low": [], "high": []})
        self.drawn.varea("hz", "low", "high", source=self._source, fill_color=TRACE, fill_alpha=0.15)
        self.drawn.line("hz", "median", source=self._source, line_color=TRACE, line_width=1.5)
        self.drawn.xaxis.axis_label, self.drawn.yaxis.axis_label = "Hz", "dB"

    def show(self, spectrum: Spectrum | None, unit: str) -> None:
        """Show a spectrum; nothing where there is none."""
        if spectrum is None:
            self._source.data = {"hz": [], "median": [], "low": [], "high": []}
            return
        self._source.data = {
            "hz": spectrum.hz, "median": spectrum.median, "low": spectrum.low, "high": spectrum.high,
        }  # fmt: skip
        _fit(self.drawn.x_range, spectrum.hz)
        _fit(self.drawn.y_range, [spectrum.low.min(), spectrum.high.max()], margin=0.05)
        self.drawn.yaxis.axis_label = f"dB of {unit or 'unit'}²/Hz"


class EvokedFigure:
    """The running averages of one channel, a curve for each kind of event."""

    def __init__(self, height: int) -> None:
        self.drawn = _figure("Evoked responses", height, **_fixed_ranges())
        _fit(self.drawn.x_range, [-BEFORE_S, AFTER_S])
        self._source = ColumnDataSource({"x": [], "y": [], "colour": [], "label": []})
        self.drawn.multi_line(
            "x", "y", source=self._source, line_color="colour", line_width=1.8, legend_field="label"
        )
        self.drawn.xaxis.axis_label = "seconds from the event"
        legend = self.drawn.legend[0]
        legend.location, legend.border_line_color, legend.background_fill_alpha = "top_left", None, 0.7
        legend.label_text_font_size, legend.spacing, legend.padding, legend.glyph_width = "11px", 0, 4, 14

    def show(
        self,
        responses: Sequence[EvokedResponse],
        left_out: Mapping[str, int],
        channel: int,
        name: str,
        unit: str,
    ) -> None:
        """Show one channel, and say how many events are in no average, by reason."""
        counted = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
        without = f" · without {counted}" if counted else ""
        if not responses:
            self.drawn.title.text = f"Evoked responses · no event yet{without}"
            self._source.data = {"x": [], "y": [], "colour": [], "label": []}
            return
        curves = [response.mean[:, channel].astype(float) for response in responses]
        _fit(self.drawn.y_range, np.concatenate(curves), margin=0.1)
        self._source.data = {
            "x": [response.seconds for response in responses],
            "y": curves,
            "colour": [SERIES[i % len(SERIES)] for i in range(len(responses))],
            "label": [f"{response.name} (n = {response.count})" for response in responses],
        }
        self.drawn.title.text = f"Evoked responses · {name} · {unit or 'units'}{without}"


class StageFigure:
    """A histogram for each stage of the newest reconstructions, on one scale of time, with what each may take."""

    def __init__(self, height: int) -> None:
        rows = list(STAGES)
        self.drawn = _figure(
            "Latency, newest reconstructions", height, x_axis_type="log", x_range=Range1d(0.03, 1e7)
        )
        self.drawn.y_range = Range1d(-len(rows) + 0.1, 1.0)
        self._bars = ColumnDataSource({"left": [], "right": [], "bottom": [], "top": []})
        self._budgets = ColumnDataSource({"x": [], "low": [], "high": []})
        self._words = ColumnDataSource({"x": [], "y": [], "text": [], "colour": []})
        self.drawn.quad(
            left="left",
            right="right",
            bottom="bottom",
            top="top",
            source=self._bars,
            fill_color=TRACE,
            line_color=None,
        )
        self.drawn.segment("x", "low", "x", "high", source=self._budgets, line_color=BAND, line_width=2)
        self.drawn.text(
            "x", "y", "text", source=self._words, text_color="colour", text_font_size="11px", text_align="right",
            text_baseline="bottom",
        )  # fmt: skip
        self.drawn.yaxis.ticker = [-i + 0.3 for i in range(len(rows))]
        self.drawn.yaxis.major_label_overrides = {-i + 0.3: STAGES[row] for i, row in enumerate(rows)}
        self.drawn.ygrid.grid_line_color = None
        self.drawn.xaxis.axis_label = "milliseconds; red: what the session allows"
        self.drawn.xaxis.ticker = [0.1, 1, 10, 100, 1000, 10_000]
        self.drawn.xaxis.formatter = CustomJSTickFormatter(
            code="return tick >= 1000 ? (tick / 1000) + ' s' : '' + tick"
        )

    def show(self, histograms: Sequence[StageHistogram]) -> None:
        """Show all stages."""
        bars: dict[str, list[float]] = {"left": [], "right": [], "bottom": [], "top": []}
        budgets: dict[str, list[float]] = {"x": [], "low": [], "high": []}
        words: dict[str, list[Any]] = {"x": [], "y": [], "text": [], "colour": []}
        for row, stage in enumerate(histograms):
            filled = np.flatnonzero(stage.counts)
            most = stage.counts.max(initial=1)
            bars["left"] += EDGES_MS[filled].tolist()
            bars["right"] += EDGES_MS[filled + 1].tolist()
            bars["bottom"] += [-row] * len(filled)
            bars["top"] += (-row + 0.75 * np.maximum(stage.counts[filled] / most, 0.06)).tolist()
            if np.isfinite(stage.budget_ms):
                budgets["x"].append(stage.budget_ms)
                budgets["low"].append(-row)
                budgets["high"].append(-row + 0.8)
            if np.isfinite(stage.p50):
                late = stage.p99 > stage.budget_ms
                words["x"].append(9e6)
                words["y"].append(-row)
                words["text"].append(f"p50 {stage.p50:.3g} · p99 {stage.p99:.3g}")
                words["colour"].append(BAND if late else FAINT)
        self._bars.data, self._budgets.data, self._words.data = bars, budgets, words


class SideFigure:
    """What steps of a decoder say beside the samples, one group on one scale: a head's motion, for one."""

    def __init__(self, height: int) -> None:
        self.drawn = _figure("Quality", height, **_fixed_ranges())
        self._source = ColumnDataSource({"x": [], "y": [], "colour": [], "label": []})
        self._limit = ColumnDataSource({"x": [], "y": []})
        self.drawn.multi_line(
            "x", "y", source=self._source, line_color="colour", line_width=1.5, legend_field="label"
        )
        self.drawn.line("x", "y", source=self._limit, line_color=BAND, line_dash="dashed")
        self.drawn.xaxis.axis_label = "seconds from now"
        legend = self.drawn.legend[0]
        legend.location, legend.border_line_color, legend.background_fill_alpha = "top_left", None, 0.7
        legend.label_text_font_size, legend.spacing, legend.padding, legend.glyph_width = "10px", 4, 2, 10
        legend.orientation, legend.ncols = "horizontal", 3
        self.drawn.visible = False

    def show(self, group: SideGroup | None, now: float) -> None:
        """Show a group; hide the figure where there is none."""
        if self.drawn.visible != (group is not None):
            self.drawn.visible = group is not None
        if group is None:
            return
        begins = [times[0] - now for _, times, _ in group.curves if len(times)]
        if begins:
            limit = [group.limit] if np.isfinite(group.limit) else []
            _fit(self.drawn.y_range, np.concatenate([*(v for _, _, v in group.curves), limit]), margin=0.05)
            _fit(self.drawn.x_range, [min(begins), 0.0])
            self._limit.data = {"x": [min(begins), 0.0] * len(limit), "y": limit * 2}
        if self.drawn.title.text != group.title:
            self.drawn.title.text = group.title
            self.drawn.legend[0].visible = len(group.curves) > 1
        self._source.data = {
            "x": [times - now for _, times, _ in group.curves],
            "y": [values for _, _, values in group.curves],
            "colour": [SERIES[i % len(SERIES)] for i in range(len(group.curves))],
            "label": [name for name, _, _ in group.curves],
        }

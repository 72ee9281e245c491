"""A PageView is one open page: what a model gives, laid out in a browser and kept up to date."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

from bokeh.document import Document
from bokeh.events import ConnectionLost
from bokeh.layouts import column, row
from bokeh.models import Button, CustomJS, Div, Select, Slider

from bci.control.page import markup
from bci.control.page.buttons import CommandButtons, Send
from bci.control.page.figures import EvokedFigure, SideFigure, SpectrumFigure, StageFigure, TraceFigure
from bci.control.page.model import PageModel, channel_labels
from bci.control.page.moment import Banner, PageMoment, Tone
from bci.control.page.side_groups import MOST_GROUPS, SideGroup, side_groups
from bci.control.page.style import PAGE, SHEET

#: Channels that are shown at once.
CHANNELS = 16

#: How often a second words, and slow curves, are drawn anew.
WORDS_HZ, CURVES_HZ = 4.0, 1.0

_Figure = TypeVar("_Figure")

_GAINS = ("¼", "½", "1", "2", "4")

#: What stands in the banner of a browser that has lost its session.
_LOST = PageMoment(
    "",
    math.nan,
    math.nan,
    Banner(
        Tone.IDLE,
        "No connection",
        "This page has ended, or its session. What is below is the last that was seen; the session does not depend "
        "on its page. Reload to look again.",
    ),
)


class PageView:
    """One open page.

    Parameters
    ----------
    document : Document
        The browser's.
    model : PageModel
        What is shown.
    updates_hz : float
        How often a second signals are drawn anew.
    send : callable, optional
        Sends a command to the session; None where none can be sent.
    counted : callable
        Called at each update.
    beat : callable
        Called between the parts while it is made.
    """

    def __init__(
        self,
        document: Document,
        model: PageModel,
        *,
        updates_hz: float,
        send: Send | None,
        counted: Callable[[], None] = lambda: None,
        beat: Callable[[], object] = bool,
    ) -> None:
        self._document, self._model, self._counted, self._beat = document, model, counted, beat
        self._hz = updates_hz
        self._ticks = 0
        self._jpeg = b""
        self._stream, self._first = "", 0
        self._texts = {
            name: _div(name) for name in ("banner", "pictures", "alarms", "pairs", "counters", "nodes", "log")
        }
        self._traces = self._made(TraceFigure, 470)
        self._spectrum = self._made(SpectrumFigure, 270)
        self._evoked, self._stages = self._made(EvokedFigure, 270), self._made(StageFigure, 270)
        self._sides = [self._made(SideFigure, 220) for _ in range(MOST_GROUPS)]
        self._which = Select(title="", options=[], width=160, visible=False, name="stream")
        self._which.on_change("value", lambda attr, old, new: self._choose(new))
        self._back = Button(label="◀", width=44, name="back")
        self._on = Button(label="▶", width=44, name="on")
        self._shown = Div(text="", width=190, stylesheets=[SHEET], name="channels")
        self._gain = Select(title="", value="1", options=list(_GAINS), width=70, name="gain")
        self._channel = Select(title="", options=[], width=120, name="channel")
        self._back.on_click(lambda: self._turn(-CHANNELS))
        self._on.on_click(lambda: self._turn(CHANNELS))
        self._buttons = CommandButtons(document, send) if send is not None else None
        self._beat()
        document.title = "Session"
        document.template = PAGE
        layout = self._laid_out()
        self._beat()
        document.add_root(layout)
        self._beat()
        document.js_on_event(
            ConnectionLost,
            CustomJS(
                args={"banner": self._texts["banner"], "text": markup.banner(_LOST)},
                code="banner.text = text",
            ),
        )
        self.draw()
        if model.span is None:
            document.add_periodic_callback(self.draw, max(20, int(1000 / updates_hz)))

    def _made(self, kind: Callable[[int], _Figure], height: int) -> _Figure:
        drawn = kind(height)
        self._beat()
        return drawn

    def _laid_out(self) -> Any:
        labels = [Div(text=words, stylesheets=[SHEET]) for words in ("channels", "gain", "evoked at")]
        tools = row(
            self._which, self._back, self._on, self._shown, labels[1], self._gain, labels[2], self._channel,
            sizing_mode="stretch_width",
        )  # fmt: skip
        beside: list[Any] = [self._texts["pictures"]]
        if self._buttons is not None:
            beside.append(self._buttons.layout)
        beside.append(self._texts["alarms"])
        signals = column(tools, self._traces.drawn, sizing_mode="stretch_width")
        parts: list[Any] = [self._texts["banner"]]
        if self._model.span is not None:
            parts.append(self._scrubber(*self._model.span))
        parts += [
            row(signals, column(*beside, width=330), sizing_mode="stretch_width", spacing=14),
            row(
                self._spectrum.drawn, self._evoked.drawn, self._stages.drawn,
                sizing_mode="stretch_width", spacing=14,
            ),
            row(*(figure.drawn for figure in self._sides), sizing_mode="stretch_width", spacing=14),
            row(
                *(self._texts[name] for name in ("counters", "nodes", "log")),
                sizing_mode="stretch_width", spacing=14,
            ),
            self._texts["pairs"],
        ]  # fmt: skip
        return column(*parts, sizing_mode="stretch_width", spacing=12)

    def _scrubber(self, start: float, stop: float) -> Any:
        """Return what moves through a finished session."""
        slider = Slider(
            start=0.0,
            end=max(0.1, stop - start),
            step=0.1,
            value=self._model.now - start,
            title="seconds since the session began",
            sizing_mode="stretch_width",
            name="scrub",
        )

        def seek(attr: str, old: float, new: float) -> None:
            self._model.seek(start + new)
            self.draw()

        def step(by: float) -> Callable[[], None]:
            def stepped() -> None:
                slider.value = min(slider.end, max(0.0, slider.value + by))

            return stepped

        slider.on_change("value_throttled", seek)
        slider.on_change("value", seek)
        buttons = []
        for label, by in (("−10 s", -10.0), ("−1 s", -1.0), ("+1 s", 1.0), ("+10 s", 10.0)):
            button = Button(label=label, width=64, name=f"step {by:g}")
            button.on_click(step(by))
            buttons.append(button)
        return row(slider, *buttons, sizing_mode="stretch_width")

    # -- what the operator chooses -----------------------------------------------------------------------

    def _choose(self, stream: str) -> None:
        if stream in self._model.streams:
            self._stream, self._first = stream, 0

    def _turn(self, by: int) -> None:
        total = self._channel_count()
        if 0 <= self._first + by < total:
            self._first += by

    def _channel_count(self) -> int:
        signal = self._model.streams.get(self._stream)
        return 0 if signal is None else math.prod(signal.shape)

    def _offer_streams(self) -> None:
        names = list(self._model.streams)
        if names and self._stream not in names:
            self._stream = names[0]
            self._channel.options = list(channel_labels(self._model.streams[names[0]]))[:512]
            self._channel.value = self._channel.options[0]
        if names != self._which.options:
            self._which.options, self._which.visible = names, len(names) > 1
            self._which.value = self._stream

    # -- drawing -----------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw what is new: signals each time, words and slow curves more rarely."""
        self._model.look()
        self._counted()
        every = self._model.span is not None or self._ticks == 0
        self._offer_streams()
        self._draw_signals()
        self._beat()
        if every or self._is_due(WORDS_HZ):
            self._draw_words()
        if every or self._is_due(CURVES_HZ):
            self._draw_curves()
            self._draw_pairs()
        self._ticks += 1

    def _is_due(self, hz: float) -> bool:
        return self._ticks % max(1, round(self._hz / hz)) == 0

    def _draw_signals(self) -> None:
        signal = self._model.streams.get(self._stream)
        if signal is None:
            return
        total = self._channel_count()
        channels = slice(self._first, min(self._first + CHANNELS, total))
        picture = self._model.traces(self._stream, channels)
        if picture is None:
            return
        self._traces.show(
            picture,
            channel_labels(signal)[channels],
            signal.unit,
            self._model.now,
            self._model.seconds(self._stream),
            (0.25, 0.5, 1.0, 2.0, 4.0)[_GAINS.index(self._gain.value)],
            self._model.gaps(self._stream),
        )
        words = f"channels {self._first + 1} to {channels.stop} of {total}"
        if words != self._shown.text:
            self._shown.text = words
            self._back.disabled, self._on.disabled = self._first == 0, channels.stop == total

    def _draw_words(self) -> None:
        moment = self._model.moment()
        self._say("banner", markup.banner(moment))
        self._say("pictures", markup.pictures(moment.pictures))
        self._say("alarms", markup.alarms(moment.alarms))
        self._say("counters", markup.counters(moment.counters))
        self._say("nodes", markup.nodes(moment.nodes))
        self._say("log", markup.log(moment.log))
        if self._document.title != moment.name:
            self._document.title = moment.name
        if self._buttons is not None:
            self._buttons.allow(
                moment.no_commands, None if moment.progress is None else moment.progress.stage
            )

    def _draw_pairs(self) -> None:
        jpeg = self._model.pairs()
        if jpeg != self._jpeg:
            self._jpeg = jpeg
            self._say("pairs", markup.pairs(jpeg, over=self._model.span is not None))
        if self._texts["pairs"].visible != bool(jpeg):
            self._texts["pairs"].visible = bool(jpeg)

    def _say(self, name: str, text: str) -> None:
        if self._texts[name].text != text:
            self._texts[name].text = text

    def _draw_curves(self) -> None:
        model = self._model
        signal = model.streams.get(self._stream)
        if signal is not None:
            channels = slice(self._first, min(self._first + CHANNELS, self._channel_count()))
            self._spectrum.show(model.spectrum(self._stream, channels), signal.unit)
            first = next(iter(model.streams.values()))
            if self._channel.value in self._channel.options:
                place = self._channel.options.index(self._channel.value)
                responses, channel = model.evoked(), self._channel.value
                self._evoked.show(responses, model.events_left_out(), place, channel, first.unit)
        self._stages.show(model.stage_times())
        groups: list[SideGroup | None] = [*side_groups(model.sides())]
        for figure, group in zip(self._sides, groups + [None] * MOST_GROUPS, strict=False):
            figure.show(group, model.now)


def _div(name: str) -> Div:
    return Div(text="", name=name, sizing_mode="stretch_width", stylesheets=[SHEET])

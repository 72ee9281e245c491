"""A page that is made for a browser lets the program's heart beat meanwhile."""

import math
from collections.abc import Mapping, Sequence

import pytest
from bokeh.document import Document
from test_moment import WELL

from bci.control.page.evoked import EvokedResponse
from bci.control.page.model import GapBand, SideCurve
from bci.control.page.moment import PageMoment, banner_of
from bci.control.page.spectrum import Spectrum
from bci.control.page.stages import StageHistogram
from bci.control.page.traces import TracePicture
from bci.control.page.view import PageView
from bci.signal.types import Signal


class EmptyModel:
    """A session that has no signals yet; it notes each look."""

    span = None
    now = 0.0
    streams: dict[str, Signal] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.notes: list[str] = []

    def look(self) -> None:
        self.notes.append("look")

    def seek(self, at: float) -> None:
        raise AssertionError("what runs is not scrubbed")

    def moment(self) -> PageMoment:
        return PageMoment("s1", 1.0, math.nan, banner_of(WELL, 1.0))

    def traces(self, stream: str, channels: slice) -> TracePicture | None:
        return None

    def gaps(self, stream: str) -> Sequence[GapBand]:
        return []

    def seconds(self, stream: str) -> float:
        return 10.0

    def spectrum(self, stream: str, channels: slice) -> Spectrum | None:
        return None

    def evoked(self) -> Sequence[EvokedResponse]:
        return []

    def events_left_out(self) -> Mapping[str, int]:
        return {}

    def stage_times(self) -> Sequence[StageHistogram]:
        return []

    def sides(self) -> Sequence[SideCurve]:
        return []

    def pairs(self) -> bytes:
        return b""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_heart_beats_between_the_parts_of_a_page_that_is_made() -> None:
    model, document = EmptyModel(), Document()

    def beat() -> None:
        model.notes.append("beat")

    PageView(document, model, updates_hz=8, send=None, beat=beat)
    made, drawn = "".join(note[0] for note in model.notes).split("l")
    assert made.count("b") >= 7, "after each of five figures, and before and after it is laid out"
    assert drawn.count("b") >= 1
    assert document.title == "s1"

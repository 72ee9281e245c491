"""The operator's preview: every stimulus beside what was read of that very trial, outside the hot path."""

import logging
import math
import multiprocessing
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pygame
import pytest
from PIL import Image

from bci.control.posts import COUNTERS
from bci.memory.alarms import SHOWN_NEUTRAL
from bci.memory.board import Board, State
from bci.memory.frames import frame_columns, shown_columns, write_frame
from bci.memory.marks import create_marks, write_mark
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.memory.trial_parts import create_responses
from bci.signal.clock import ManualClock
from bci.signal.types import Event, MarkKind, Reconstruction, Shown, event_of
from stimuli.display.monitors import Monitor
from stimuli.operator import preview
from stimuli.operator.fitness_curve import HEIGHT, FitnessCurve, with_curve
from stimuli.operator.pair_sheet import Pair, draw_pairs, sheet_size
from stimuli.operator.pairing import Pairing
from stimuli.operator.placing import GAP, choose, has_room, side_by_side

SIDE = 8


class Line:
    """The rings that a preview looks at, and what a session writes into them."""

    def __init__(self, name: str) -> None:
        self.shown = Ring.create(name + "s", shown_columns(SIDE, SIDE, 2), 16, 4)
        self.frames = Ring.create(name + "f", frame_columns(SIDE, SIDE, 2), 16, 4)
        self.marks = create_marks(name + "d", readers=1)
        self.trials = 0

    def pairing(self, keep: int = 8, curve: FitnessCurve | None = None) -> Pairing:
        rings = {0: self.frames}, {0: self.marks}
        return Pairing(self.shown, *rings, keep=keep, curve=curve, limits_s={0: 0.005})

    def flip(
        self, level: int, when: float, kind: Shown = Shown.STIMULUS, decoder: int = 0, name: str | None = None
    ) -> None:
        place = self.shown.claim(1)
        place["image"][0] = level
        place["shown"]["kind"], place["shown"]["flip"] = kind, when
        place["shown"]["decoder"] = decoder
        place["shown"]["reason"] = (name or f"face-{level}").encode()
        place["shown"]["trial"] = self.trials if kind is Shown.STIMULUS else -1
        self.trials += kind is Shown.STIMULUS
        self.shown.commit(1)

    def lose(self, when: float) -> None:
        write_mark(self.marks, MarkKind.EPOCH_LOST, -1, time=when, value=when, detail="gap: stimulus 0 face")

    def decode(
        self,
        flip: float,
        level: int,
        *,
        valid: bool = True,
        confidence: float = 0.5,
        read: float = 0.0,
        uncertainty: float = math.nan,
        repeats: int = 1,
    ) -> None:
        frame = Reconstruction(
            np.full((SIDE, SIDE, 3), level, np.uint8),
            np.full(2, read, np.float32),
            confidence,
            valid,
            "" if valid else "masked 30 % > 20 %",
            50,
            59,
            event=Event(flip + 1e-4, "stimulus 0 face", 0, flip, uncertainty=uncertainty),
            repeats=repeats,
        )
        write_frame(self.frames, frame)

    def close(self) -> None:
        for ring in (self.shown, self.frames, self.marks):
            ring.close()


@pytest.fixture
def line(segment_name: str) -> Iterator[Line]:
    made = Line(segment_name)
    yield made
    made.close()


def lines(pairing: Pairing) -> list[str]:
    return [pair.line for pair in pairing.pairs]


def test_a_stimulus_is_paired_with_its_own_epoch_and_not_with_the_newest_frame(line: Line) -> None:
    pairing = line.pairing()
    line.flip(10, 100.0)
    line.flip(128, 100.4, Shown.FIXATION)
    line.flip(20, 101.0)
    # The first trial's reconstruction comes when the second stimulus is on the screen already.
    line.decode(100.0, 11)
    assert pairing.look()
    first, second = pairing.pairs
    assert (first.name, first.seen[0, 0, 0], second.name) == ("face-10", 10, "face-20")
    assert first.read is not None
    assert first.read[0, 0, 0] == 11
    assert second.read is None
    assert lines(pairing) == ["confidence 0.50", "…"]
    assert not pairing.look()
    # A frame around something else belongs to no stimulus.
    line.decode(99.0, 99)
    assert not pairing.look()
    line.decode(101.0, 21, confidence=math.nan)
    assert pairing.look()
    assert lines(pairing) == ["confidence 0.50", "confidence none"]
    line.flip(20, 102.0)
    line.decode(102.0, 22, repeats=3)
    assert pairing.look()
    assert lines(pairing)[-1] == "mean of 3: 0.50"


def test_the_fitness_of_what_was_read_is_gathered_by_optimiser_and_generation_and_drawn(line: Line) -> None:
    curve = FitnessCurve.of({"fitness": "value", "value": 1}, reading=2)
    pairing = line.pairing(curve=curve)
    fitness = {"cma-0-0": 1.0, "cma-0-1": 3.0, "random-0-0": 2.0, "reference-0-0": 1.5, "cma-1-0": 6.0}
    for k, (name, value) in enumerate(fitness.items()):
        line.flip(k, 100.0 + k, name=name)
        line.decode(100.0 + k, k, read=value)
    line.flip(9, 200.0, name="cma-1-1")
    line.decode(200.0, 9, read=90.0, valid=False)
    line.flip(9, 201.0, name="cma-1-2")
    line.decode(201.0, 9, read=90.0, uncertainty=0.02)
    pairing.look()
    assert lines(pairing)[-1] == "uncertain time: ±20.0 ms"
    assert curve.means == {"cma": [(0, 2.0), (1, 6.0)], "random": [(0, 2.0)], "reference": [(0, 1.5)]}
    sheet = draw_pairs(pairing.pairs, "evolve", "newest", room=8)
    both = with_curve(sheet, curve)
    assert both.size == (sheet.width, sheet.height + HEIGHT)
    below = np.asarray(both)[sheet.height :]
    assert (below == (0x1F, 0x6F, 0x78)).all(axis=2).sum() > 400, "the line of the first optimiser"
    assert with_curve(sheet, None) is sheet
    assert FitnessCurve.of({"fitness": "value", "value": 1}, reading=2).draw(300).size == (300, HEIGHT)


def test_a_trial_is_paired_with_what_the_decoder_read_that_it_shows(line: Line, segment_name: str) -> None:
    other = Line(segment_name + "o")
    try:
        pairing = Pairing(
            line.shown, {0: line.frames, 2: other.frames}, {0: line.marks, 2: other.marks}, keep=8
        )
        line.flip(10, 100.0)
        line.flip(20, 101.0, decoder=2)
        # Both decoders read both trials.
        for decoder, level in ((line, 1), (other, 5)):
            decoder.decode(100.0, 10 + level)
            decoder.decode(101.0, 20 + level)
        other.lose(100.0)
        assert pairing.look()
        assert [pair.read[0, 0, 0] for pair in pairing.pairs if pair.read is not None] == [11, 25]
        assert lines(pairing) == ["confidence 0.50"] * 2
    finally:
        other.close()


def test_a_trial_without_a_picture_says_why(line: Line) -> None:
    pairing = line.pairing()
    line.flip(10, 100.0)
    line.flip(20, 101.0)
    line.decode(100.0, 11, valid=False)
    line.lose(101.0)
    pairing.look()
    assert lines(pairing) == ["invalid: masked 30 % > 20 %", "no epoch: gap"]
    assert all(pair.read is None for pair in pairing.pairs)


def test_the_oldest_trials_leave_and_what_was_overwritten_is_counted(line: Line) -> None:
    pairing = line.pairing(keep=3)
    for number in range(5):
        line.flip(number, 100.0 + number)
    pairing.look()
    assert [(pair.trial, pair.name) for pair in pairing.pairs] == [(n, f"face-{n}") for n in (2, 3, 4)]
    line.decode(100.0, 11)
    assert not pairing.look()
    for number in range(40):
        line.flip(number, 200.0 + number)
    pairing.look()
    assert pairing.lost >= 40 - 16
    assert pairing.trials + pairing.lost == 45


class Turning(ManualClock):
    """A clock that a program turns by sleeping, and that does things at times."""

    def __init__(self, script: dict[float, Any]) -> None:
        super().__init__(0.0)
        self._script = sorted(script.items())

    def sleep_until(self, when: float) -> None:
        super().sleep_until(when)
        while self._script and self._script[0][0] <= when:
            self._script.pop(0)[1]()


def test_the_file_is_whole_at_any_time_and_nothing_on_the_rings_is_changed(
    line: Line, tmp_path: Path
) -> None:
    path = tmp_path / "preview.png"
    seen: list[tuple[int, int]] = []
    near, far = multiprocessing.Pipe()

    def answer() -> None:
        with Image.open(path) as sheet:
            sheet.load()
            seen.append(sheet.size)
        line.decode(0.5, 200)

    clock = Turning(
        {
            0.5: lambda: line.flip(10, 0.5),
            2.2: answer,
            2.5: lambda: near.send(Order(STOP)),
        }
    )
    spec = {
        "kind": "file", "monitor": None, "pairs": 8, "caption": "loop: SIMULATED EEG", "decoders": (0,),
        "participant_monitor": 0, "screen": False,
    }  # fmt: skip
    rings = {"shown": line.shown.handle, "frames": line.frames.handle, "decode_marks": line.marks.handle}
    program = Program(
        Launch("preview", "", spec, str(tmp_path), "", rings=rings),
        far,
        Board.private({"preview": COUNTERS["preview"]}),
        clock,
    )
    preview.main(program)
    program.close()
    assert seen == [sheet_size(8)]
    with Image.open(path) as sheet:
        assert {10, 200} <= set(np.unique(np.asarray(sheet.convert("L"))).tolist())
    assert [p.name for p in tmp_path.iterdir()] == ["preview.png"]
    told = dict([near.recv() for _ in range(3)])
    assert told["ready"]["window"] is False
    assert told["report"]["paired"] == 1
    assert (line.shown.count, line.frames.count, line.marks.count) == (1, 1, 0)


def test_keys_in_the_operator_s_window_are_passed_on_as_far_as_they_mean_something(
    tmp_path: Path, segment_name: str, monkeypatch: pytest.MonkeyPatch, line: Line
) -> None:
    near, far = multiprocessing.Pipe()
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    spec = {
        "kind": "window", "monitor": None, "pairs": 8, "caption": "loop", "decoders": (0,), "participant_monitor": 0,
        "participant_size": None, "screen": True, "keys": ("p", "q"),
    }  # fmt: skip

    def press(key: int) -> None:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))

    clock = Turning(
        {0.5: lambda: press(pygame.K_p), 0.8: lambda: press(pygame.K_x), 1.2: lambda: near.send(Order(STOP))}
    )
    with create_responses(segment_name + "o") as keys:
        rings = {
            "shown": line.shown.handle, "frames": line.frames.handle, "decode_marks": line.marks.handle,
            "operator_keys": keys.handle,
        }  # fmt: skip
        launch = Launch("preview", "", spec, str(tmp_path), "", rings=rings)
        program = Program(launch, far, Board.private({"preview": COUNTERS["preview"]}), clock)
        preview.main(program)
        program.close()
        events = [event_of(record) for record in keys.read(0, keys.count)["event"]]
    assert [event.text for event in events if event] == ["key p"]


def test_a_sheet_grows_by_rows_and_keeps_room_for_what_will_come() -> None:
    pair = Pair(0, "face", np.zeros((4, 8, 3), np.uint8), 1.0)
    assert draw_pairs([pair] * 9, "title", "line").size == sheet_size(9) == sheet_size(16)
    assert draw_pairs([], "title", "line", room=9).size == sheet_size(9)
    assert sheet_size(1)[1] < sheet_size(9)[1]


def test_a_sheet_of_a_session_that_reads_nothing_shows_stimuli_and_their_names() -> None:
    pair = Pair(0, "cats/01", np.full((8, 8, 3), 200, np.uint8), 1.0)
    sheet = draw_pairs([pair] * 9, "title", "line", read=False)
    assert sheet.size == sheet_size(9, read=False)
    assert sheet.size[1] < sheet_size(9)[1]
    pixels = np.asarray(sheet)
    assert (pixels == 200).all(axis=2).sum() >= 9 * 96 * 96
    other = draw_pairs([Pair(0, "dogs/02", pair.seen, 1.0)] * 9, "title", "line", read=False)
    assert (np.asarray(other) != pixels).any()


@pytest.mark.parametrize(
    ("monitors", "wanted", "kind", "chosen"),
    [
        (2, None, "auto", 1),
        (2, None, "window", 1),
        (2, 0, "auto", 0),
        (1, None, "auto", None),
        (1, None, "window", 0),
    ],
)
def test_the_preview_keeps_off_the_participant_s_monitor_where_it_can(
    monitors: int, wanted: int | None, kind: str, chosen: int | None
) -> None:
    there_are = tuple(Monitor(i, f"screen {i}", (800, 600), 60) for i in range(monitors))
    found = choose(there_are, wanted, 0, kind)
    assert (found.index if found else None) == chosen


DESK = Monitor(0, "desk", (1920, 1080), 60)
LEFT = Monitor(0, "to the left of another", (1920, 1200), 60, (-1920, 40))
LAB = Monitor(1, "lab", (1920, 1080), 60, (1920, 0))
SMALL = Monitor(0, "laptop", (1366, 768), 60)


@pytest.mark.parametrize("monitor", [DESK, LEFT, SMALL, Monitor(0, "tiny", (640, 480), 60)])
@pytest.mark.parametrize("left", [(160, 120), (800, 600), (1000, 1300)])
def test_two_windows_on_one_monitor_stand_side_by_side_or_cover_each_other_as_little_as_they_can(
    monitor: Monitor, left: tuple[int, int]
) -> None:
    right = sheet_size(24)
    (x, y), (other_x, other_y) = side_by_side(monitor, left, right)
    begins, ends = monitor.origin[0], monitor.origin[0] + monitor.size[0]
    assert x >= begins
    assert min(y, other_y) >= monitor.origin[1]
    if has_room(monitor, left, right):
        assert other_x - (x + left[0]) == GAP
        assert abs((x - begins) - (ends - other_x - right[0])) <= 1
    else:
        assert x == begins
        assert other_x == max(begins, ends - right[0])


class Screen:
    """What `open_screen` asks of a program."""

    def __init__(self, **spec: Any) -> None:
        self.log = logging.getLogger("preview")
        self.spec = {
            "kind": "window", "monitor": None, "pairs": 24, "caption": "loop", "participant_monitor": 0,
            "participant_size": (800, 600), "screen": True,
        } | spec  # fmt: skip


def places(monkeypatch: pytest.MonkeyPatch, there_are: tuple[Monitor, ...], **spec: Any) -> tuple[int, int]:
    """Open the operator's window; return where it stands."""
    monkeypatch.setattr(preview, "monitors", lambda: there_are)
    program: Any = Screen(**spec)
    screen = preview.open_screen(program)
    assert isinstance(screen, preview.PreviewWindow)
    with screen:
        return pygame.display.get_window_position()


def test_the_operator_s_window_stands_beside_the_participant_s(monkeypatch: pytest.MonkeyPatch) -> None:
    assert places(monkeypatch, (DESK,)) == (911, 168)
    # In full screen, or on another monitor, there is nothing to stand beside.
    centred = places(monkeypatch, (DESK,), participant_size=None)
    assert centred != (911, 168)
    assert places(monkeypatch, (DESK, LAB), participant_monitor=1, kind="auto") == centred


def test_two_windows_that_overlap_are_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert places(monkeypatch, (SMALL,)) == (1366 - 914, 12)
    assert "overlap on monitor 0 'laptop'" in caplog.text


def test_what_another_window_uncovers_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "monitors", lambda: (DESK,))
    program: Any = Screen()
    screen = preview.open_screen(program)
    assert isinstance(screen, preview.PreviewWindow)
    flips: list[int] = []
    with screen:
        screen.tend()
        monkeypatch.setattr(pygame.display, "flip", lambda: flips.append(1))
        screen.tend()
        assert not flips
        pygame.event.post(pygame.event.Event(pygame.WINDOWEXPOSED))
        screen.tend()
    assert flips == [1]


def test_an_unplugged_amplifier_is_seen_in_the_preview_too(line: Line, tmp_path: Path) -> None:
    """Within the data-age limit and one look; red across the top, and gone with the data's return."""
    near, far = multiprocessing.Pipe()
    board = Board.private({name: COUNTERS[name] for name in ("acquire", "display", "preview")})
    acquire = board.row("acquire")
    tops: dict[float, tuple[int, int, int]] = {}

    def live(at: float, *, data: bool) -> None:
        for name in ("acquire", "display"):
            board.row(name)["state"], board.row(name)["beat"] = State.RUNNING, at
        acquire["data_limit"] = 0.5
        if data:
            acquire["data"] = at
        board.row("display")["neutral"] = 0 if data else SHOWN_NEUTRAL

    def look(at: float) -> None:
        with Image.open(tmp_path / "preview.png") as sheet:
            tops[at] = sheet.convert("RGB").getpixel((2, 2))

    script: dict[float, Any] = {}
    for tenth in range(1, 90):
        at = tenth / 10
        script[at] = partial(live, at, data=at < 2.0 or at >= 5.0)
    script |= {at + 0.05: partial(look, at) for at in (1.8, 4.5, 7.0)}
    script[8.5] = lambda: near.send(Order(STOP))
    spec = {
        "kind": "file", "monitor": None, "pairs": 8, "caption": "loop", "decoders": (0,), "participant_monitor": 0,
        "screen": False,
    }  # fmt: skip
    rings = {"shown": line.shown.handle, "frames": line.frames.handle, "decode_marks": line.marks.handle}
    program = Program(
        Launch("preview", "", spec, str(tmp_path), "", rings=rings), far, board, Turning(script)
    )
    drawn: list[tuple[str, ...]] = []

    def remember(*given: Any, alarms: Sequence[str] = (), **more: Any) -> Image.Image:
        drawn.append(tuple(alarms))
        return draw_pairs(*given, alarms=alarms, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview, "draw_pairs", remember)
        preview.main(program)
    program.close()
    assert tops == {1.8: (255, 255, 255), 4.5: (185, 28, 28), 7.0: (255, 255, 255)}
    assert ("NO DATA 0.6 s, neutral",) in drawn
    assert ("NO DATA 3.0 s, neutral",) in drawn

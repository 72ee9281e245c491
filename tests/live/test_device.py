"""A board is on the network as streams that say what they hold; silence and losses are said, nothing is made up."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from commands import call

from bci.errors import StreamError
from bci.io.devices.amplifier import Amplifier, Group, Handed, board_number, groups_of
from bci.io.lsl.markers import MarkerSource
from bci.io.lsl.source import LslSource
from bci.live.device import SILENT_S, DevicePlayer
from bci.memory.lsl_clock import LslClock
from bci.signal.clock import ManualClock
from bci.signal.types import Signal

pytest.importorskip("brainflow")


def description(**changes: Any) -> dict[str, Any]:
    """A board as BrainFlow describes one."""
    return {
        "name": "Board", "sampling_rate": 250, "timestamp_channel": 9, "package_num_channel": 0, "marker_channel": 10,
        "eeg_channels": [1, 2], "emg_channels": [1, 2, 3], "eeg_names": "Fz,Cz", "accel_channels": [4, 5, 6],
        "num_rows": 11, **changes,
    }  # fmt: skip


def test_rows_that_are_listed_twice_are_sent_once() -> None:
    electrodes, motion = groups_of(description(), "board")
    assert (electrodes.kind, electrodes.signal.unit, electrodes.rows) == ("EEG", "uV", (1, 2, 3))
    assert electrodes.signal.channels == ("Fz", "Cz", "EMG3")
    assert (motion.name, motion.signal.unit, motion.signal.rate) == ("accel", "g", 250.0)


@pytest.mark.parametrize(
    "changes", [{"sampling_rate": 0}, {"eeg_channels": [], "emg_channels": [], "accel_channels": []}]
)
def test_a_description_that_promises_no_stream_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(StreamError, match="expected a board with"):
        groups_of(description(**changes), "board")


class FakeBoard:
    """Hands over what a test gives it; raises what a test wants raised."""

    rate = 250.0

    def __init__(self, given: list[Any]) -> None:
        self.groups = [Group("eeg", "EEG", Signal("Fake", 250.0, (2,), ("Fz", "Cz"), "uV"), (1, 2))]
        self._given, self.closed = given, False

    def take(self) -> Handed:
        told = self._given.pop(0) if self._given else (0, 0.0)
        if isinstance(told, Exception):
            raise told
        first, newest = told
        n = 5 if newest else 0
        counter = first + np.arange(float(n))
        table = np.vstack([counter, counter * 10, -counter])
        marks = [(2, "7")] if n else []
        return Handed(table, counter, newest - (n - 1 - np.arange(n)) / 250.0, marks)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def line() -> Iterator[tuple[DevicePlayer, ManualClock, list[FakeBoard], list[Any]]]:
    clock, boards, given = ManualClock(50.0), [], []

    def open_board() -> Any:
        boards.append(FakeBoard(given))
        return boards[-1]

    with DevicePlayer(open_board, clock, "test-device-fake") as player:
        yield player, clock, boards, given


def test_a_board_that_falls_silent_is_opened_again(
    line: tuple[DevicePlayer, ManualClock, list[FakeBoard], list[Any]],
) -> None:
    player, clock, boards, given = line
    given += [(0, 50.02), (8, 50.04)]
    player.look()
    player.look()
    assert (player.sent, player.markers, player.lost, player.silent) == (10, 2, 3, 0)
    clock.advance(SILENT_S + 0.1)
    player.look()
    assert boards[0].closed
    given += [(0, clock.now() + 0.1)]
    player.look()
    assert (len(boards), player.reopened, player.sent, player.lost) == (2, 1, 15, 3)


def test_a_lost_board_is_said_and_tried_again(
    line: tuple[DevicePlayer, ManualClock, list[FakeBoard], list[Any]],
) -> None:
    player, _, boards, given = line
    given += [StreamError("unplugged"), (0, 51.0)]
    with pytest.raises(StreamError, match="unplugged"):
        player.look()
    player.look()
    assert (len(boards), boards[0].closed, player.sent) == (2, True, 5)


def test_brainflows_own_synthetic_board_arrives_over_the_network() -> None:
    clock = LslClock()
    with (
        DevicePlayer(lambda: Amplifier("synthetic", clock, {}), clock, "test-device-real") as player,
        LslSource("test-device-real", clock=clock, timeout=10) as source,
        MarkerSource("test-device-real-markers", clock=clock, timeout=10) as markers,
    ):
        assert player._board is not None
        windows, seen, until = [], [], clock.now() + 1.5
        while clock.now() < until:
            if len(windows) == 5 and not seen:
                player._board._shim.insert_marker(7.0)
            player.look()
            if (window := source.pull(0.02)) is not None:
                windows.append(window)
            seen += markers.pull()
        times = np.concatenate([window.times for window in windows])
        signal = source.info.signal
        assert (signal.rate, signal.unit, signal.shape, signal.channels[:2]) == (
            250.0,
            "uV",
            (16,),
            ("Fz", "C3"),
        )
        assert len(times) > 100
        assert np.median(np.diff(times)) == pytest.approx(1 / 250, rel=0.05)
        assert abs(times[-1] - clock.now()) < 0.5
        assert [event.text for event in seen][:1] == ["7"]
        assert player.lost == 0


def test_boards_are_known_by_name_and_strangers_refused() -> None:
    assert board_number("Cyton-Daisy") == 2
    with pytest.raises(StreamError, match="did you mean 'cyton'"):
        board_number("cytoon")
    done = call("device", "--json")
    assert done.result["boards"]["synthetic"] == -1
    done = call("device", "cyton", "--serial-port", "/dev/nowhere")
    assert done.status == 2
    assert "--serial-port" in done.words

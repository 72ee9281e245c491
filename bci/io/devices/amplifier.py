"""An Amplifier is a board that BrainFlow knows, read directly: its channels, units, rate, markers and stamps.

BrainFlow hands out a table of rows: channels in microvolts, motion in g and degrees a second, a counter, a stamp of the
time of day at which each sample arrived, and a row for markers (BrainFlow's documentation, "Data Format
Description").
"""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import StreamError, nearest
from bci.memory.closing import Closing
from bci.signal.clock import Clock
from bci.signal.types import Signal

#: Rows of electrodes by BrainFlow's names, and the type that a stream of them has.
_ELECTRODES = (("eeg", "EEG"), ("emg", "EMG"), ("ecg", "ECG"), ("eog", "EOG"))

#: Rows beside them: BrainFlow's name, type of the stream, unit.
_BESIDE = (
    ("accel", "Accelerometer", "g"),
    ("gyro", "Gyroscope", "deg/s"),
    ("ppg", "PPG", ""),
    ("eda", "EDA", ""),
    ("temperature", "Temperature", ""),
    ("other", "Other", ""),
)

#: Samples that BrainFlow keeps for a reader that lags.
_KEPT = 450_000

#: Python's name of each parameter of a connection.
PARAMETERS = (
    "serial_port",
    "mac_address",
    "ip_address",
    "ip_port",
    "serial_number",
    "other_info",
    "file",
    "master_board",
)


@dataclass(frozen=True, slots=True)
class Group:
    """A Group is the rows of a board that make one stream.

    Attributes
    ----------
    name : str
        ``eeg``, ``accel`` …: the end of the stream's source id, where it is not the first.
    kind : str
        Type of the stream: ``EEG``, ``Accelerometer`` …
    signal : Signal
        What it carries.
    rows : tuple of int
        Where in the board's table.
    """

    name: str
    kind: str
    signal: Signal
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Handed:
    """A Handed is what a board has handed over since it was asked last.

    Attributes
    ----------
    table : (rows, n) float64
        As BrainFlow gives it.
    counter : (n,) float64
        The board's own count; NaN where it has none.
    arrivals : (n,) float64
        When each sample arrived, session seconds.
    markers : list of (int, str)
        Place of the sample, and the marker.
    """

    table: NDArray[np.float64]
    counter: NDArray[np.float64]
    arrivals: NDArray[np.float64]
    markers: list[tuple[int, str]] = field(default_factory=list)


def board_names() -> dict[str, int]:
    """Return every board that BrainFlow knows, by a name such as ``cyton``, and BrainFlow's number of it."""
    return {
        board.name.removesuffix("_BOARD").lower().replace("_", "-"): int(board.value)
        for board in _library().BoardIds
        if board.name != "NO_BOARD"
    }


def board_number(name: str) -> int:
    """Return BrainFlow's number of a board.

    Raises
    ------
    StreamError
        If there is none of that name.
    """
    known = board_names()
    wanted = name.lower().replace("_", "-").removesuffix("-board")
    if wanted not in known:
        raise StreamError(
            f"expected a board that BrainFlow knows, came {name!r}{nearest(wanted, known)}. `bci device` lists them."
        )
    return known[wanted]


def groups_of(description: Mapping[str, Any], name: str) -> list[Group]:
    """Return the streams that a board's description promises, electrodes first.

    Parameters
    ----------
    description : mapping
        ``BoardShim.get_board_descr``.
    name : str
        What the streams are called.

    Raises
    ------
    StreamError
        If it has no rate, no stamps, or nothing that can be a stream.
    """
    rate = float(description.get("sampling_rate") or 0)
    if not rate or "timestamp_channel" not in description:
        raise StreamError(f"{name}: expected a board with a rate and stamps, came {dict(description)!r}.")
    groups = [group for group in [_electrodes(description, name, rate)] if group]
    taken = {row for group in groups for row in group.rows}
    for key, kind, unit in _BESIDE:
        rows = tuple(row for row in description.get(f"{key}_channels", ()) if row not in taken)
        if rows:
            labels = tuple(f"{key}{k}" for k in range(1, len(rows) + 1))
            signal = Signal(f"{name} {kind}", rate, (len(rows),), labels, unit)
            groups.append(Group(key, kind, signal, rows))
    if not groups:
        raise StreamError(
            f"{name}: expected a board with channels, came none in BrainFlow's description of it."
        )
    return groups


def _electrodes(description: Mapping[str, Any], name: str, rate: float) -> Group | None:
    """Return the stream of all electrodes, each row once: boards list the same rows under several names."""
    rows: list[int] = []
    labels: list[str] = []
    kinds: list[str] = []
    named = [label.strip() for label in str(description.get("eeg_names", "")).split(",") if label.strip()]
    for key, kind in _ELECTRODES:
        listed = description.get(f"{key}_channels", ())
        for k, row in enumerate(listed):
            if row not in rows:
                rows.append(row)
                labels.append(named[k] if key == "eeg" and len(named) == len(listed) else f"{kind}{k + 1}")
                kinds.append(kind)
    if not rows:
        return None
    return Group(
        kinds[0].lower(), kinds[0], Signal(name, rate, (len(rows),), tuple(labels), "uV"), tuple(rows)
    )


class Amplifier(Closing):
    """An Amplifier delivers samples from when it is made until it is closed.

    Parameters
    ----------
    name : str
        As `board_names` has it.
    clock : Clock
        The session clock.
    parameters : mapping
        How it is connected: keys of `PARAMETERS`.

    Attributes
    ----------
    groups : list of Group
        The streams that it makes, electrodes first.
    rate : float
        Samples per second, nominal.

    Raises
    ------
    StreamError
        If BrainFlow does not know it, cannot reach it, or it does not start.
    """

    def __init__(self, name: str, clock: Clock, parameters: Mapping[str, Any]) -> None:
        library = _library()
        number = board_number(name)
        given = library.BrainFlowInputParams()
        for key, value in parameters.items():
            if value is not None:
                setattr(given, key, board_number(value) if key == "master_board" else value)
        self._clock, self._name = clock, name
        with _refusing(name, library, parameters):
            self._shim: Any = library.BoardShim(number, given)
            described = library.BoardShim.get_board_descr(self._shim.get_board_id())
            self._shim.prepare_session()
        self.groups = groups_of(described, str(described.get("name", name)))
        self.rate = float(described["sampling_rate"])
        self._stamps = int(described["timestamp_channel"])
        self._counter = described.get("package_num_channel")
        self._markers = described.get("marker_channel")
        self._library = library
        with _refusing(name, library, parameters):
            self._shim.start_stream(_KEPT)

    def take(self) -> Handed:
        """Return what has come since the last call.

        Raises
        ------
        StreamError
            If BrainFlow has lost the board.
        """
        with _refusing(self._name, self._library, {}):
            table: NDArray[np.float64] = self._shim.get_board_data()
        # BrainFlow stamps with the time of day; the two clocks are compared at each look.
        ahead = self._clock.now() - time.time()
        none = np.full(table.shape[1], np.nan)
        counter = none if self._counter is None else table[self._counter]
        return Handed(table, counter, table[self._stamps] + ahead, self._marked(table))

    def _marked(self, table: NDArray[np.float64]) -> list[tuple[int, str]]:
        if self._markers is None:
            return []
        row = table[self._markers]
        return [(int(k), f"{row[k]:g}") for k in np.flatnonzero(row)]

    def close(self) -> None:
        """Stop the board and let it go."""
        shim, self._shim = self._shim, None
        if shim is not None and shim.is_prepared():
            shim.release_session()


class _refusing:
    """Turns BrainFlow's errors into refusals that name the board and how it was looked for."""

    def __init__(self, name: str, library: "_Library", parameters: Mapping[str, Any]) -> None:
        self._name, self._library, self._parameters = name, library, parameters

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._library.BrainFlowError):
            given = ", ".join(f"{k} {v}" for k, v in self._parameters.items() if v is not None) or "nothing"
            raise StreamError(
                f"expected the board {self._name!r} to answer, came from BrainFlow: {error}. Stated of its connection: "
                f"{given}. Switch it on, see that no other program holds it, and state what it needs (--serial-port, "
                "--mac-address, --ip-address …: BrainFlow's page of supported boards)."
            ) from error


@dataclass(frozen=True, slots=True)
class _Library:
    """What is used of BrainFlow."""

    BoardShim: Any
    BoardIds: Sequence[Any]
    BrainFlowInputParams: Any
    BrainFlowError: type[Exception]


def _library() -> _Library:
    """Import BrainFlow, silence its log on the terminal, and load its library."""
    with warnings.catch_warnings():
        # Before Python 3.12 it finds its library through pkg_resources, which warns of its end.
        warnings.simplefilter("ignore")
        from brainflow.board_shim import BoardIds, BoardShim, BrainFlowInputParams
        from brainflow.exit_codes import BrainFlowError

        BoardShim.disable_board_logger()
    return _Library(BoardShim, BoardIds, BrainFlowInputParams, BrainFlowError)

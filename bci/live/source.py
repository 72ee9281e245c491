"""The source program: publishes a recording, or a simulated participant, as if it were a device."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bci.errors import ConfigError, StreamError
from bci.io.files.recording import Recording, open_recording
from bci.live.replay import Player
from bci.memory.board import State
from bci.memory.program import Program
from bci.signal.types import Signal
from bci.sim.eeg import AlphaSimulator
from bci.sim.sines import Sines

_COMMON = frozenset(
    {
        "kind",
        "feeds",
        "source_id",
        "speed",
        "ring",
        "start",
        "stop",
        "longest_gap",
        "consumer_timeout",
        "marker_consumer",
        "followers",
    }
)
_KEYS: Mapping[str, frozenset[str]] = {
    "replay": _COMMON | {"file", "loop", "rate", "channels", "unit", "stream"},
    "simulate": _COMMON | {"seed", "seconds"},
    "sines": _COMMON | {"rate", "shape", "channels", "unit"},
}

#: The program that takes the samples is started after this one is ready, and loads a decoder first.
_CONSUMER_TIMEOUT = 300.0


def main(program: Program) -> None:
    """Publish until the supervisor says stop; when the recording has ended, report and stay on the network.

    Started in the place of one that died, it goes on behind what that one had sent.

    Spec: ``kind`` is ``"replay"`` (``file``, and as `bci.io.files.recording.open_recording` takes them ``rate``,
    ``channels``, ``unit``, ``stream``; ``loop``), ``"simulate"`` (``seed``, ``seconds``: endless when absent) or
    ``"sines"`` (``rate``, ``shape``, ``channels``, ``unit``). All: ``source_id``, and as `bci.live.replay.Player`
    takes them ``speed``, ``start``, ``stop``, ``ring``, ``longest_gap``; ``consumer_timeout``, seconds to wait for
    somebody who takes the samples; ``marker_consumer``, whether to wait for one who takes the markers too;
    ``followers``, the programs whose progress speed ``"max"`` follows (``decode`` when absent).

    Ready facts: ``signal``, ``source_id``, ``marker_source_id``, ``speed``, ``simulated``, ``recording`` (its name),
    ``defects``, ``expected_samples`` (None when that never ends), ``left_out_markers``. Report: ``sent``, ``late``,
    ``latest_s``, ``held_s``, ``markers_sent``, ``given_up``.

    Raises
    ------
    ConfigError
        If the spec has an unknown key or kind, or the speed is refused.
    RecordingError
        If the file cannot be read.
    StreamError
        If nobody takes the samples within the time.
    """
    spec = {key: value for key, value in program.spec.items() if value is not None}
    recording = open_source(spec)
    for defect in recording.defects:
        program.log.warning("%s: %s", recording.name, defect)
    before = program.inherited["samples"]
    with Player(
        recording,
        program.clock,
        source_id=spec["source_id"],
        speed=spec.get("speed", 1.0),
        loop=spec.get("loop", False),
        start=spec.get("start", 0.0) + _already_played(program, spec, recording),
        stop=spec.get("stop"),
        ring=spec.get("ring"),
        consumed=lambda: _decoded(program, spec.get("followers", ("decode",))),
        longest_gap=spec.get("longest_gap"),
    ) as player:
        if player.timetable.left_out:
            program.log.warning(
                "%d markers lie too far from the samples: not played", player.timetable.left_out
            )
        program.ready(
            signal=asdict(player.signal),
            source_id=player.source_id,
            marker_source_id=player.marker_source_id,
            speed=player.speed,
            simulated=recording.simulated,
            recording=recording.name,
            defects=list(recording.defects),
            expected_samples=None if player.expected is None else before + player.expected,
            left_out_markers=player.timetable.left_out,
        )
        _play(program, player, spec)


def open_source(spec: Mapping[str, Any]) -> Recording:
    """Open what a spec names.

    Raises
    ------
    ConfigError
        If it has an unknown key or kind.
    RecordingError
        If the file cannot be read.
    """
    kind = str(spec.get("kind"))
    if kind not in _KEYS:
        raise ConfigError(f"a source is of kind {' or '.join(map(repr, _KEYS))}, got {kind!r}")
    unknown = sorted(set(spec) - _KEYS[kind])
    if unknown:
        raise ConfigError(
            f"a source of kind {kind!r} has no {', '.join(unknown)}; it takes {', '.join(sorted(_KEYS[kind]))}"
        )
    if kind == "simulate":
        return AlphaSimulator(spec.get("seed", 0), spec.get("seconds"))
    if kind == "sines":
        channels, unit = tuple(spec.get("channels", ())), spec.get("unit", "")
        return Sines(Signal("Sines", float(spec["rate"]), tuple(spec["shape"]), channels, unit))
    return open_replay(spec)


def open_replay(spec: Mapping[str, Any]) -> Recording:
    """Open the file that a spec of kind ``"replay"`` names.

    Raises
    ------
    RecordingError
        If it cannot be read.
    """
    return open_recording(
        spec["file"],
        rate=spec.get("rate"),
        channels=spec.get("channels"),
        unit=spec.get("unit"),
        stream=spec.get("stream"),
    )


def _play(program: Program, player: Player, spec: Mapping[str, Any]) -> None:
    stopped = False

    def tick() -> bool:
        nonlocal stopped
        program.row["samples"] = program.inherited["samples"] + player.sent
        stopped = not program.tick()
        return not stopped

    timeout = spec.get("consumer_timeout", _CONSUMER_TIMEOUT)
    there = player.wait_for_consumers(timeout, tick, markers=spec.get("marker_consumer", False))
    if not there and not stopped:
        raise StreamError(
            f"nobody took the stream {player.source_id!r} within {timeout:g} s, so it was not played. Connect a "
            "consumer (bci streams shows what is on the network), or allow it more time."
        )
    if there:
        player.play(tick)
    sent = program.row["samples"] = program.inherited["samples"] + player.sent
    program.report(
        sent=sent,
        late=player.late,
        latest_s=player.latest,
        held_s=player.held,
        markers_sent=player.markers_sent,
        given_up=player.given_up,
    )
    # The streams stay until the supervisor has stopped acquisition: their end is no loss.
    while program.tick():
        program.clock.sleep_until(program.clock.now() + 0.05)


def _already_played(program: Program, spec: Mapping[str, Any], recording: Recording) -> float:
    """Return how many seconds a predecessor that died has played; a loop simply begins again."""
    return 0.0 if spec.get("loop") else program.inherited["samples"] / recording.signal.rate


def _decoded(program: Program, followers: Sequence[str] = ("decode",)) -> int:
    """Return how far every decoder has read the stream; without a decoder, no limit."""
    rows = [program.board.row(name) for name in followers if name in program.board.programs]
    return min((int(row["samples"]) for row in rows if row["state"] == State.RUNNING), default=1 << 62)

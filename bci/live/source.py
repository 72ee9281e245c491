"""The source program: publishes a recording, or a simulated participant, as if it were a device."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from bci.config.sources import (
    MadeSettings,
    MadeSpec,
    ReplaySettings,
    ReplaySpec,
    SimulateSettings,
    SimulateSpec,
    SinesSettings,
    SinesSpec,
)
from bci.config.toml import check_settings
from bci.errors import ConfigError, StreamError
from bci.io.files.recording import Recording, open_recording
from bci.live.replay import Player
from bci.memory.board import State
from bci.memory.program import Program
from bci.signal.types import Signal
from bci.sim.eeg import AlphaSimulator
from bci.sim.sines import Sines

Spec = SimulateSpec | SinesSpec | ReplaySpec | MadeSpec

#: What describes each kind of source.
_SPECS: Mapping[str, type[Spec]] = MappingProxyType(
    {"replay": ReplaySpec, "simulate": SimulateSpec, "sines": SinesSpec, "made": MadeSpec}
)


def main(program: Program) -> None:
    """Publish until the supervisor says stop; when the recording has ended, report and stay on the network.

    Started in the place of one that died, it goes on behind what that one had sent.

    Spec: that of its kind in `bci.config.sources`; see `bci.live.replay.Player` for ``start``, ``stop``, ``ring`` and
    ``longest_gap``.

    Ready facts: ``signal``, ``source_id``, ``marker_source_id``, ``speed``, ``simulated``, ``recording`` (its name),
    ``defects``, ``expected_samples`` (None when that never ends), ``left_out_markers``. Report: ``sent``, ``late``,
    ``latest_s``, ``held_s``, ``markers_sent``, ``given_up``.

    Raises
    ------
    ConfigError
        If the spec is no source's, or the speed is refused.
    RecordingError
        If the file cannot be read.
    StreamError
        If no consumer takes the samples within the time.
    """
    spec = read_spec(program.spec)
    recording = open_source(spec)
    for defect in recording.defects:
        program.log.warning("%s: %s", recording.name, defect)
    before = program.inherited["samples"]
    with Player(
        recording,
        program.clock,
        source_id=spec.source_id,
        speed=spec.speed,
        loop=_loops(spec),
        start=spec.start + _already_played(program, spec, recording),
        stop=spec.stop,
        ring=spec.ring,
        consumed=lambda: _decoded(program, spec.followers),
        longest_gap=spec.longest_gap,
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


def read_spec(values: Mapping[str, Any]) -> Spec:
    """Return what a spec says of its source; a value of None counts as not given.

    Raises
    ------
    ConfigError
        If it has an unknown kind, or a key that is unknown, missing or impossible; named.
    """
    kind = str(values.get("kind"))
    if kind not in _SPECS:
        raise ConfigError(f"a source is of kind {' or '.join(map(repr, _SPECS))}, got {kind!r}")
    given = {key: value for key, value in values.items() if value is not None}
    return check_settings(given, _SPECS[kind], f"the spec of a source of kind {kind!r}")


def open_source(source: SimulateSettings | SinesSettings | ReplaySettings | MadeSettings) -> Recording:
    """Open what the settings of a source name.

    Raises
    ------
    RecordingError
        If the file cannot be read.
    BundleError
        If the bundle that is named makes no signals.
    """
    if isinstance(source, MadeSettings):
        # Imported only here: it loads ONNX Runtime, which no other source needs.
        from bci.decoder.bundle import Bundle
        from bci.sim.made import MadeLfp

        return MadeLfp(Bundle.load(source.model), source.seed, source.seconds)
    if isinstance(source, SimulateSettings):
        return AlphaSimulator(source.seed, source.seconds)
    if isinstance(source, SinesSettings):
        return Sines(Signal("Sines", source.rate, source.shape, source.channels, source.unit))
    return open_replay(source)


def open_replay(source: ReplaySettings) -> Recording:
    """Open the file that is played.

    Raises
    ------
    RecordingError
        If it cannot be read.
    """
    return open_recording(
        source.file,
        rate=source.rate,
        channels=source.channels,
        unit=source.unit,
        stream=source.stream,
        events=source.events,
    )


def _loops(spec: Spec) -> bool:
    return isinstance(spec, ReplaySpec) and spec.loop


def _play(program: Program, player: Player, spec: Spec) -> None:
    stopped = False

    def tick() -> bool:
        nonlocal stopped
        program.row["samples"] = program.inherited["samples"] + player.sent
        stopped = not program.tick()
        return not stopped

    timeout = spec.consumer_timeout
    there = player.wait_for_consumers(timeout, tick, markers=spec.marker_consumer)
    if not there and not stopped:
        raise StreamError(
            f"no consumer took the stream {player.source_id!r} within {timeout:g} s, so it was not played. Connect a "
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


def _already_played(program: Program, spec: Spec, recording: Recording) -> float:
    """Return how many seconds a predecessor that died has played; a loop simply begins again."""
    return 0.0 if _loops(spec) else program.inherited["samples"] / recording.signal.rate


def _decoded(program: Program, followers: Sequence[str] = ("decode",)) -> int:
    """Return how far every decoder has read the stream; without a decoder, no limit."""
    rows = [program.board.row(name) for name in followers if name in program.board.programs]
    return min((int(row["samples"]) for row in rows if row["state"] == State.RUNNING), default=1 << 62)

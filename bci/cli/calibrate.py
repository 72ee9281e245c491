"""`bci calibrate`: record a participant who follows cues, fit the decoder, and score it before it is used."""

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TimeRemainingColumn

from bci.cli.given import find_given
from bci.cli.needing import needing
from bci.cli.output import Output, styled, use, words
from bci.cli.run import SAFE, Json
from bci.cli.training import Followed
from bci.errors import BciError, ConfigError, ProgramError
from bci.io.files.kinds import CALIBRATION_FILE, RECORDED, RECORDING, SESSION

if TYPE_CHECKING:
    from bci.decoder.bundle import Bundle
    from bci.io.lsl.metadata import StreamInfo
    from bci.live.replay import Player
    from bci.signal.clock import Clock
    from bci.signal.types import Event
    from bci.sim.cued import CuedParticipant
    from models.systems.system import Calibrating, CalibrationFile
    from stimuli.display.cue_screen import CueScreen

#: Seconds a program has to take the simulated stream.
_CONSUMER_TIMEOUT = 60.0
#: Seconds that samples may be under way after the last one was sent.
_UNDER_WAY = 10.0
#: What a participant is told behind the last block.
_THANKS = "That was all. Thank you."


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(calibrate)


def calibrate(
    config: Annotated[Path, typer.Argument(help="Calibration file (TOML); configs/ holds an example.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write, if it beats chance.")],
    recording: Annotated[
        Path | None,
        typer.Option(help="Fit to this recording of an earlier calibration instead of a new one."),
    ] = None,
    recordings: Annotated[
        Path, typer.Option(help="Folder in which the recording's own folder is made.")
    ] = Path("recordings"),
    simulate: Annotated[
        bool, typer.Option("--simulate", help="No hardware: a simulated participant follows the cues.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Which simulated participant.")] = 0,
    heedless: Annotated[
        bool, typer.Option("--heedless", help="A simulated participant who pays no attention to the cues.")
    ] = False,
    speed: Annotated[
        float,
        typer.Option(min=1, max=60, help="Times real time, simulated; lower where this machine is slower."),
    ] = 20.0,
    silent: Annotated[bool, typer.Option("--silent", help="No tones.")] = False,
    json: Json = False,
) -> None:
    """Fit a decoder to one participant: cued blocks, a recording, a score, and only then a bundle.

    Tells the participant block by block what to do, on this screen and with tones, or by pictures in a window of the
    participant's; records the stream with a marker for each cue, and fits the readout of the base bundle to it; the
    base's generator is kept, so this takes seconds. Every pair of blocks is predicted by a readout that never saw it.
    The score is shown beside chance and beside shuffled blocks, and the bundle is written only if it beats them at
    5 %; otherwise the exit status is 3. The recording is kept either way. Needs the `train` extra (scikit-learn and
    onnx; not torch).
    """
    output = use(json)
    config = find_given(config, "bci calibrate", CALIBRATION_FILE)
    fit, loaded, calibrating = tools(config)
    needed = [] if simulate or recording is not None else [loaded.stream.address]
    from bci.io.lsl.network import join

    join("machine" if simulate else loaded.network, f"bci-{os.getpid()}", needed)
    from bci.decoder.bundle import Bundle, require_place

    if recording is not None:
        recording = find_given(recording, "bci calibrate --recording", SESSION, RECORDED, RECORDING)
    if recording is not None and simulate:
        raise ConfigError("--recording and --simulate: either fit to what is there, or make a new one")
    if heedless and not simulate:
        raise ConfigError("--heedless is said of a simulated participant: add --simulate")
    base = Bundle.load(loaded.base)
    require_place(out)
    facts: dict[str, Any] = {"written": False, "simulated": simulate, "recording": str(recording or "")}
    if recording is None:
        summary = (
            _record_simulated(loaded, calibrating, recordings, base, seed, speed, not heedless, output)
            if simulate
            else _record(loaded, calibrating, recordings, base, silent, output)
        )
        facts |= {"session": summary["session"], "recording": summary["recording"]}
        # A simulated participant has sent all that it had some moments before the end.
        whole = ("done", "lost") if simulate else ("done",)
        if summary["ended_by"] != "its end":
            _give_up(
                f"the recording ended before the last block: {summary['ended_by']}", config, facts, output
            )
        elif summary["status"] not in whole:
            why = " ".join([*summary["told"], *summary["failures"]]) or "a program was started again"
            _give_up(f"the recording is not whole: {why}", config, facts, output)
        recording = Path(summary["recording"])
    if recording.is_dir():
        recording = recording / "recording.xdf"
    with _progress(output) as progress:
        followed = Followed(progress, "fitting", output)
        calibration = fit(loaded, base, recording, followed)
    _show(calibration, output)
    simulated = calibration.scores["test"]["simulated"]
    facts |= {"beats_chance": calibration.beats_chance, "scores": calibration.scores, "simulated": simulated}
    if not calibration.beats_chance:
        _give_up("no better than chance: nothing is written", config, facts, output)
    bundle = calibration.write(out)
    output.say(styled("bold green", "bundle written:"), f" {out}   recording: {recording}")
    output.result(facts | {"written": True, "bundle": str(out), "hash": bundle.hash})


def tools(config: Path) -> "tuple[Callable[..., Any], CalibrationFile, Calibrating]":
    """Return the function that fits, the calibration file as read, and how its system calibrates.

    Raises
    ------
    ConfigError
        If the file cannot be used, or a package of the `train` extra is missing.
    """
    from models.systems.registry import calibrating_of_file

    calibrating = calibrating_of_file(config)
    loaded = calibrating.load(config)
    with needing("train", "calibration"):
        fit = calibrating.fitter()
    return fit, loaded, calibrating


def _give_up(why: str, config: Path, facts: Mapping[str, Any], output: Output) -> None:
    """Print why no bundle was made and where the recording is, and end with status 3."""
    output.say(styled("bold red", why))
    if facts["recording"]:
        output.say(
            f"The recording is kept: {facts['recording']}. Look at it with bci quality; fit to it again "
            f"with bci calibrate {config} --recording FILE."
        )
    output.result({**facts, "reason": why})
    raise typer.Exit(SAFE)


# -- recording ------------------------------------------------------------------------------------------------


def find_stream(config: "CalibrationFile", calibrating: "Calibrating", base: "Bundle") -> "StreamInfo":
    """Return the stream that is to be recorded, as it describes itself.

    Raises
    ------
    BciError
        If it is not there or does not fit: before the participant's time is spent.
    """
    from bci.io.lsl.connection import refuse_unlike_signal
    from bci.io.lsl.source import describe

    info = describe(config.stream.address, config.stream.timeout_s)
    refuse_unlike_signal(info)
    calibrating.plan(config, base, info.signal)
    return info


def _record(
    config: "CalibrationFile",
    calibrating: "Calibrating",
    out: Path,
    base: "Bundle",
    silent: bool,
    output: Output,
) -> dict[str, Any]:
    """Present the cues to a participant, and record the stream."""
    from bci.cli.alarm_lines import AlarmLines
    from bci.control.cueing import Cueing
    from bci.control.record_streams import record_streams
    from bci.io.lsl.markers import MarkerOutlet
    from bci.memory.lsl_clock import LslClock
    from stimuli.tones import Tones

    find_stream(config, calibrating, base)
    clock = LslClock()
    cues_id = f"{config.name}-cues-{os.getpid()}"
    states = {state.label: state for state in config.states}
    with (
        _screen(config, clock) as screen,
        MarkerOutlet(f"{config.name}-cues", cues_id) as outlet,
        Tones() as tones,
        _progress(output) as progress,
    ):
        if not tones.audible and not silent:
            output.say(
                styled("yellow", "no sound here"), ": tell the participant yourself when to open the eyes"
            )
        task = progress.add_task("", total=config.seconds)

        def tell(cue: "Event") -> None:
            state = states.get(cue.text)
            if screen is not None:
                screen.show(cue.text)
            output.say(styled("bold reverse", f" {state.say if state else _THANKS} "))
            if not silent:
                tones.play(state.tones if state else 3)

        def look(left: float) -> None:
            wrong = "".join(f"{row}, " for row in alarms.rows)
            progress.update(task, completed=config.seconds - left, description=f"{wrong}{left:3.0f} s left")
            if screen is not None and screen.closed() and left:
                # As Ctrl-C in the terminal: the supervisor ends the recording in order, and it is said that it ended.
                signal.raise_signal(signal.SIGINT)

        alarms = AlarmLines(output)
        cueing = Cueing(config.cues(), clock, outlet, ready_s=config.blocks.ready_s, tell=tell, look=look)
        stream = config.stream
        return record_streams(
            [str(stream.address), cues_id],
            out,
            name=config.name,
            timeout=stream.timeout_s,
            buffer_s=stream.buffer_s,
            marker_uncertainty_limit_s=stream.marker_uncertainty_limit_s,
            latency_s=stream.latency_s,
            observe=cueing,
            watch=alarms,
            clock=clock,
        )


@contextmanager
def _screen(config: "CalibrationFile", clock: "Clock") -> "Iterator[CueScreen | None]":
    """Open the participant's window, where the file asks for one."""
    if config.screen is None:
        yield None
        return
    from stimuli.display.cue_screen import Cued, CueScreen

    # Behind the last block stands a cue that is no state.
    cues = {cue.text: Cued(_THANKS) for cue in config.cues()}
    cues |= {state.label: Cued(state.say, state.picture) for state in config.states}
    with CueScreen(config.screen, cues, clock) as screen:
        yield screen


def _record_simulated(
    config: "CalibrationFile",
    calibrating: "Calibrating",
    out: Path,
    base: "Bundle",
    seed: int,
    speed: float,
    heeds: bool,
    output: Output,
) -> dict[str, Any]:
    """Record a simulated participant, faster than real time: the samples and the cues come as streams all the same."""
    from bci.control.record_streams import record_streams
    from bci.memory.lsl_clock import LslClock
    from bci.sim.cued import CuedParticipant

    clock = LslClock()
    participant = CuedParticipant(config.cues(), config.seconds + 1, seed, base.signal.rate, heeds=heeds)
    calibrating.plan(config, base, participant.signal)
    source_id = f"{config.name}-simulated-{os.getpid()}"
    with _player(participant, clock, source_id, speed) as player, _progress(output) as progress:
        output.say(
            styled("bold", "SIMULATED EEG"), f": {participant.name}, at {player.speed:g} times real time"
        )
        task = progress.add_task("recording", total=player.expected)
        with _Playing(player) as playing:
            played_at = math.inf

            def observe(counts: Mapping[str, int]) -> bool:
                nonlocal played_at
                progress.update(task, completed=counts["received"])
                if not playing.over:
                    return False
                played_at = min(played_at, clock.now())
                # What is still under way belongs to the recording; what is lost does not come any more.
                return counts["received"] >= player.sent or clock.now() > played_at + _UNDER_WAY

            return record_streams(
                [player.source_id, player.marker_source_id],
                out,
                name=config.name,
                timeout=config.stream.timeout_s,
                buffer_s=config.stream.buffer_s,
                observe=observe,
                clock=clock,
            )


def _player(participant: "CuedParticipant", clock: "Clock", source_id: str, speed: float) -> "Player":
    """Return a player at `speed`, or at the half, the quarter … of it that this machine can sustain."""
    from bci.live.replay import Player

    while True:
        try:
            return Player(participant, clock, source_id=source_id, speed=speed)
        except ConfigError:
            if speed <= 1:
                raise
            speed = max(1.0, speed / 2)


class _Playing:
    """A player at work beside the recorder, which keeps this thread."""

    def __init__(self, player: "Player") -> None:
        self._player = player
        self._stop = threading.Event()
        self._failure: BciError | None = None
        self._thread = threading.Thread(target=self._play, name="simulated participant")

    def _play(self) -> None:
        def go_on() -> bool:
            return not self._stop.is_set()

        try:
            if self._player.wait_for_consumers(_CONSUMER_TIMEOUT, go_on, markers=True):
                self._player.play(go_on)
            elif go_on():
                self._failure = ProgramError(
                    f"no consumer took the simulated stream within {_CONSUMER_TIMEOUT:g} s"
                )
        except BciError as error:
            self._failure = error

    @property
    def over(self) -> bool:
        """Whether all was played; raises what went wrong."""
        if self._failure is not None:
            raise self._failure
        return not self._thread.is_alive()

    def __enter__(self) -> "_Playing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def _progress(output: Output) -> Iterator[Progress]:
    with output.progress(words(), BarColumn(bar_width=30), TimeRemainingColumn()) as progress:
        yield progress


def _show(found: Any, output: Output) -> None:
    """Print the score beside its baselines."""
    test, area, hits = found.scores["test"], found.scores["auc"], found.scores["balanced_accuracy"]
    if test["simulated"]:
        output.say(styled("bold", "SIMULATED EEG"), " (nothing here is a measurement of a brain)")
    output.say(
        f"{test['windows']} windows in {test['blocks']} blocks, {test['windows_left_out']} left out; "
        f"each pair of blocks predicted by a readout that never saw it"
    )
    if test["blocks_left_out"]:
        output.say(
            f"{test['blocks_left_out']} blocks left out: the time of their cue was not known well enough (uncertain)"
        )
    output.table(
        "What it is worth",
        ("", "score", "95 % interval", "chance", "shuffled blocks", "95 % below"),
        [
            ("area under the curve", area["value"], _span(area["interval_95"]), area["chance"], area["shuffled_mean"],
             area["shuffled_95th"]),
            ("balanced accuracy", hits["value"], _span(hits["interval_95"]), hits["chance"], "", ""),
            ("area of one band, no fit", area["one_band_without_fit"], "", area["chance"], "", ""),
        ],
    )  # fmt: skip
    claim = found.scores["confidence"]
    output.say(
        f"p = {area['p_shuffled']:.3g}: {area['permutations']} times the states of whole blocks were shuffled and "
        f"everything fitted again. Confidence {'claimed' if claim['claimed'] else 'not claimed'}: "
        f"{claim['wrong_windows']} windows predicted wrongly"
    )


def _span(interval: list[float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"

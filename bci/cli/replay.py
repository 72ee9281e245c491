"""`bci replay`: play a recording on the network, as if it were a device."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bci.cli.given import find_given
from bci.cli.output import size_of, styled, use
from bci.cli.playing import play_out
from bci.cli.run import Json
from bci.errors import ConfigError
from bci.io.files.kinds import RECORDING


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(replay)


def replay(
    file: Annotated[
        Path, typer.Argument(help="XDF, anything MNE opens (EDF, BDF, FIF …), .npy, .npz, .csv.")
    ],
    speed: Annotated[str, typer.Option(help="Times real time, or max (needs --ring).")] = "1",
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end, until Ctrl-C.")] = False,
    start: Annotated[float, typer.Option(min=0, help="Second of the recording to begin at.")] = 0.0,
    stop: Annotated[float | None, typer.Option(min=0, help="Second of the recording to end at.")] = None,
    source_id: Annotated[
        str | None, typer.Option(help="Name on the network; else made of the file's.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Samples per second, where the file does not say.")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Channels of it, comma-separated; where it names none, labels for all.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of the values, where it does not say.")] = None,
    stream: Annotated[str | None, typer.Option(help="Which stream of an XDF file.")] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            help="A file of events (-eve.fif, BIDS events.tsv, a table) in place of the recording's markers."
        ),
    ] = None,
    ring: Annotated[
        str | None,
        typer.Option(help="Shared memory of a session on this host that consumes it; needed for max."),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Seconds to wait for a consumer of the samples; 0 plays at once."),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Play a recording as a live Lab Streaming Layer stream, with its markers on a second one.

    The stamps are made new for this session and are exact; at N times the speed they lie N times closer, and the
    stream's description says so. Lab Streaming Layer drops what a consumer does not fetch in time, so a speed
    that is not safe for any consumer is refused, with the highest that is. Defects of the file are printed, and the
    sound parts are played.
    """
    output = use(json)
    # Imported only now, so that --help does not load NumPy and liblsl.
    from bci.io.files.recording import open_recording
    from bci.live.replay import Player
    from bci.live.timetable import MARGIN
    from bci.memory.lsl_clock import LslClock

    file = find_given(file, "bci replay", RECORDING)
    labels = tuple(channels.split(",")) if channels else None
    recording = open_recording(file, rate=rate, channels=labels, unit=unit, stream=stream, events=events)
    for defect in recording.defects:
        output.say(styled("yellow", "defect:"), f" {defect}")
    name = source_id or f"replay-{file.stem}"
    pace: float | Literal["max"] = "max" if speed == "max" else _number(speed)
    with Player(
        recording, LslClock(), source_id=name, speed=pace, loop=loop, start=start, stop=stop, ring=ring
    ) as player:
        output.say(
            styled("bold", name),
            f": {size_of(recording.signal.shape)} at {recording.signal.rate:g} Hz, "
            f"{player.speed:g}× real time; markers on {player.marker_source_id}. Ctrl-C ends it.",
        )
        finished = play_out(player, output, "playing", wait)
        left_out = player.timetable.left_out
        markers = (
            f"{player.markers_sent} of {player.markers_sent + left_out}" if left_out else player.markers_sent
        )
        output.say(f"{player.sent} samples, {markers} markers sent; {player.late} samples late")
        if left_out:
            output.say(
                styled("bold yellow", f"{left_out} marker{'s' if left_out > 1 else ''} not played:"),
                f" more than {MARGIN:g} s from every sample; --events FILE plays others in their place",
            )
        output.result(
            {
                "source_id": name,
                "finished": finished,
                "speed": player.speed,
                "sent": player.sent,
                "markers": player.markers_sent,
                "markers_left_out": left_out,
                "late": player.late,
                "given_up": player.given_up,
                "defects": list(recording.defects),
                "simulated": recording.simulated,
            }
        )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--speed is a number of times real time, or max; got {text!r}") from None

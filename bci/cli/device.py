"""`bci device`: an amplifier that BrainFlow knows, on the network as Lab Streaming Layer streams."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bci.cli.needing import needing
from bci.cli.output import Output, styled, use
from bci.cli.run import Json
from bci.errors import StreamError

if TYPE_CHECKING:
    from bci.live.device import DevicePlayer
    from bci.memory.lsl_clock import LslClock


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(device)


def device(
    board: Annotated[
        str | None,
        typer.Argument(help="The board: synthetic, cyton, ganglion, muse-2 … Without it, all are listed."),
    ] = None,
    serial_port: Annotated[
        str | None, typer.Option(help="Serial port, such as COM3 or /dev/ttyUSB0.")
    ] = None,
    mac_address: Annotated[str | None, typer.Option(help="Bluetooth address.")] = None,
    ip_address: Annotated[str | None, typer.Option(help="Network address of the board.")] = None,
    ip_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Its port.")] = None,
    serial_number: Annotated[str | None, typer.Option(help="Serial number, where several are near.")] = None,
    other_info: Annotated[
        str | None, typer.Option(help="What else BrainFlow asks for of this board.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Of playback-file: BrainFlow's own recording to play.")
    ] = None,
    master_board: Annotated[
        str | None, typer.Option(help="Of playback-file and streaming: the board that it came from.")
    ] = None,
    source_id: Annotated[str | None, typer.Option(help="Name on the network; else brainflow-BOARD.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so long; else at Ctrl-C.")] = None,
    json: Json = False,
) -> None:
    """Read an amplifier directly and publish it as Lab Streaming Layer streams, for sessions and for other tools.

    One stream of electrodes, in microvolts, one of each thing that the board measures beside them, and its markers. The
    samples of a packet are given times by their numbers and the rate, at the earliest that the arrivals of the last
    seconds allow. Samples that the board counted and did not deliver are counted and keep their places. A board that
    falls silent is opened again. Needs the `devices` extra (BrainFlow).
    """
    output = use(json)
    with needing("devices", "reading an amplifier"):
        from bci.io.devices.amplifier import Amplifier, board_names

        if board is None:
            known = board_names()
            output.table("Boards that BrainFlow knows", ["name", "its number"], sorted(known.items()))
            output.result({"boards": known})
            return
        from bci.live.device import DevicePlayer
        from bci.memory.lsl_clock import LslClock

        clock = LslClock()
        connection = {
            "serial_port": serial_port, "mac_address": mac_address, "ip_address": ip_address, "ip_port": ip_port,
            "serial_number": serial_number, "other_info": other_info, "file": None if file is None else str(file),
            "master_board": master_board,
        }  # fmt: skip
        name = source_id or f"brainflow-{board.lower()}"
        with DevicePlayer(lambda: Amplifier(board, clock, connection), clock, name) as player:
            first = player.groups[0].signal
            output.say(
                styled("bold", name),
                f": {first.name}, {first.shape[0]} channels at {first.rate:g} Hz in {first.unit}; beside it "
                f"{', '.join(group.name for group in player.groups[1:]) or 'nothing'}; markers on {name}-markers. "
                "Ctrl-C ends it.",
            )
            _publish(player, clock, seconds, output)
        output.say(
            f"{player.sent} samples, {player.markers} markers sent; {player.lost} lost by the board, its count began "
            f"anew {player.resets} times; opened again {player.reopened} times"
        )
        output.result(
            {
                "source_id": name,
                "sent": player.sent,
                "markers": player.markers,
                "lost": player.lost,
                "resets": player.resets,
                "reopened": player.reopened,
            }
        )


def _publish(player: "DevicePlayer", clock: "LslClock", seconds: float | None, output: Output) -> None:
    """Look until the time is over or Ctrl-C comes; say what is lost when it is lost."""
    from bci.live.device import LOOK_S, SILENT_S

    begun, lost, silent = clock.now(), 0, False
    try:
        while seconds is None or clock.now() - begun < seconds:
            try:
                player.look()
            except StreamError as error:
                output.say(styled("red", "no data:"), f" {error}")
                clock.sleep_until(clock.now() + SILENT_S)
            if player.lost > lost:
                output.say(styled("yellow", "lost:"), f" {player.lost - lost} samples")
                lost = player.lost
            if (player.silent > SILENT_S) != silent:
                silent = not silent
                output.say(styled("red", "the board is silent") if silent else "the board delivers again")
            clock.sleep_until(clock.now() + LOOK_S)
    except KeyboardInterrupt:
        pass

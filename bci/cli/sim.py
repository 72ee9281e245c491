"""`bci sim`: signals that a trained generator makes, published as if they came from a device."""

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.given import find_given
from bci.cli.output import size_of, styled, use
from bci.cli.playing import play_out
from bci.cli.run import Json
from bci.io.files.kinds import BUNDLE

sim = typer.Typer(
    name="sim",
    help="Publish signals that a trained generator makes, as if they came from a device.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    sim.command()(lfp)
    app.add_typer(sim)


def lfp(
    model: Annotated[Path, typer.Option("--model", help="A bundle of kind lfp-gan.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same samples.")] = 0,
    seconds: Annotated[float | None, typer.Option(min=1, help="How long; else until Ctrl-C.")] = None,
    source_id: Annotated[
        str | None, typer.Option(help="Name on the network; else made of the bundle's.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a consumer of the samples; 0 plays at once.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Publish local field potentials that LFP-GAN or EEG-GAN makes, with a marker at each image that they are made for.

    Windows follow one another with a short overlap; markers (`image 17`) name the image of each, in the order of the
    array that it was trained with. What is published was made by a network: it is good for load, for closed loops and
    for trying a decoder, and no measurement of a brain. The stream has the bundle's channels, rate and unit.
    """
    output = use(json)
    # Imported only now, so that --help does not load NumPy and liblsl.
    from bci.decoder.bundle import Bundle
    from bci.live.replay import Player
    from bci.memory.lsl_clock import LslClock
    from bci.sim.made import MadeLfp

    bundle = Bundle.load(find_given(model, "bci sim lfp", BUNDLE))
    recording = MadeLfp(bundle, seed, seconds)
    name = source_id or f"made-{bundle.name}"
    with Player(recording, LslClock(), source_id=name) as player:
        output.say(
            styled("bold", name),
            f": {size_of(recording.signal.shape)} at {recording.signal.rate:g} Hz, made by a network; markers on "
            f"{player.marker_source_id}. Ctrl-C ends it.",
        )
        finished = play_out(player, output, "making", wait)
        output.say(f"{player.sent} samples, {player.markers_sent} markers sent; {player.late} samples late")
        output.result(
            {
                "source_id": name,
                "finished": finished,
                "sent": player.sent,
                "markers": player.markers_sent,
                "late": player.late,
                "simulated": True,
            }
        )

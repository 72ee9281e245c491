"""`bci synthesise`: pictures made by gradient through a convolutional network, to look at or to show."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bci.cli.generators import one_of
from bci.cli.needing import needing
from bci.cli.output import use
from bci.cli.run import Json
from bci.errors import ConfigError

if TYPE_CHECKING:
    from models.networks.convnet import Convnet

synthesise = typer.Typer(
    name="synthesise",
    help="Make pictures by gradient through a convolutional network: what excites a layer, textures, a picture in "
    "another's style, pictures that drive chosen neurons.",
    no_args_is_help=True,
)

Out = Annotated[Path, typer.Option(help="The picture to write, PNG.")]
Size = Annotated[
    int, typer.Option(min=16, max=2048, help="Height and width in pixels; pictures are cut square.")
]
Architecture = Annotated[
    str, typer.Option("--network", help="small, alexnet, caffenet, vgg16 or vgg19; small is of this project.")
]
Weights = Annotated[
    str,
    typer.Option(
        help="Its weights, safetensors, or `random`; of the small network a shipped one's name, else convnet-faces."
    ),
]
Layers = Annotated[str, typer.Option(help="Layers, with commas between; else the pools.")]
Device = Annotated[
    str, typer.Option(help="Where it is computed: cpu, or cuda, a card. Not run on a card yet.")
]
Steps = Annotated[int, typer.Option(min=1, max=100_000, help="Steps of the descent.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    synthesise.command()(dream)
    synthesise.command()(texture)
    synthesise.command()(style)
    synthesise.command()(drive)
    app.add_typer(synthesise)


def dream(
    picture: Annotated[Path, typer.Argument(help="A picture.")],
    out: Out,
    layer: Annotated[
        str, typer.Option(help="The layer that is to be excited; else the last but one pool.")
    ] = "",
    channels: Annotated[str, typer.Option(help="Its channels, from 0, with commas between; else all.")] = "",
    size: Size = 256,
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="Steps at each of four sizes.")] = 20,
    network: Architecture = "small",
    weights: Weights = "",
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Change a picture towards what excites a layer of a network (DeepDream, Mordvintsev et al. 2015).

    The picture grows through four sizes; at each the mean square of the layer's activation is raised, or the mean of
    the channels that are named. What comes shows what the layer looks for. The network that is shipped learned from
    drawn faces and dreams of little else; give one of your own with --network and --weights. Needs the `train` extra.
    """
    output = use(json)
    with needing("train", "making pictures"):
        from models.networks.dreaming import Octaves, dream_picture

        opened = _network(network, weights, device)
        chosen = layer or opened.architecture.pools[-2]
        numbers = [_whole(word) for word in channels.split(",")] if channels else None
        made = dream_picture(
            opened, _picture(picture, size), chosen, channels=numbers, octaves=Octaves(steps=steps)
        )
    _save(output, out, made, {"layer": chosen, "channels": channels or "all"}, opened)


def texture(
    picture: Annotated[Path, typer.Argument(help="A picture of the texture.")],
    out: Out,
    layers: Layers = "",
    size: Size = 128,
    steps: Steps = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise that is begun with.")] = 0,
    network: Architecture = "small",
    weights: Weights = "random",
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Make another picture of the same texture (Gatys et al. 2015).

    Noise is changed until the products of every two channels of some layers, averaged over places, are those of the
    picture. A network with random weights does that as well as many trained ones, and is taken unless others are named;
    pools give means, as the paper found best. Needs the `train` extra.
    """
    output = use(json)
    with needing("train", "making pictures"):
        from models.networks.dreaming import synthesise_texture
        from models.networks.matching import Descent

        opened = _network(network, weights, device, pooling="mean")
        names = _layers(layers, opened)
        made = synthesise_texture(
            opened, _picture(picture, size), names, descent=Descent(steps, 0.03, 0.3), seed=seed
        )
    _save(output, out, made, {"layers": ", ".join(names)}, opened)


def style(
    content: Annotated[Path, typer.Argument(help="The picture that is drawn.")],
    styled: Annotated[Path, typer.Argument(help="The picture whose style it gets.")],
    out: Out,
    layers: Layers = "",
    content_layer: Annotated[
        str, typer.Option(help="Whose activations are kept; else the last but one pool.")
    ] = "",
    weight: Annotated[float, typer.Option(min=0, max=1e6, help="Of the style, beside the content.")] = 1.0,
    size: Size = 128,
    steps: Steps = 200,
    network: Architecture = "small",
    weights: Weights = "",
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Draw one picture in the style of another (Gatys et al. 2016).

    The first picture's activations in a deep layer are kept, and the products of every two channels of other layers
    become those of the second. Good styles need a network trained on photographs: give VGG-19's weights with
    --network vgg19 --weights FILE. Needs the `train` extra.
    """
    output = use(json)
    with needing("train", "making pictures"):
        from models.networks.dreaming import transfer_style
        from models.networks.matching import Descent

        opened = _network(network, weights, device, pooling="mean")
        names, kept = _layers(layers, opened), content_layer or opened.architecture.pools[-2]
        made = transfer_style(
            opened,
            _picture(content, size),
            _picture(styled, size),
            content_layer=kept,
            style_layers=names,
            weight=weight,
            descent=Descent(steps, 0.02, 0.0),
        )
    _save(output, out, made, {"layers": ", ".join(names), "content": kept, "weight": weight}, opened)


def drive(
    out: Out,
    pictures: Annotated[Path | None, typer.Option(help="Folder of the pictures that were shown.")] = None,
    counts: Annotated[
        Path | None,
        typer.Option(help="Spikes, a .npy of (pictures, neurons), in the order of the pictures' paths."),
    ] = None,
    planted: Annotated[
        int,
        typer.Option(
            min=0, max=1000, help="Instead of both: so many planted simple cells, shown dead leaves."
        ),
    ] = 0,
    neurons: Annotated[
        str, typer.Option(help="Which neurons, from 0, with commas between; else the first four.")
    ] = "",
    goal: Annotated[
        str, typer.Option(help="stretch (as much as it goes) or one-hot (it alone).")
    ] = "stretch",
    layers: Layers = "",
    size: Size = 48,
    network: Architecture = "small",
    weights: Weights = "random",
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Fit a model of neurons to the pictures they saw, and make pictures that drive chosen ones.

    The model reads one layer of a network (Cadena et al. 2019), chosen by pictures that were held out; what it predicts
    of them is printed. A picture is then made for each neuron by gradient through the model (Bashivan et al. 2019),
    with the mean and the contrast of the pictures that were shown, and set beside the best of these. With planted
    neurons their own answer stands beside what the model expects. Needs the `train` extra.
    """
    output = use(json)
    aim = one_of("--goal", goal, ("stretch", "one-hot"))
    if bool(planted) == bool(pictures or counts) or (not planted and not (pictures and counts)):
        raise ConfigError(
            "expected --pictures and --counts, or --planted, came another choice. Give one of the two."
        )
    chosen = [_whole(word) for word in neurons.split(",")] if neurons else None
    with needing("train", "making pictures"):
        from models.encoding.driven_sheet import drive_recorded

        opened = _network(network, weights, device)
        sheet, facts = drive_recorded(
            opened,
            _layers(layers, opened),
            pictures,
            counts,
            planted=planted,
            neurons=chosen,
            goal=aim,
            size=size,
        )
    _save(output, out, sheet, facts, opened)


def _network(architecture: str, weights: str, device: str, pooling: str = "largest") -> "Convnet":
    """Open the network that options name, on a device."""
    from bci.config.toml import check_settings
    from models.devices import device_of
    from models.networks.settings import NetworkSettings
    from models.networks.weights import open_network

    place = device_of(device)
    given: dict[str, Any] = {"architecture": architecture, "pooling": pooling}
    if weights != "random" and (weights or architecture == "small"):
        given["weights"] = weights or "convnet-faces"
    opened = open_network(check_settings(given, NetworkSettings, "--network and --weights"), Path())
    opened.to(place)
    return opened


def _layers(named: str, network: "Convnet") -> list[str]:
    names = [word.strip() for word in named.split(",")] if named else list(network.architecture.pools[:3])
    network.require(names)
    return names


def _whole(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ConfigError(f"expected whole numbers with commas between, came {word!r}.") from None


def _picture(path: Path, size: int) -> Any:
    from models.datasets.folder import open_picture

    return open_picture(path, size)


def _save(output: Any, out: Path, made: Any, facts: dict[str, Any], network: "Convnet") -> None:
    """Write the picture, and say how it was made."""
    from bci.io.files.folder import write_whole
    from bci.io.files.page import png_bytes

    said = {"network": f"{network.architecture.name}, {network.origin}", **facts}
    write_whole(out, png_bytes(made))
    output.facts(out.name, said)
    output.say(f"written: {out}")
    output.result({**said, "out": str(out)})

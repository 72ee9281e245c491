"""`bci import-generator`: a generator from elsewhere becomes a package like those that are trained here."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bci.cli.given import find_network
from bci.cli.needing import needing
from bci.cli.output import use
from bci.cli.run import Json
from bci.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(name="import-generator")(import_generator)


def import_generator(
    file: Annotated[Path, typer.Argument(help="An ONNX file, or safetensors with --architecture.")],
    out: Annotated[Path, typer.Option(help="Folder of the package to write.")],
    name: Annotated[str, typer.Option(help="The generator's name; else the file's.")] = "",
    title: Annotated[str, typer.Option(help="One sentence about it.")] = "",
    latent_input: Annotated[
        str | None, typer.Option(help="The input that is the latent, where several could be.")
    ] = None,
    image_output: Annotated[
        str | None, typer.Option(help="The output that is the picture, where several could be.")
    ] = None,
    class_input: Annotated[str | None, typer.Option(help="The input that takes a class.")] = None,
    class_number: Annotated[
        int | None, typer.Option("--class", min=0, help="The class that is drawn, counted from 0.")
    ] = None,
    held: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE: what another input is held at, such as psi=0.7. Repeatable."),
    ] = None,
    ends: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", help="The values that mean black and full brightness; else found."),
    ] = None,
    layout: Annotated[str | None, typer.Option(help="NCHW or NHWC, where the sizes leave it open.")] = None,
    colour: Annotated[
        str | None, typer.Option(help="RGB, BGR or grey; else RGB, or grey of one plane.")
    ] = None,
    rule: Annotated[str, typer.Option(help="What decoded latents pass: keep, rescale or truncate.")] = "keep",
    limit: Annotated[float, typer.Option(min=0.01, help="Of truncate, standard deviations.")] = 2.0,
    architecture: Annotated[
        Path | None,
        typer.Option(help="JSON with kind and settings, or a generator.json, for weights in safetensors."),
    ] = None,
    memory_limit: Annotated[
        float,
        typer.Option(min=0, help="MB that trying the file may take; 0: 2.1 GB and eight times the file."),
    ] = 0.0,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds of processor time for trying it.")] = 60.0,
    json: Json = False,
) -> None:
    """Make a generator's package of a file from elsewhere, so that it can be trained with and draw live.

    The file is opened in a process with limits of memory and time only. Which input is the latent, which output the
    picture, its layout and its range are found, or asked for with the choices named. The same latents are drawn by the
    file as it came and by the package, and compared. Two sheets are there to be looked at: samples.png, and
    reading.png with red and blue as read and exchanged, for no number tells their order. Needs the `train` extra.
    """
    output = use(json)
    file = find_network(file, "bci import-generator")
    with needing("train", "importing a generator"):
        from models.generators.imported import importing
        from models.generators.imported.reading import Asked

        wish = importing.Wish(
            name,
            title,
            one_of("--rule", rule, ("keep", "rescale", "truncate")),
            limit,
            memory_limit,
            time_limit,
        )
        if file.suffix.lower() == ".safetensors":
            if architecture is None:
                raise ConfigError(
                    f"{file}: weights alone do not say what network they belong to. State it with --architecture FILE: "
                    'JSON such as {"kind": "dcgan", "latent": 64, "width": 28, "size": 64}, or a generator.json.'
                )
            from models.generators.imported.weights import import_weights

            made = import_weights(file, architecture, out, wish)
        else:
            low, high = ends or (None, None)
            asked = Asked(
                latent_input, image_output, class_input, class_number, constants(held or []),
                low, high,
                one_of("--layout", layout, ("NCHW", "NHWC", None)),
                one_of("--colour", colour, ("RGB", "BGR", "grey", None)),
            )  # fmt: skip
            made = importing.import_generator(file, out, asked, wish)
    spec, reading = made.package.spec, made.reading
    facts: dict[str, Any] = {
        "package": str(out), "hash": made.package.hash, "latent": f"{reading.latent}",
        "image": f"{reading.image}, {reading.layout}, {reading.colour}",
        "range": [spec.image.low, spec.image.high],
        "held": {name: value.ravel().tolist() for name, value in reading.constants.items()},
        "at once": "one" if spec.batch else "any number",
        "graph": "unchanged" if made.unchanged else "adapted",
        "pixels equal to the file's own": made.alike,
    }  # fmt: skip
    output.facts("Imported", facts)
    output.say(f"package written: {out}. Look at {out / 'samples.png'} and {out / 'reading.png'}")
    output.result(facts)


def constants(held: list[str]) -> dict[str, float]:
    """Read ``NAME=VALUE`` words.

    Raises
    ------
    ConfigError
        If one is something else.
    """
    values = {}
    for words in held:
        name, equals, value = words.rpartition("=")
        try:
            values[name] = float(value)
        except ValueError:
            equals = ""
        if not (equals and name):
            raise ConfigError(f"--set: expected NAME=VALUE with a number, such as psi=0.7; came {words!r}.")
    return values


def one_of(option: str, given: str | None, choices: tuple[str | None, ...]) -> Any:
    """Return what was given, whatever its case.

    Raises
    ------
    ConfigError
        If it is none of the choices.
    """
    for choice in choices:
        if (given or "").lower() == (choice or "").lower():
            return choice
    raise ConfigError(f"{option}: expected {', '.join(filter(None, choices))}; came {given!r}.")

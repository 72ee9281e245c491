"""`bci searchlight`: which layer of the generator each voxel of a decoder of HYPER's release belongs to."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bci.cli.given import find_given
from bci.cli.needing import needing
from bci.cli.output import use
from bci.cli.run import Json
from bci.cli.training import DataRoot
from bci.cli.units import Cluster, Jobs, where_units_run
from bci.errors import ConfigError
from bci.io.files.kinds import BUNDLE


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(searchlight)


def searchlight(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle of kind hyper-release.")],
    places: Annotated[
        Path,
        typer.Option(help="Array (.npy) of the place of each voxel on the grid: (voxels, 3) whole numbers."),
    ],
    data: DataRoot = None,
    generator: Annotated[
        Path | None, typer.Option(help="The generator's package; else looked for beside the bundle.")
    ] = None,
    layers: Annotated[str, typer.Option(help="Numbers of the generator's layers, from 1.")] = "4,9,14,19",
    crop: Annotated[
        int | None, typer.Option(min=1, help="Side of the centre of their activations; else all of them.")
    ] = None,
    side: Annotated[int, typer.Option(min=1, help="Of a cube, voxels; odd.")] = 7,
    permutations: Annotated[int, typer.Option(min=20, help="Exchanges of test faces, for the null.")] = 200,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of layer-map.csv, layer-map.png and units; else runs/<bundle>-searchlight."
        ),
    ] = None,
    chunk: Annotated[
        int, typer.Option(min=1, help="Cubes of one unit: what a killed worker loses; the map is the same.")
    ] = 16,
    jobs: Jobs = 1,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Occlude the voxels of a cube about each voxel, and say which layer of the generator suffers most.

    The cube's voxels are set to their training mean, and nothing is fitted again. Activations are in units of their
    deviation; a voxel whose growth of the error is within what exchanged test faces give belongs to no layer. It costs
    the generator's layers of every test face for every voxel: crop, or choose early layers.

    Some cubes are a unit, kept in a file of its own as soon as it is there: a run that was killed goes on with what is
    missing, and a worker that is killed costs what it had in hand. Workers of a cluster run what they are sent: use one
    that you trust. Needs the `train` extra, a cluster the `cluster` extra too.
    """
    output = use(json)
    where_units = where_units_run("bci searchlight", jobs, cluster)
    bundle = find_given(bundle, "bci searchlight", BUNDLE)
    from bci.io.files.npy import load_array

    load_array(places, ConfigError)  # before networks are opened
    with needing("train", "a searchlight"):
        from bci.decoder.bundle import Bundle
        from models.systems.hyper_release.layer_map import Search, map_layers, write
    asked = Search(_numbers(layers), crop, side, permutations)
    opened = Bundle.load(bundle)
    out = out or Path("runs") / f"{bundle.name}-searchlight"
    with output.progress() as progress:
        task = progress.add_task("occluding", total=1.0)
        where, found = map_layers(
            opened,
            places,
            asked,
            out / "units",
            data_root=data,
            generator=generator,
            chunk=chunk,
            **where_units,
            progress=lambda done, text: progress.update(task, completed=done, description=text),
        )
    write(out, where, found, asked)
    counted = {f"layer {number}": int((found.layer == k).sum()) for k, number in enumerate(asked.layers)}
    facts: dict[str, Any] = {
        "voxels": len(where), **counted, "no layer": int((found.layer < 0).sum()), "threshold": found.threshold,
        "map": str(out),
    }  # fmt: skip
    output.facts("Voxels by layer", facts)
    output.result(facts)


def _numbers(words: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in words.split(","))
    except ValueError:
        numbers = ()
    if not numbers or len(set(numbers)) < len(numbers):
        raise ConfigError(f"--layers: expected numbers such as 4,9,14,19, each once, came {words!r}")
    return numbers

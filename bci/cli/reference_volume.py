"""`bci volumes reference`: what a session of volumes is aligned to, and the masks that its decoder reads."""

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.given import find_run
from bci.cli.needing import needing
from bci.cli.output import use
from bci.cli.run import Json


def reference(
    run: Annotated[
        Path,
        typer.Argument(
            help="A folder of DICOM or NIfTI files, or a 4-D NIfTI file, here or under $BCI_DATA."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder that the files are written into.")],
    sphere: Annotated[
        list[str] | None,
        typer.Option(help="A region: NAME=X,Y,Z,RADIUS in millimetre; several times for several."),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="A region: NAME=FILE, a NIfTI file of zeros and ones in the scanner's millimetres."
        ),
    ] = None,
    drawn_on: Annotated[
        Path | None,
        typer.Option(
            help="NIfTI file of the volume on which the --region files were drawn: registered to the run."
        ),
    ] = None,
    volume: Annotated[int, typer.Option(min=0, help="Which volume of the run, from 0.")] = 1,
    series: Annotated[
        int | None, typer.Option(min=0, help="Number of the series, where a folder holds several.")
    ] = None,
    json: Json = False,
) -> None:
    """Take the reference volume, the brain's mask and regions from a short run, for a session's [run] section.

    Run it on a few volumes scanned before the session, with the session's own slices. The brain is where the volume,
    smoothed by 8 mm, is brighter than a quarter of its 98th percentile; a region is a sphere within it, in millimetres
    of the scanner (x to the right, y forward, z up), or what an image shows, resampled to the run. Name with --drawn-on
    the volume, of the same kind of scan, that the images' regions were drawn on: it is registered to the run, and
    refused where its mirror image fits better, so that left and right are not exchanged unseen. `reference.png` shows
    where regions lie, and how many of their voxels are left is printed: look at both. Needs the `fmri` extra.
    """
    output = use(json)
    with needing("fmri", "reading volumes"):
        from bci.io.volumes.reference import Region, RegionImage, Sphere, write_reference

    run = find_run(run, "bci volumes reference")
    regions: list[Region] = [Sphere.parse(text) for text in sphere or ()]
    regions += [RegionImage.parse(text) for text in region or ()]
    facts = write_reference(run, out, regions, place=volume, series=series, drawn_on=drawn_on)
    voxels = {
        f"voxels of {name}": f"{count}, {facts['left'][name]} of them left"
        for name, count in facts["voxels"].items()
    }
    tr = "not stated" if facts["tr"] is None else f"{facts['tr']:g} s"
    output.facts(f"volume {volume} of {run}", {"size": facts["shape"], "TR": tr, **voxels})
    output.say(f"written into {out}: {', '.join(facts['files'])}")
    output.result({"run": str(run), "out": str(out), "volume": volume, **facts})

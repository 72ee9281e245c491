"""`bci volumes mask`: a mask from localiser runs, of the voxels that answer most, or whose answers repeat."""

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.given import find_run
from bci.cli.needing import needing
from bci.cli.output import use
from bci.cli.run import Json
from bci.errors import ConfigError
from bci.io.files.kinds import SESSION


def mask(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of DICOM or NIfTI files, or 4-D NIfTI files, here or under $BCI_DATA; one or several."
        ),
    ],
    masks: Annotated[
        Path, typer.Option(help="Folder that `bci volumes reference` wrote: what all runs are aligned to.")
    ],
    design: Annotated[
        list[Path],
        typer.Option(
            help="Table of events, tab-separated: onset, duration (seconds), trial_type; one, or one for each run."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The mask's file, NAME.nii.gz; NAME.png beside it shows it.")],
    contrast: Annotated[
        str, typer.Option(help="A condition, or a difference of two as faces-houses, whose z is highest.")
    ] = "",
    voxels: Annotated[int, typer.Option(min=1, help="How many voxels at most.")] = 500,
    reliable: Annotated[
        float | None,
        typer.Option(
            min=-1,
            max=1,
            help="Least correlation, over conditions, of what one half of the trials and the other evoke.",
        ),
    ] = None,
    region: Annotated[
        str, typer.Option(help="Name of a mask in that folder that voxels must lie in; else brain.")
    ] = "",
    json: Json = False,
) -> None:
    """Take a mask from localiser runs: the most active voxels of a contrast, the most reliable ones, or both.

    Every run goes through motion correction and the general linear model of `bci volumes quality`, aligned to one
    reference volume. z values of several runs are joined. With --reliable, each condition's trials are halved by turns,
    and voxels count whose answers to the conditions repeat. How many voxels lie left and right is printed; look at the
    picture. Take it into a session's [run] masks, or by `bci volumes reference --region`. Needs the `fmri` extra.
    """
    output = use(json)
    with needing("fmri", "reading volumes"):
        from bci.session.localising import Wanted, localise, write_mask
        from bci.session.volume_quality import read_volumes

    if len(design) not in (1, len(runs)):
        raise ConfigError(f"expected one design, or one for each of {len(runs)} runs, came {len(design)}.")
    wanted = Wanted(voxels, contrast, reliable, region)
    there = [find_run(run, "bci volumes mask", SESSION) for run in runs]
    tables = design if len(design) > 1 else design * len(runs)
    read = [
        read_volumes(run, masks=masks).with_design(table) for run, table in zip(there, tables, strict=True)
    ]
    found, facts = localise(read, wanted)
    picture = write_mask(out, found, read[0])
    shown = {"voxels": facts["voxels"], "left": facts["left"], "right": facts["right"]}
    output.facts(
        f"{out.name} of {len(runs)} run{'s' * (len(runs) > 1)}",
        {**shown, "least": f"{facts['least']:.2f} ({facts['of']})"},
    )
    output.say(f"written: {out}, {picture}")
    output.result({**facts, "out": str(out), "picture": str(picture)})

"""`bci volumes quality`: how a run of volumes went: motion, jumps, steadiness, regions, what answered to a design."""

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.given import find_run
from bci.cli.needing import needing
from bci.cli.output import use
from bci.cli.run import Json
from bci.errors import ConfigError
from bci.io.files.kinds import SESSION


def quality(
    run: Annotated[
        Path,
        typer.Argument(
            help="A folder of DICOM or NIfTI files, a 4-D NIfTI file, or a session's folder; here or under $BCI_DATA."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder that the report is written into.")],
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder that `bci volumes reference` wrote: reference volume, brain and regions."),
    ] = None,
    volume: Annotated[
        int, typer.Option(min=0, help="Without --masks: which volume is the reference, from 0.")
    ] = 1,
    design: Annotated[
        Path | None,
        typer.Option(
            help="Table of events, tab-separated: onset, duration (seconds), trial_type, as BIDS has it."
        ),
    ] = None,
    contrast: Annotated[
        list[str] | None,
        typer.Option(
            help="A condition, or a difference of two as faces-houses; several times. Else each condition."
        ),
    ] = None,
    physiology: Annotated[
        Path | None,
        typer.Option(
            help="Recording of a pulse, of breathing or of both: a file of `bci record`, or another."
        ),
    ] = None,
    pulse: Annotated[str | None, typer.Option(help="Label of its channel that holds the pulse.")] = None,
    breath: Annotated[
        str | None, typer.Option(help="Label of its channel that holds the breathing belt.")
    ] = None,
    physiology_start: Annotated[
        float, typer.Option(help="Seconds in that recording at which the first volume began.")
    ] = 0.0,
    physiology_stream: Annotated[str | None, typer.Option(help="Which stream of that recording.")] = None,
    tr: Annotated[
        float | None, typer.Option(min=0.01, help="Seconds, where the files do not say their TR.")
    ] = None,
    series: Annotated[
        int | None, typer.Option(min=0, help="Number of the series, where a folder holds several.")
    ] = None,
    json: Json = False,
) -> None:
    """Take a run through motion correction and a general linear model, and report how it went.

    The steps are those of a live decoder, one volume after the other. `quality.html` shows translations, rotations,
    framewise displacement, DVARS and regions over time, temporal SNR of each voxel, and t maps where a design is given;
    `motion.tsv` has the numbers of each volume, and maps are NIfTI files. A volume that is missing, whose head is lost
    or at which head or picture jumps is named, and is no part of the model. With --physiology the model of each slice
    holds the phases of heart and breathing when it was taken (RETROICOR), and the volume of breath. Exit status 0
    whatever is found. Needs the `fmri` extra.
    """
    output = use(json)
    with needing("fmri", "reading volumes"):
        from bci.session.volume_quality import read_volumes

    run = find_run(run, "bci volumes quality", SESSION)
    if physiology is None and (pulse or breath):
        raise ConfigError("--pulse and --breath name channels: expected --physiology FILE beside them.")
    if contrast and design is None:
        raise ConfigError("--contrast is of a design: expected --design FILE beside it.")
    found = read_volumes(run, masks=masks, place=volume, tr=tr, series=series)
    if design is not None:
        found = found.with_design(design)
    if physiology is not None:
        found = found.with_physiology(physiology, pulse, breath, physiology_start, physiology_stream)
    facts = found.write(out, found.survey(contrast or ()))
    shown = {
        "missing": facts["missing"],
        "head lost": facts["lost"],
        "jumps": facts["spikes"],
        "displacement": _said(facts["displacement_median_mm"], "mm, median"),
        "tSNR": _said(facts["tsnr_median"], "median"),
    }
    output.facts(f"{facts['volumes']} volumes of {run}", shown)
    output.say(f"written into {out}: {', '.join(facts['files'])}")
    output.result({**facts, "out": str(out)})


def _said(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.3g} {unit}"

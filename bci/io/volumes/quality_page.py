"""The report of a run of volumes: what moved, what jumped, how steady which voxel was, what answered to the design."""

import gzip
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bci.io.files.cells import cell
from bci.io.files.folder import path_name, write_json, write_whole
from bci.io.files.page import document, escape, facts, header, inline, picture, table
from bci.io.volumes.nifti import nifti_bytes
from bci.io.volumes.reference import masks_picture
from bci.signal.volumes.motion import COLUMNS, fault_words
from bci.signal.volumes.nuisance import MarkSpikes
from bci.signal.volumes.rigid import Affine
from bci.signal.volumes.survey import Surveyed
from bci.signal.volumes.tiles import coloured, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Three curves of one panel, told apart without red and green; what is lost, what jumps, what is missing.
_CURVES, _LOST, _SPIKE, _MISSING = ("#2b6c75", "#c9762b", "#7a4a6d"), "#e2a59f", "#f0d9a8", "#d5d9dc"
_INK = "#1f272d"

#: Least width of a picture of a map, pixels: what its colours mean must find room.
_NARROWEST = 480

#: t values at both ends of a map.
_T_SHOWN = 6.0


def write_quality(
    out: Path, name: str, found: Surveyed, affine: Affine, regions: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Any]:
    """Write ``quality.html``, ``quality.json``, ``motion.tsv`` and maps as NIfTI files into a folder.

    Parameters
    ----------
    out : Path
        The folder; it is made.
    name : str
        What the run is called.
    found : Surveyed
        What it showed.
    affine : (4, 4) array
        From voxels of its maps to millimetre.
    regions : mapping of str to (x, y, z) bool
        Regions whose courses are in it.

    Returns
    -------
    dict
        What ``quality.json`` holds.

    Raises
    ------
    DiskError
        If the disk does not take them.
    """
    out.mkdir(parents=True, exist_ok=True)
    maps = {"tsnr": found.tsnr, "tsnr_cleaned": found.cleaned}
    for contrast, one in zip(_file_names(list(found.contrasts)), found.contrasts.values(), strict=True):
        maps |= {f"{contrast}_t": one.t, f"{contrast}_percent": one.effect}
    for called, values in maps.items():
        whole = nifti_bytes(np.nan_to_num(values), affine, math.nan)
        write_whole(out / f"{called}.nii.gz", gzip.compress(whole, mtime=0))
    write_whole(out / "motion.tsv", motion_table(found).encode())
    files = ["quality.html", "motion.tsv", *(f"{called}.nii.gz" for called in maps)]
    volumes = {word: np.flatnonzero(which).tolist() for word, which in _kinds(found).items()}
    result = {"run": name, "tr": found.tr_s, **found.figures(), "which": volumes, "words": list(found.words)}
    write_json(out / "quality.json", result)
    parts = _parts(name, found, affine, regions)
    write_whole(out / "quality.html", document(f"Quality: {name}", parts, _STYLE).encode())
    return {**result, "out": str(out), "files": [*files, "quality.json"]}


_STYLE = (
    "figure.wide img { width: 100%; } td:last-child, th:last-child { text-align: left; white-space: normal; }"
)


def _file_names(contrasts: Sequence[str]) -> list[str]:
    """Return each contrast as a part of a file's name, different ones: a design's conditions may hold a slash.

    >>> _file_names(["faces", "faces/left", "faces_left", "../x"])
    ['faces', 'faces_left', 'faces_left-2', '_x']
    """
    names: list[str] = []
    for contrast in contrasts:
        plain = name = path_name(contrast)
        number = 2
        while name in names:
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names


def _kinds(found: Surveyed) -> dict[str, NDArray[np.bool_]]:
    return {"missing": found.missing, "lost": found.lost, "spikes": found.spikes}


def motion_table(found: Surveyed) -> str:
    """Return a row for each volume: time, the six parameters, displacement, DVARS, faults, regions; n/a where unknown.

    Columns are called as in BIDS derivatives: millimetre and radian, ``framewise_displacement``, ``dvars``.
    """
    head = ["time", *COLUMNS[:-1], "dvars", *_kinds(found), *(cell(region) for region in found.regions)]
    lines = ["\t".join(head)]
    for place, row in enumerate(found.motion):
        numbers = [place * found.tr_s, *row[:-1], found.dvars[place]]
        words = [f"{value:.6g}" if math.isfinite(value) else "n/a" for value in numbers]
        words += [str(int(which[place])) for which in _kinds(found).values()]
        courses = [course[place] for course in found.regions.values()]
        words += [f"{value:.6g}" if math.isfinite(value) else "n/a" for value in courses]
        lines.append("\t".join(words))
    return "\n".join(lines) + "\n"


def _parts(name: str, found: Surveyed, affine: Affine, regions: Mapping[str, NDArray[np.bool_]]) -> list[str]:
    usable = len(found.dvars) - sum(int(which.sum()) for which in _kinds(found).values())
    good = usable == len(found.dvars)
    first = f"{usable} of {len(found.dvars)} volumes can be used"
    headline = (
        f'<section class="verdict {"passed" if good else "failed"}"><strong>{first}</strong>'
        f"<p>{escape(_counts(found))}</p></section>"
    )
    parts = [
        header("Quality of a run of volumes", name, f"{len(found.dvars)} volumes, TR {found.tr_s:g} s"),
        headline,
        *run_sections(found, affine),
    ]
    for contrast, one in found.contrasts.items():
        words = f"t of {contrast}: drift and motion in the model, {found.freedom} degrees of freedom"
        parts += [
            f"<h2>{escape(contrast)}</h2>",
            _map_figure(one.t, affine, -_T_SHOWN, _T_SHOWN, words),
        ]
    drawn = masks_picture(np.nan_to_num(found.mean), affine, regions)
    parts += [
        "<h2>Mean volume</h2>",
        f'<figure class="wide">{picture(drawn, "Mean volume and regions")}</figure>',
    ]
    return parts


def run_sections(found: Surveyed, affine: Affine) -> list[str]:
    """Return how a run went, as parts of a page: figures, traces, volumes that cannot be used, temporal SNR."""
    words = "tSNR: mean over standard deviation, motion corrected"
    return [
        facts(_facts(found)),
        "<h2>From volume to volume</h2>",
        f'<figure class="wide">{inline(traces_picture(found), "Motion, displacement, DVARS and regions over time")}'
        "<figcaption>Red: the head is lost, and the volume is not corrected. Yellow: head or picture jumps. Grey: no "
        "volume came. Dashed: from where a displacement counts as a jump.</figcaption></figure>",
        _faults(found),
        "<h2>Steadiness of each voxel</h2>",
        _map_figure(found.tsnr, affine, 0.0, _top(found.tsnr), words),
    ]


def _counts(found: Surveyed) -> str:
    counts = [
        f"{int(which.sum())} {words}"
        for which, words in (
            (found.missing, "did not come"),
            (found.lost, "with a lost head"),
            (found.spikes, "at which head or picture jumps"),
        )
        if which.any()
    ]
    return ", ".join(counts) + "." if counts else "None is missing, none is lost, none jumps."


def _facts(found: Surveyed) -> list[tuple[str, str]]:
    figures = found.figures()

    def said(key: str, unit: str, places: int = 2) -> str:
        value = figures[key]
        return "unknown" if value is None else f"{value:.{places}f}{unit}"

    removed = "drift, motion and physiology" if found.physiology else "drift and motion"
    return [
        (
            "Displacement",
            f"median {said('displacement_median_mm', ' mm')}, most {said('displacement_most_mm', ' mm')}",
        ),
        (
            "From the reference",
            f"at most {said('translation_most_mm', ' mm')} and {said('rotation_most_deg', ' degrees')} about one axis",
        ),
        ("DVARS", f"median {said('dvars_median_percent', ' % of the brain’s mean')}"),
        (
            "tSNR",
            f"median {said('tsnr_median', '', 1)}; {said('tsnr_cleaned_median', '', 1)} without {removed}",
        ),
        ("Model", f"{found.fitted} volumes, {found.freedom} degrees of freedom left"),
        *(("Not known", words) for words in found.words),
    ]


def _faults(found: Surveyed) -> str:
    """Return a table of the volumes that cannot be used, with the reason of each."""
    rows = []
    for place in np.flatnonzero(found.missing | found.lost | found.spikes):
        if found.missing[place]:
            words = "no volume came"
        elif found.lost[place]:
            words = f"the head is lost: {fault_words(found.motion[place])}"
        else:
            moved = found.displacement[place]
            words = f"DVARS {found.dvars[place]:.1f} %"
            words += (
                f", displaced by {moved:.2f} mm"
                if math.isfinite(moved)
                else ", after one that is not corrected"
            )
        rows.append([str(place), f"{place * found.tr_s:g}", escape(words)])
    return table(("volume", "seconds", "why it cannot be used"), rows, (0, 1)) if rows else ""


def traces_picture(found: Surveyed) -> bytes:
    """Return a picture, PNG: translations, rotations, displacement, DVARS and regions over the seconds of the run."""
    from matplotlib.figure import Figure

    seconds = np.arange(len(found.dvars), dtype=np.float64) * found.tr_s
    motion = np.where(found.lost[:, None], np.nan, found.motion)
    panels: list[tuple[str, list[tuple[str, NDArray[np.float64]]]]] = [
        ("translation, mm", [(axis, motion[:, k]) for k, axis in enumerate(("x", "y", "z"))]),
        ("rotation, degrees", [(f"about {a}", np.degrees(motion[:, 3 + k])) for k, a in enumerate("xyz")]),
        ("displacement, mm", [("", found.displacement)]),
        ("DVARS, %", [("", found.dvars)]),
    ]
    if found.regions:
        panels.append(("regions, %", list(found.regions.items())))
    figure = Figure(figsize=(9.0, 1.45 * len(panels) + 0.4), layout="constrained")
    many = figure.subplots(len(panels), 1, sharex=True)
    for axes, (label, curves) in zip(many, panels, strict=True):
        _shade(axes, found, seconds)
        for place, (called, values) in enumerate(curves):
            axes.plot(seconds, values, color=_CURVES[place % 3], lw=1.1, label=called, marker=".", ms=2.5)
        if curves[0][0]:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7, frameon=False)
        axes.set_ylabel(label, color=_INK, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    many[2].axhline(MarkSpikes().displacement_mm, color=_INK, lw=0.8, ls="--")
    for axes in many[2:4]:
        axes.set_ylim(bottom=0.0)
    many[-1].set_xlabel("seconds from the first volume", color=_INK, fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=130)
    return drawn.getvalue()


def _shade(axes: "Axes", found: Surveyed, seconds: NDArray[np.float64]) -> None:
    for which, colour in ((found.missing, _MISSING), (found.lost, _LOST), (found.spikes, _SPIKE)):
        for place in np.flatnonzero(which):
            axes.axvspan(seconds[place] - found.tr_s / 2, seconds[place] + found.tr_s / 2, color=colour, lw=0)


def _top(values: NDArray[np.float32]) -> float:
    """Return a round number that few values of a map are above."""
    high = float(np.nanpercentile(values, 98)) if np.isfinite(values).any() else 1.0
    return max(10.0, 10.0 * math.ceil(high / 10.0))


def _map_figure(values: NDArray[np.float32], affine: Affine, low: float, high: float, words: str) -> str:
    drawn = map_picture(values, affine, low, high)
    return f'<figure class="wide">{picture(drawn, words)}<figcaption>{escape(words)}.</figcaption></figure>'


def map_picture(
    values: NDArray[np.float32], affine: Affine, low: float, high: float, ticks: Sequence[float] = ()
) -> NDArray[np.uint8]:
    """Return the slices of a map (x, y, z) in colour, left to the left, and below them what the colours mean."""
    signed = low < 0.0 < high
    colour = coloured(values, low, high, signed)
    across = tiles(colour, affine, scale=1).shape[1]
    drawn = tiles(colour, affine, scale=max(2, math.ceil(_NARROWEST / across)))
    scale, width = 26, 240
    foot = np.zeros((scale, drawn.shape[1], 3), np.uint8)
    foot[4:14, 8 : 8 + width] = coloured(np.linspace(low, high, width), low, high, signed)[None]
    whole = Image.fromarray(np.concatenate([drawn, foot]))
    pen = ImageDraw.Draw(whole)
    for tick in ticks or (low, (low + high) / 2, high):
        at = 8 + round((tick - low) / (high - low) * (width - 1))
        pen.text((at, len(drawn) + 14), f"{tick:g}", fill=(255, 255, 255), anchor="mt")
    pen.text((width + 24, len(drawn) + 4), "left of each slice: left", fill=(255, 255, 255))
    return np.asarray(whole)

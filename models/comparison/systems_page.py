"""The page of a comparison of systems: for each set one table, and pictures side by side."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bci.io.files.folder import write_whole
from bci.io.files.page import escape, facts, header, inline, table
from models.reports.figures import number, p_value, spread
from models.reports.writing import make, write_report

Pictures = NDArray[np.uint8]

#: Pictures of a row, and how high one is drawn, pixels.
MOST, HEIGHT = 12, 64
#: Width of a row's name on a sheet of its own, pixels.
_NAME = 190


def write_systems(out: Path, report: Mapping[str, Any], sheets: Sequence[Mapping[str, Pictures]]) -> Path:
    """Write ``index.html``, ``report.json`` and a sheet of pictures for each set; return the page's path."""
    make(out)
    parts = [header("Comparison of systems", str(report["name"]), f"{len(report['sets'])} sets of trials")]
    for at, (one, sheet) in enumerate(zip(report["sets"], sheets, strict=True)):
        write_whole(out / f"pictures-{at}.png", draw_sheet(sheet))
        parts += [f"<h2>{escape(one['title'])}</h2>", _notice(one), _scores(one), _strips(sheet), _about(one)]
    parts.append(_how(report))
    return write_report(
        out, f"Comparison: {report['name']}", parts, report, "; every reader and part below units"
    )


def ranking(one: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return a set's rows, the best two-way identification first; what cannot be a reader, and what refused, last."""

    def key(pair: tuple[str, Mapping[str, Any]]) -> tuple[int, float]:
        name, row = pair
        if "scores" not in row:
            return 3, 0.0
        group = 2 if name.startswith("best of ") else 0 if "about" in row else 1
        return group, -row["scores"]["two-way"]["score"]

    return sorted(one["rows"].items(), key=key)


def score_names(one: Mapping[str, Any]) -> list[str]:
    """Return the names of a set's scores."""
    return list(next(row["scores"] for row in one["rows"].values() if "scores" in row))


def _notice(one: Mapping[str, Any]) -> str:
    simulated = (
        "The participant is simulated: nothing here is a measurement of a brain. " if one["simulated"] else ""
    )
    return (
        f'<p class="notice">{simulated}{escape(one["about"])}. Learned from {one["learned_from"]} trials; '
        f"{one['trials']} single trials of {one['pictures']} pictures are read.</p>"
    )


def _scores(one: Mapping[str, Any]) -> str:
    names = score_names(one)
    head = ["reader", *(cell for name in names for cell in (name, "95 % interval", "chance"))]
    head += ["p, two-way", "seconds"]
    rows = []
    for title, row in ranking(one):
        if "scores" not in row:
            rows.append([escape(title), f"not fitted: {escape(row['refused'])}", *[""] * (len(head) - 2)])
            continue
        cells = []
        for name in names:
            found = row["scores"][name]
            chance = (
                "" if found["chance"] is None else f"{found['chance'][1]:.3f} to {found['chance'][2]:.3f}"
            )
            cells += [number(found["score"]), spread(found), chance]
        name = escape(title) if "about" in row else f"<em>{escape(title)}</em>"
        seconds = "" if row.get("seconds") is None else f"{row['seconds']:.0f}"
        rows.append([name, *cells, p_value(row["scores"]["two-way"]["p"]), seconds])
    if best := one["oracle"]:
        cells = [cell for name in names for cell in (number(best[name]) if name in best else "", "", "")]
        rows.append(["<em>oracle</em>", *cells, "", ""])
    return table(head, rows, range(1, len(head))) + (
        '<p class="legend">Chance: the middle 95 % with pictures exchanged; p one-sided. Two-way and of several: '
        "identification by edges and colours, single trials. AUC, of two pictures: trials ranked by how much more "
        "the pixels drawn are like the one than like the other. Best of: what a reader draws of the true pictures "
        "themselves. The oracle identifies by the exact likelihood, without drawing.</p>"
    )


def _strips(sheet: Mapping[str, Pictures]) -> str:
    rows = [(escape(title), inline(_png(_strip(pictures)), title)) for title, pictures in sheet.items()]
    return table(("", "the first trial of each picture"), rows, ())


def _about(one: Mapping[str, Any]) -> str:
    rows = [(title, row["about"]) for title, row in ranking(one) if "about" in row]
    return facts([*rows, ("Noise ceiling", one["ceiling"]), ("Hash of the data", one["data"]["sha256"])])


def _how(report: Mapping[str, Any]) -> str:
    rows = [
        ("Pictures", f"compared at {report['side']} × {report['side']}"),
        (
            "Averaged",
            "single trials, nothing averaged; intervals resample pictures, or blocks of time of few",
        ),
        ("Versions", ", ".join(f"{name} {number}" for name, number in report["versions"].items())),
    ]
    if report["effort"] != 1:
        rows.append(("Effort", f"{report['effort']:g} of the updates and dreams of readers that have some"))
    return "<h2>How it was compared</h2>" + facts(rows)


def draw_sheet(sheet: Mapping[str, Pictures]) -> bytes:
    """Return a PNG: a row of pictures for the truths and each reader, with its name before it."""
    strips = {title: _strip(pictures) for title, pictures in sheet.items()}
    width = _NAME + max(strip.shape[1] for strip in strips.values())
    page = Image.new("RGB", (width, (HEIGHT + 4) * len(strips)), "white")
    pen = ImageDraw.Draw(page)
    for at, (title, strip) in enumerate(strips.items()):
        top = at * (HEIGHT + 4)
        pen.text((6, top + HEIGHT // 2 - 7), title, fill="black", font_size=14)
        page.paste(Image.fromarray(strip), (_NAME, top))
    return _png(np.asarray(page))


def _strip(pictures: Pictures) -> Pictures:
    size = (HEIGHT, HEIGHT)
    few = [Image.fromarray(one).resize(size, Image.Resampling.NEAREST) for one in pictures[:MOST]]
    return np.concatenate([np.asarray(one) for one in few], axis=1)


def _png(pixels: Pictures) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "png")
    return held.getvalue()

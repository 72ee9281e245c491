"""What is told to people of an imported generator: its card, and a sheet that shows how its planes are read."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.generators.imported.reading import Reading
from models.generators.spec import GeneratorSpec

_RULES = {
    "keep": "used as it comes",
    "rescale": "rescaled to norm √d",
    "truncate": "clipped to ± {limit:g}",
}
_SIDE, _GAP, _TOP = 96, 6, 16


def reading_sheet(pictures: NDArray[np.uint8]) -> bytes:
    """Draw some pictures as they were read, and with red and blue exchanged: a PNG.

    Parameters
    ----------
    pictures : (n, height, width, 3) uint8
        As read.
    """
    rows = (
        ("as imported", pictures),
        ("with red and blue exchanged: if these look right, import again with the other --colour",
         np.ascontiguousarray(pictures[..., ::-1])),
    )  # fmt: skip
    width = max(len(pictures) * (_SIDE + _GAP) + _GAP, 560)
    sheet = Image.new("RGB", (width, len(rows) * (_SIDE + _TOP + _GAP) + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (words, shown) in enumerate(rows):
        top = _GAP + row * (_SIDE + _TOP + _GAP)
        pen.text((_GAP, top), words, fill="black")
        for k, picture in enumerate(shown):
            tile = Image.fromarray(picture).resize((_SIDE, _SIDE))
            sheet.paste(tile, (_GAP + k * (_SIDE + _GAP), top + _TOP))
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def describe(spec: GeneratorSpec, reading: Reading, *, unchanged: bool, alike: float) -> str:
    """Return card.md of an imported generator."""
    image = spec.image
    lines = [
        f"# {spec.name}",
        "",
        spec.title,
        "",
        "## What it draws",
        "",
        f"- {image.width} × {image.height} pixels from a latent of {spec.latent}; a decoded latent is "
        + _RULES[spec.rule].format(limit=spec.limit),
        f"- {'One latent' if spec.batch == 1 else 'Any number of latents'} at a time",
        "- `samples.png`: the first 96 pictures of a fixed seed, none chosen",
        "- `reading.png`: the first eight, and how they look with red and blue exchanged",
        "",
        "## How the file was read",
        "",
        f"- Latent: input `{reading.latent}`; picture: output `{reading.image}`, {reading.layout}, {reading.colour}",
        f"- {image.low:g} is black, {image.high:g} full brightness",
        *(f"- `{name}` is held at {_short(value)}" for name, value in reading.constants.items()),
        f"- The graph is "
        f"{'the file, byte for byte' if unchanged else 'the file between nodes that give it this interface'}; "
        f"{100 * alike:.4g} % of pixels of 3 to 16 latents equal those of the file run as it came",
        "",
        "## Where it comes from",
        "",
        *(f"- File: {file} ({digest})" for file, digest in spec.provenance.data.items()),
        *(f"- Made with: {name} {number}" for name, number in spec.provenance.versions.items()),
        "",
        "## What is not known",
        "",
        "- What it learned from, and how well it draws: nothing was measured.",
        "- Latents are taken to be standard normal. Far from what it was trained on, what it draws means nothing.",
        "",
    ]
    return "\n".join(lines)


def _short(value: NDArray[np.generic]) -> str:
    """Show a constant: one number, or of a class its place."""
    flat = np.asarray(value, float).ravel()
    if flat.size > 1 and np.count_nonzero(flat) == 1 and flat.max() == 1:
        return f"class {int(flat.argmax())} of {flat.size}"
    return f"{flat[0]:g}" if flat.size and (flat == flat[0]).all() else f"{flat.size} values"

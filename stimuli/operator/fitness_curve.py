"""A FitnessCurve shows the operator how fitness goes while pictures evolve: the mean of a generation, by optimiser."""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stimuli.evolution.fitness import Fitness, make_fitness
from stimuli.trials import Palette, Reading

#: Pixels that the curve takes below the pairs.
HEIGHT = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 150, 26, 22
_INK, _FAINT = "#1c1f24", "#6b7280"
_COLOURS = ("#1f6f78", "#c98a1b", "#7a3b69", "#5b8c3e", "#3e5b8c")
_REFERENCE = "reference"


class FitnessCurve:
    """A FitnessCurve gathers the fitness of what was read of each picture.

    Parameters
    ----------
    fitness : callable
        As `stimuli.evolution.fitness.make_fitness` returns it.
    """

    def __init__(self, fitness: Fitness) -> None:
        self._fitness = fitness
        self._sums: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))

    @classmethod
    def of(cls, experiment: Mapping[str, Any], reading: int) -> "FitnessCurve":
        """Return the curve of an ``[experiment]`` of evolving pictures whose bundle reads so many values."""
        return cls(make_fitness(experiment, Palette((1, 1), latent=0, reading=reading)))

    def add(self, name: str, latent: NDArray[np.float32]) -> None:
        """Take what was read, (d,), of the picture of this name: optimiser, generation, place."""
        parts = name.rsplit("-", 2)
        if len(parts) == 3 and parts[1].isdecimal():
            total = self._sums[parts[0]][int(parts[1])]
            total[0] += self._fitness(Reading(-1, latent, math.nan))
            total[1] += 1

    @property
    def means(self) -> dict[str, list[tuple[int, float]]]:
        """Generation and mean fitness of each, by optimiser; the references last."""
        names = sorted(self._sums, key=lambda name: (name == _REFERENCE, name))
        return {name: [(g, s / n) for g, (s, n) in sorted(self._sums[name].items())] for name in names}

    def draw(self, width: int) -> Image.Image:
        """Draw it, (width, HEIGHT) pixels."""
        sheet = Image.new("RGB", (width, HEIGHT), "#ffffff")
        draw, small = ImageDraw.Draw(sheet), ImageFont.load_default(12)
        draw.text((_LEFT, 6), "fitness, mean of each generation", _FAINT, small)
        means = self.means
        points = [point for own in means.values() for point in own]
        if not points:
            return sheet
        last = max(1, *(generation for generation, _ in points))
        values = [value for _, value in points]
        low, high = min(values), max(values)
        span = (high - low) or 1.0
        right, bottom = width - _RIGHT, HEIGHT - _BOTTOM

        def at(generation: int, value: float) -> tuple[float, float]:
            x = _LEFT + (right - _LEFT) * generation / last
            return x, bottom - (bottom - _TOP) * (value - low) / span

        draw.line([(_LEFT, _TOP), (_LEFT, bottom), (right, bottom)], _FAINT)
        for value, y in ((high, _TOP - 6), (low, bottom - 8)):
            text = f"{value:.3g}"
            draw.text((_LEFT - 6 - draw.textlength(text, small), y), text, _FAINT, small)
        draw.text((_LEFT, bottom + 3), "generation 0", _FAINT, small)
        draw.text((right - draw.textlength(f"{last}", small), bottom + 3), f"{last}", _FAINT, small)
        colours = dict(zip((n for n in means if n != _REFERENCE), _COLOURS, strict=False))
        for place, (name, own) in enumerate(means.items()):
            colour = colours.get(name, "#9ca3af")
            places = [at(*point) for point in own]
            if len(places) > 1:
                draw.line(places, colour, 2)
            newest_x, newest_y = places[-1]
            draw.ellipse((newest_x - 3, newest_y - 3, newest_x + 3, newest_y + 3), colour)
            top = _TOP + 18 * place
            draw.rectangle((right + 16, top + 5, right + 28, top + 8), colour)
            draw.text((right + 34, top - 1), f"{name} {own[-1][1]:.3g}", _INK, small)
        return sheet


def with_curve(sheet: Image.Image, curve: FitnessCurve | None) -> Image.Image:
    """Return a sheet with a curve below it; the sheet itself where there is none."""
    if curve is None:
        return sheet
    both = Image.new("RGB", (sheet.width, sheet.height + HEIGHT), "#ffffff")
    both.paste(sheet, (0, 0))
    both.paste(curve.draw(sheet.width), (0, sheet.height))
    return both

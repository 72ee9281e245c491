"""Neurons that were recorded, or planted ones: a model of them, pictures that drive them, and a sheet to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bci.errors import ConfigError, DataError
from bci.io.files.npy import load_array
from models.datasets.folder import read_folder
from models.drawings.leaves import draw_leaves
from models.encoding.driving import Driven, Goal, drive
from models.encoding.neurons import NeuronModel, fit_neurons
from models.encoding.planted_neurons import PlantedNeurons, plant_neurons
from models.networks.convnet import Convnet

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]

#: Pictures that planted neurons are shown, and how often each.
_SHOWN, _REPEATS = 600, 4
_SIDE, _LINE, _FIRST = 144, 16, 4


def drive_recorded(
    network: Convnet,
    layers: Sequence[str],
    pictures: Path | None,
    counts: Path | None,
    *,
    planted: int,
    neurons: Sequence[int] | None,
    goal: Goal,
    size: int,
    seed: int = 0,
) -> tuple[Pictures, dict[str, Any]]:
    """Fit, drive, and draw the sheet.

    Parameters
    ----------
    network, layers
        As of `models.encoding.neurons.fit_neurons`.
    pictures, counts : Path, optional
        A folder of pictures, and a .npy of (pictures, neurons) in the order of their paths.
    planted : int
        Neurons that are planted instead; 0 for none.
    neurons : sequence of int, optional
        That are driven; the first four when left out.
    goal, size, seed

    Returns
    -------
    sheet : (height, width, 3) uint8
        By neuron: the picture of the fit that it was expected to answer most, and the one made.
    facts : dict

    Raises
    ------
    ConfigError, DataError
        If pictures or counts cannot be used, or there is no such neuron.
    """
    truth: PlantedNeurons | None = None
    if planted:
        shown = draw_leaves(_SHOWN, size=size, seed=seed)
        truth = plant_neurons(planted, shown, seed)
        answers = truth.spikes(shown, _REPEATS, np.random.default_rng([seed, 43]))
    else:
        if pictures is None or counts is None:
            raise ConfigError("expected pictures and their counts, or planted neurons, came neither.")
        shown = read_folder(pictures, size)
        answers = load_array(counts, DataError).astype(np.float64)
    model = fit_neurons(network, layers, shown, answers)
    chosen = list(range(min(_FIRST, answers.shape[1]))) if neurons is None else list(neurons)
    if not chosen:
        raise ConfigError("expected at least one neuron, came none. Name some.")
    driven = drive(model, shown, chosen, goal, seed=seed)
    best = shown[model.predict(shown).argmax(0)[chosen]]
    return draw_driven(driven, best, truth), facts_of(model, driven, shown, truth, goal)


def facts_of(
    model: NeuronModel, driven: Driven, shown: Pictures, truth: PlantedNeurons | None, goal: str
) -> dict[str, Any]:
    """Return what was found, by neuron: expected spikes of the picture made over those of the best picture shown."""
    k = np.arange(len(driven.neurons))
    own = list(driven.neurons)
    facts: dict[str, Any] = {
        "goal": goal,
        "layer": model.layer,
        "correlation on held-out pictures": round(float(np.nanmean(model.correlation)), 3),
        "expected, over the best picture shown": [
            round(float(v), 2) for v in driven.expected[k, own] / driven.best[own]
        ],
        "share of the population": [
            round(float(v), 2) for v in driven.expected[k, own] / driven.expected.sum(1)
        ],
    }
    if truth is not None:
        made, seen = truth.rates(driven.pictures), truth.rates(shown)
        facts["planted neurons' own, over the best picture shown"] = [
            round(float(v), 2) for v in made[k, own] / seen.max(0)[own]
        ]
        facts["its own share of the population"] = [round(float(v), 2) for v in made[k, own] / made.sum(1)]
        facts["its share in the best picture shown"] = [
            round(float(v), 2) for v in (seen / seen.sum(1, keepdims=True)).max(0)[own]
        ]
    return facts


def draw_driven(driven: Driven, best: Pictures, truth: PlantedNeurons | None) -> Pictures:
    """Draw the best picture shown above the one made, with expected spikes, and a planted cell's own."""
    count, step = len(driven.neurons), _SIDE + _LINE
    sheet = Image.new("RGB", (count * (_SIDE + 8) + 8, 2 * step + 2 * _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    for k, neuron in enumerate(driven.neurons):
        left = 8 + k * (_SIDE + 8)
        pen.text((left, 2), f"neuron {neuron}", fill="black")
        rows = (
            (best[k], driven.best[neuron], "shown"),
            (driven.pictures[k], driven.expected[k, neuron], "made"),
        )
        for row, (pixels, spikes, name) in enumerate(rows):
            top = _LINE + row * step
            sheet.paste(Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.NEAREST), (left, top))
            own = "" if truth is None else f", own {float(truth.rates(pixels[None])[0, neuron]):.1f}"
            pen.text((left, top + _SIDE + 1), f"{name}: {spikes:.1f}{own}", fill="black")
    return np.asarray(sheet)

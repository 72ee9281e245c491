"""Training: one file in, a network from responses to pictures, its scores on others than it saw, one bundle out."""

from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import require_place
from models.metrics.identification import headline, identify
from models.readouts.novelty import Novelty
from models.reports.pixels import Pixels
from models.settings import find_data_root
from models.systems.end_to_end.data import open_data
from models.systems.end_to_end.export import bundle_of
from models.systems.end_to_end.learning import learn, open_comparator
from models.systems.end_to_end.scores import score_table
from models.systems.end_to_end.settings import FileData, load_end_to_end
from models.systems.saving import save_trained
from models.systems.system import Progress, check_worth

#: Parts of the training's trials, in their order, of which each is held out where novelty's limits are drawn.
_PARTS = 5


def train_end_to_end(
    path: Path, out: Path, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train a file and write its bundle; see `models.systems.system.Train`."""
    config = load_end_to_end(path)
    require_place(out)
    progress(0.0, "responses and pictures")
    data = open_data(config, find_data_root(data_root, needed=isinstance(config.data, FileData)))
    kept = data.only(config.regions)
    comparator = open_comparator(config, data.pictures, lambda done, text: progress(0.02 + 0.1 * done, text))
    fitted = learn(
        config,
        data.voxels[:, kept],
        data.pictures,
        comparator,
        lambda done, text: progress(0.12 + 0.78 * done, text),
    )
    progress(0.9, "scoring pictures that were not trained on")
    pixels = Pixels(data.side, data.side)
    scores: dict[str, Any] = {
        "simulated": data.simulated,
        "trials": len(data.which),
        "comparator": fitted.comparator,
        **identify(
            pixels.values(fitted(data.test_voxels[:, kept])), pixels.values(data.shown), data.which,
            np.random.default_rng(config.seed),
        ),
        "averaged": score_table(data, fitted(data.averaged[:, kept]), kept),
    }  # fmt: skip
    worth = headline(scores)
    scores |= check_worth(worth["informed"], worth["headline"], even_at_chance)
    progress(0.95, "exporting")
    parts = np.arange(len(data.voxels)) * _PARTS // len(data.voxels)
    novelty = Novelty.fit_by(fitted.voxels.forward(data.voxels[:, kept]), parts)
    novelty = novelty.scaled(1 / np.bincount(data.which).max(), 1.0)  # responses to a picture may be averaged
    spec, files = bundle_of(config, data, fitted, novelty, scores)
    saved = save_trained(out, spec, files, scores | {"record": fitted.record}, data.test_voxels)
    progress(1.0, "done")
    return {name: value for name, value in saved.items() if name != "record"}

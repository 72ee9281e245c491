"""The two ways side by side: pictures sought by gradient, and those that the distilled network answers with at once.

Both read the same trials: the first one of each picture, and the mean of all of each picture's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.errors import BundleError
from models.generators.features import edges_and_colours
from models.generators.package import GeneratorPackage
from models.metrics.identification import correlation_table, n_way, two_way
from models.metrics.images import pixel_correlation
from models.readouts.distilled import Distilled
from models.readouts.size import LatentSize

#: File of a bundle that holds the latents that were sought, by level of averaging, in the order of the test pictures.
SLOW = "slow.json"
Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]
#: By level of averaging, by way: latents (k, d).
Found = Mapping[str, Mapping[str, Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class TestTrials:
    """TestTrials are held-out trials and their pictures.

    Attributes
    ----------
    brain : (n, voxels)
    which : (n,) int
        The picture of each trial.
    pictures : (k, height, width, 3) uint8
    """

    __test__ = False  # it is no test of pytest's

    brain: Floats
    which: NDArray[np.integer[Any]]
    pictures: Pictures

    @property
    def levels(self) -> dict[str, Floats]:
        """What is read of each picture: its first trial, and where there are several the mean of all."""
        numbers = range(len(self.pictures))
        first = np.stack([self.brain[np.flatnonzero(self.which == k)[0]] for k in numbers])
        if np.bincount(self.which).max() < 2:
            return {"single trials": first}
        return {
            "single trials": first,
            "mean of a picture's trials": np.stack([self.brain[self.which == k].mean(0) for k in numbers]),
        }


def find_both_ways(readout: Distilled, size: LatentSize, trials: TestTrials) -> Found:
    """Return the latents that both ways find, ``by gradient`` and ``distilled``."""
    return {
        level: {
            "by gradient": readout.slow(brain),
            "distilled": size(readout.frozen().predict(brain)),
        }
        for level, brain in trials.levels.items()
    }


def score_both_ways(
    package: GeneratorPackage, found: Found, pictures: Pictures
) -> dict[str, dict[str, dict[str, float]]]:
    """Score the pictures of both ways: pixel correlation, and identification by edges and colours.

    Returns
    -------
    dict
        By level, by way: ``pixel_r``, ``two_way``, ``n_way``.
    """
    truth = edges_and_colours(pictures)
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for level, ways in found.items():
        scores[level] = {}
        for way, latents in ways.items():
            drawn = package.draw(np.asarray(latents, np.float32))
            table = correlation_table(truth, edges_and_colours(drawn))
            scores[level][way] = {
                "pixel_r": float(np.nanmean(pixel_correlation(pictures, drawn))),
                "two_way": float(two_way(table).mean()),
                "n_way": float(n_way(table, len(pictures)).mean()),
            }
    return scores


def slow_file(found: Found) -> str:
    """Return the content of `SLOW`."""
    rows = {
        level: [[round(float(v), 5) for v in row] for row in ways["by gradient"]]
        for level, ways in found.items()
    }
    return json.dumps(rows) + "\n"


def read_slow(bundle: Bundle) -> dict[str, NDArray[np.float32]]:
    """Return the latents that were sought when a bundle was trained, by level.

    Raises
    ------
    BundleError
        If the bundle does not hold them.
    """
    if SLOW not in bundle.spec.files:
        raise BundleError(f"bundle {bundle.name!r}: expected {SLOW}, came none. Train it again.")
    rows = json.loads(bundle.read(SLOW))
    return {level: np.asarray(values, np.float32) for level, values in rows.items()}

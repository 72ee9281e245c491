"""Banks of features are chosen by how well they tell pictures apart in runs that were held out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.encoding.white import WhiteEncoding

Floats = NDArray[np.float64]
Runs = NDArray[np.intp]


def held_out_information(encoding: WhiteEncoding, x: Floats, runs: Runs) -> float:
    r"""Return what an encoding model tells of pictures in runs held out, nats a trial.

    .. math:: \frac1n \sum_i \log \frac{p(y_i | s_i)}{\frac1k \sum_j p(y_i | s_j)}

    with the k pictures of the trial's own run as candidates: at most their logarithm, 0 of a model that tells nothing,
    below 0 of one that is surely wrong.

    Parameters
    ----------
    encoding : WhiteEncoding
        Fitted to these trials.
    x : (n, voxels)
        Standardised brain data.
    runs : (n,) int
    """
    answers, expected = encoding.answers(x), encoding.white(encoding.model.predicted)
    told = []
    for run in np.unique(runs):
        y, m = answers[runs == run], expected[runs == run]
        logs = y @ m.T - (m**2).sum(axis=1) / 2
        most = logs.max(axis=1, keepdims=True)
        mean = most[:, 0] + np.log(np.exp(logs - most).mean(axis=1))
        told.append(np.diag(logs) - mean)
    return float(np.concatenate(told).mean())


def choose_banks(
    x: Floats, features: Mapping[str, NDArray[np.float32]], runs: Runs, *, components: int, axes: int
) -> tuple[tuple[str, ...], dict[str, float]]:
    """Drop banks one by one, for as long as what is left tells more.

    Parameters
    ----------
    x : (n, voxels)
        Standardised brain data.
    features : mapping of str to (n, features)
        By bank.
    runs : (n,) int
        Numbered from 0.
    components, axes : int
        As of `WhiteEncoding.fit`.

    Returns
    -------
    banks : tuple of str
        Chosen, in the order given.
    told : dict of str to float
        Nats a trial of every set that was tried, by its names joined with `` + ``.
    """
    told: dict[str, float] = {}

    def tell(names: tuple[str, ...]) -> float:
        rows = np.concatenate([features[name] for name in names], axis=1)
        encoding = WhiteEncoding.fit(x, rows, runs, components=components, axes=axes)
        told[" + ".join(names)] = value = held_out_information(encoding, x, runs)
        return value

    best = tuple(features)
    most = tell(best)
    while len(best) > 1:
        fewer = [tuple(name for name in best if name != dropped) for dropped in best]
        values = [tell(names) for names in fewer]
        if max(values) <= most:
            break
        best, most = fewer[int(np.argmax(values))], max(values)
    return best, told

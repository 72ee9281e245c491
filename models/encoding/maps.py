"""Encoding maps say what each channel or voxel answers to: what each bank of features predicts of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import check_runs
from models.encoding.features import BANKS, Pictures, features_of
from models.encoding.model import EncodingModel

Floats = NDArray[np.float64]


def encoding_maps(
    pictures: Pictures, brain: ArrayLike, runs: ArrayLike, banks: Sequence[str] = tuple(BANKS)
) -> dict[str, Floats]:
    """Return the share of the variance of each value that each bank predicts, alone, of runs held out.

    Parameters
    ----------
    pictures : (n, height, width, 3) uint8
        Of each trial.
    brain : (n, values)
        Channels, samples or voxels.
    runs : (n,)
        Of each trial.
    banks : sequence of str
        Of `models.encoding.features.BANKS`.

    Returns
    -------
    dict of str to (values,) float64
        Below 0 where prediction does harm: the value answers to nothing in the bank.

    Raises
    ------
    DataError
        If there is only one run.
    """
    answers = np.asarray(brain, np.float64)
    number = check_runs(runs, len(answers))
    return {
        bank: EncodingModel.fit(features_of(pictures, [bank]), answers, number).explained for bank in banks
    }

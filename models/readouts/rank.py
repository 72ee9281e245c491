"""The rank of shared noise: the one under which runs that were left out are most likely."""

import numpy as np
from numpy.typing import NDArray

from models.readouts.noise import NoiseFit, held_out_likelihood, rotate

Floats = NDArray[np.float64]

#: Ranks tried first; the best of them is then refined between its neighbours.
_LADDER = (0, 1, 2, 4, 7, 12, 20, 32, 48, 72, 108, 160)


def choose_rank(
    y: NDArray[np.float32], z: Floats, runs: NDArray[np.intp], *, most: int, folds: int
) -> tuple[int, dict[int, float]]:
    """Return the best rank, and the held-out log likelihood per voxel and trial of each rank tried.

    Parameters
    ----------
    y, z : (n, voxels), (n, d)
        Brain data and latents, standardised.
    runs : (n,)
        Numbered from 0; whole ones are held out, gathered into at most `folds` folds.
    most : int
        The largest rank that is considered.
    """
    fold = runs % folds if runs.max() + 1 >= folds else runs
    most = min(most, int(0.5 * len(y) * (1 - 1 / (fold.max() + 1))), y.shape[1] // 4)
    parts = []
    for k in range(fold.max() + 1):
        out = fold == k
        trials = rotate(y[~out], z[~out])
        parts.append((NoiseFit(trials, max(most, 1)), trials, y[out], z[out]))

    tried: dict[int, float] = {}

    def likelihood(rank: int) -> float:
        if rank not in tried:
            tried[rank] = (
                sum(
                    held_out_likelihood(fit(rank, steps=6), trials, y_out, z_out)
                    for fit, trials, y_out, z_out in parts
                )
                / y.size
            )
        return tried[rank]

    ladder = [rank for rank in _LADDER if rank <= most]
    for at, rank in enumerate(ladder):
        likelihood(rank)
        if at >= 2 and likelihood(rank) < likelihood(ladder[at - 1]) < likelihood(ladder[at - 2]):
            break
    while True:  # towards whichever middle is better, until no untried rank lies next to the best
        order = sorted(tried)
        best = max(order, key=lambda rank: tried[rank])
        at = order.index(best)
        middles = {(best + order[near]) // 2 for near in (at - 1, at + 1) if 0 <= near < len(order)}
        middles |= {(best + order[at + 1] + 1) // 2} if at + 1 < len(order) else set()
        if not (middles := middles - set(order)):
            break
        for middle in middles:
            likelihood(middle)
    return best, dict(sorted(tried.items()))

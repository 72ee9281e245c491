"""The order in which the stimuli of a set come."""

from collections.abc import Iterator

import numpy as np


def order(n: int, repeats: int, kind: str, seed: int) -> Iterator[int]:
    """Yield which of `n` stimuli comes next; each block of `n` holds every one of them.

    >>> sorted(list(order(3, 2, "random", seed=1))[:3]), list(order(2, 2, "sorted", seed=0))
    ([0, 1, 2], [0, 1, 0, 1])
    """
    random = np.random.default_rng(seed)
    for _ in range(repeats):
        block = random.permutation(n) if kind == "random" else np.arange(n)
        yield from (int(i) for i in block)

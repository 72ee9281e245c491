"""The order in which the stimuli of a set come."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

#: How often a random order is drawn anew until it keeps its rules.
_DRAWS = 10_000


def order(n: int, repeats: int, kind: str, seed: int) -> Iterator[int]:
    """Yield which of `n` stimuli comes next; each block of `n` holds every one of them.

    >>> sorted(list(order(3, 2, "random", seed=1))[:3]), list(order(2, 2, "sorted", seed=0))
    ([0, 1, 2], [0, 1, 0, 1])
    """
    random = np.random.default_rng(seed)
    for _ in range(repeats):
        block = random.permutation(n) if kind == "random" else np.arange(n)
        yield from (int(i) for i in block)


def balanced(n: int, repeats: int, random: np.random.Generator) -> list[int]:
    """Return an order in which each of `n` stimuli comes `repeats` times, none after itself, none always early.

    Each `n` trials hold every stimulus once. Over every `n` of these repeats a stimulus stands once at each place: they
    are the rows of a random Latin square, rows, columns and stimuli in random order.

    >>> numbers = np.array(balanced(4, 4, np.random.default_rng(0))).reshape(4, 4)
    >>> [sorted(row) for row in numbers.tolist()] == [sorted(column) for column in numbers.T.tolist()]
    True
    """
    out: list[int] = []
    while len(out) < n * repeats:
        square = (random.permutation(n)[:, None] + random.permutation(n)[None, :]) % n
        square = random.permutation(n)[square]
        left = list(square)
        while left:
            # A row that begins as the one before ended waits for its turn; the last one may have to be turned around.
            place = next((i for i, row in enumerate(left) if n < 2 or not out or row[0] != out[-1]), 0)
            row = left.pop(place)
            if n > 1 and out and row[0] == out[-1]:
                row = row[::-1]
            out += [int(i) for i in row]
    return out[: n * repeats]


def first_order(n: int, cycles: int, random: np.random.Generator) -> list[int]:
    """Return an order in which every stimulus follows every one, itself too, `cycles` times.

    A random Eulerian circuit through the complete graph with a loop at each of its `n` nodes, as a de Bruijn sequence
    of order two (Aguirre, Mattar & Magis-Weinberg 2011, NeuroImage 56, 1293-1300). The first trial follows nothing, so
    there is one more: :math:`c n^2 + 1` trials.

    >>> numbers = first_order(3, 1, np.random.default_rng(0))
    >>> sorted(zip(numbers, numbers[1:])) == [(i, j) for i in range(3) for j in range(3)]
    True
    """
    exits = [[int(j) for j in random.permutation(np.repeat(np.arange(n), cycles))] for _ in range(n)]
    stack, circuit = [int(random.integers(n))], list[int]()
    while stack:
        if exits[stack[-1]]:
            stack.append(exits[stack[-1]].pop())
        else:
            circuit.append(stack.pop())
    return circuit[::-1]


def spaced(n: int, repeats: int, spacing: int, random: np.random.Generator) -> list[int]:
    """Return an order of `repeats` of each of `n` items, two flashes of one at least `spacing` others apart.

    Each `n` flashes hold every item once, in an order that is drawn until it keeps the distance to the one before.

    Raises
    ------
    ValueError
        If `spacing` is not below `n`.

    >>> numbers = spaced(5, 4, 2, np.random.default_rng(0))
    >>> min(b - a for i in range(5) for a, b in _neighbours(numbers, i)) > 2
    True
    """
    if spacing >= n:
        raise ValueError(f"{n} items can lie at most {n - 1} others apart, not {spacing}")
    out: list[int] = []
    for _ in range(repeats):
        row: NDArray[np.int64] = random.permutation(n)
        for _ in range(_DRAWS):
            if _keeps(out[-spacing:] if spacing else [], row, spacing):
                break
            row = random.permutation(n)
        else:
            # The order before, again, keeps any distance below n.
            row = np.array(out[-n:])
        out += [int(i) for i in row]
    return out


def _keeps(before: Sequence[int], row: NDArray[np.int64], spacing: int) -> bool:
    """Return whether no item of `before` comes too early in `row`."""
    return all(
        int(item) not in before[max(0, len(before) - spacing + place) :]
        for place, item in enumerate(row[:spacing])
    )


def _neighbours(numbers: Sequence[int], item: int) -> list[tuple[int, int]]:
    places = [place for place, number in enumerate(numbers) if number == item]
    return list(pairwise(places))

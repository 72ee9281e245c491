"""Numbered random draws: the k-th draw of each kind can be made at once, whatever was drawn before."""

import numpy as np

_SESSIONS = 100_000


def numbered(seed: int, kind: int, number: int) -> np.random.Generator:
    """Return the generator of draw `number` of a `kind`: the same for the same three numbers, all ≥ 0.

    >>> float(numbered(3, 1, 7).random()) == float(numbered(3, 1, 7).random())
    True
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, kind, number))))


def session_seed(subject: int, session: int) -> int:
    """Return the seed of one session of one participant: no two of them share it.

    >>> session_seed(0, 1) == session_seed(1, 0)
    False
    """
    if subject < 0 or not 0 <= session < _SESSIONS:
        raise ValueError(
            f"a participant is numbered from 0, its sessions 0 to {_SESSIONS - 1}; got {subject}, {session}"
        )
    return (subject + 1) * _SESSIONS + session

"""A Proposal is one picture of a session in which pictures evolved, with what was read of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: The name of the fixed pictures beside what is proposed.
REFERENCE = "reference"

#: What the name of an optimiser ends with that searched the second generator's space (`stimuli.protocols.evolution`).
_SECOND = "@2"


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A Proposal is one picture that was shown, and what was read of it.

    Attributes
    ----------
    optimiser : str
        Who proposed it; ``"reference"`` for a fixed one.
    generation : int
    latent : (d,) float32
        What was shown.
    fitness : float
        Of its reading; NaN where nothing was read, or `uncertain`.
    uncertain : bool
        Whether the time of its event may be wrong by more than the session file allows: what was read of it is no
        answer to it.
    """

    optimiser: str
    generation: int
    latent: NDArray[np.float32]
    fitness: float
    uncertain: bool = False


def in_second(optimiser: str) -> bool:
    """Return whether an optimiser searched the second generator's space."""
    return optimiser.endswith(_SECOND)


def in_first(optimiser: str) -> str:
    """Return what an optimiser is called in the first generator's space.

    >>> in_first("cma@2"), in_first("cma")
    ('cma', 'cma')
    """
    return optimiser.removesuffix(_SECOND)


def control(optimiser: str) -> str:
    """Return the random search in the space that an optimiser searched.

    >>> control("cma@2"), control("genetic")
    ('random@2', 'random')
    """
    return f"random{_SECOND}" if in_second(optimiser) else "random"

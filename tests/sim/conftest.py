"""What tests of the participant share: a few pictures, and participants small enough to be quick."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from bci.sim.electrodes import ElectrodeParticipant
from bci.sim.gaze import Pictures
from bci.sim.participant import make_participant
from bci.sim.reference import reference_pictures
from bci.sim.voxels import VoxelParticipant

PICTURES = 32
STEADY = {"jitter_deg": 0.0, "lapse_rate": 0.0, "adaptation": 0.0}


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """Give 32 pictures; they are also what the small participants are scaled over."""
    return reference_pictures(PICTURES, seed=5)


@pytest.fixture(scope="session")
def small(pictures: Pictures) -> Callable[..., Any]:
    """Give what makes small participants, one of each kind that is asked for: tests reset it before they use it."""

    @lru_cache(16)
    def make(kind: str, **options: Any) -> VoxelParticipant | ElectrodeParticipant:
        return make_participant(kind, **{"units": 96, "reference": pictures, **options})  # type: ignore[arg-type]

    def fresh(kind: str, **options: Any) -> VoxelParticipant | ElectrodeParticipant:
        participant = make(kind, **options)
        participant.reset()
        return participant

    return fresh


def grey(level: int = 128, side: int = 64) -> Pictures:
    """Return the empty screen."""
    return np.full((side, side, 3), level, np.uint8)

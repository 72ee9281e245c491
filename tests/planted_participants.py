"""Participants in silico small enough to be quick, and the pictures that they are scaled over."""

from functools import lru_cache
from typing import Any

import numpy as np

from bci.sim.cortex.gaze import Pictures
from bci.sim.cortex.reference import reference_pictures
from bci.sim.electrodes import ElectrodeParticipant
from bci.sim.participant import make_participant
from bci.sim.voxels import VoxelParticipant

PICTURES: Pictures = reference_pictures(32, seed=5)

#: Nothing but the picture and the noise changes from look to look.
STEADY = {"jitter_deg": 0.0, "lapse_rate": 0.0, "adaptation": 0.0}


@lru_cache(16)
def _made(kind: str, **options: Any) -> Any:
    return make_participant(kind, **{"units": 96, "reference": PICTURES, **options})  # type: ignore[arg-type]


def small(kind: str, **options: Any) -> Any:
    """Return a small participant at the beginning of its session; two of the same options are one."""
    participant: VoxelParticipant | ElectrodeParticipant = _made(kind, **options)
    participant.reset()
    return participant


def grey(level: int = 128, side: int = 64) -> Pictures:
    """Return the empty screen."""
    return np.full((side, side, 3), level, np.uint8)

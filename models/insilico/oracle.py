"""The oracle of HYPER in silico: how well anybody could identify the held-out pictures who knew the participant."""

from typing import Any

import numpy as np

from bci.sim.electrodes import ElectrodeParticipant
from bci.sim.oracle import identify, likelihoods
from bci.sim.responses import respond
from bci.sim.voxels import VoxelParticipant
from models.insilico.trials import HELD_OUT, onsets_of, participant_of
from models.systems.hyper.heldout import HeldOut


def oracle(found: HeldOut) -> dict[str, dict[str, Any]]:
    """Identify every held-out trial by the exact likelihood of each candidate picture.

    The same session of the same participant, so the same noise; in a scanner the oracle is given the betas of a least
    squares over the whole session, which the live decoder cannot have.

    Returns
    -------
    dict
        ``single trials``, and ``all trials of a picture`` where there is more than one: as `bci.sim.oracle.identify`
        returns it.
    """
    plan, config = found.plan, found.config
    participant = participant_of(config, found.pictures[plan.reference], HELD_OUT)
    assert isinstance(participant, VoxelParticipant | ElectrodeParticipant)
    candidates = found.pictures[plan.test]
    answered = respond(
        participant,
        found.pictures[plan.shown],
        onsets_of(config, len(plan.shown)),
        seconds=config.trials.stimulus_s,
    )
    scores = np.stack(
        [likelihoods(participant, answered, trial, candidates) for trial in range(len(plan.shown))]
    )
    which = plan.shown - plan.test[0]
    scored = {"single trials": dict(identify(scores, which))}
    if config.trials.repeats > 1:
        summed = np.stack([scores[which == k].sum(0) for k in range(len(plan.test))])
        scored["all trials of a picture"] = dict(identify(summed, np.arange(len(plan.test))))
    return scored

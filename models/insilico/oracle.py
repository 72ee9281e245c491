"""The oracle of a simulated experiment: how well its pictures could be identified by a reader who knew the participant.

It scores the same session of the same participant, so the same noise; in a scanner it uses the betas of a
least squares over the whole session, which a live decoder cannot have.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.sim.oracle import identify, score_trials
from bci.sim.responses import respond
from models.insilico.heldout import HeldOut
from models.insilico.settings import InSilico
from models.insilico.trials import HELD_OUT, onsets_of, participant_of

Pictures = NDArray[np.uint8]


class SessionOracle:
    """A SessionOracle identifies the trials of one session.

    Parameters
    ----------
    setup : InSilico
        Settings of the participant, timing and epochs.
    shown : (trials, h, w, 3) uint8
        Every picture of the session, in order.
    reference : (n, h, w, 3) uint8
        Pictures over which the participant's responses were scaled.
    session : int
        Which session of the participant.
    """

    def __init__(self, setup: InSilico, shown: Pictures, reference: Pictures, session: int) -> None:
        participant: Any = participant_of(setup, reference, session)
        # In a scanner the oracle knows what each voxel answers, and not that it is measured with thermal noise.
        self._participant = getattr(participant, "inner", participant)
        self._responses = respond(
            self._participant, shown, onsets_of(setup, len(shown)), seconds=setup.trials.stimulus_s
        )

    def __call__(self, trials: NDArray[np.integer], candidates: Pictures) -> NDArray[np.float64]:
        """Return the log likelihood of each candidate picture in each of these trials: (trials, candidates)."""
        return score_trials(self._participant, self._responses, trials, candidates)


def held_out_oracle(held: HeldOut) -> dict[str, dict[str, Any]]:
    """Identify every held-out trial by the exact likelihood of each candidate picture.

    Returns
    -------
    dict
        ``single trials``, and ``all trials of a picture`` where there is more than one: as `bci.sim.oracle.identify`
        returns it.
    """
    plan = held.plan
    oracle = SessionOracle(held.setup, held.pictures[plan.shown], held.pictures[plan.reference], HELD_OUT)
    scores = oracle(np.arange(len(plan.shown)), held.pictures[plan.test])
    which = plan.shown - plan.test[0]
    scored = {"single trials": dict(identify(scores, which))}
    if held.setup.trials.repeats > 1:
        summed = np.stack([scores[which == k].sum(0) for k in range(len(plan.test))])
        scored["all trials of a picture"] = dict(identify(summed, np.arange(len(plan.test))))
    return scored

"""A participant in silico in front of the real display loop answers what it flipped, not what was drawn or meant."""

import numpy as np

from bci.live.participant_link import ParticipantLink
from bci.signal.types import Shown
from bci.sim.participant import make_participant, record
from stimuli.display import headless

ZERO = 0.05


class Taken:
    def __init__(self) -> None:
        self.samples: list[np.ndarray] = []

    def push(self, samples: np.ndarray, times: np.ndarray) -> None:
        self.samples.append(samples.copy())


def someone():
    reference = np.random.default_rng(3).integers(0, 256, (12, 16, 16, 3), np.uint8)
    return make_participant("eeg", units=32, snr=1.0, lapse_rate=0.0, reference=reference)


def watched(stage, until):
    """Play the stage with somebody before it; return the watch and the samples it sent."""
    outlet = Taken()
    watch = ParticipantLink(someone(), stage.shown, outlet, ZERO)
    for time in np.arange(0.06, until, 0.013):
        stage.clock.at(float(time), lambda: watch.step(stage.clock.now()))
    stage.play(headless.main, until)
    watch.step(until + 1.0)
    return watch, np.concatenate(outlet.samples)


def test_live_answers_are_those_to_the_flips_of_the_real_loop(make_stage):
    stage = make_stage(shape=(16, 16))
    # The second of the three was overtaken before the flip: nobody ever saw it.
    stage.frames_at(0.205, 0.41, 0.415, 0.70)
    watch, live = watched(stage, 1.5)
    columns = stage.changes()
    assert columns["shown"]["frame"][columns["shown"]["kind"] == Shown.FRAME].tolist() == [0, 2, 3]
    assert watch.participant.late == watch.lost == 0
    assert watch.changes == len(columns["shown"])
    flips = [
        (image, float(row["flip"]) - ZERO)
        for image, row in zip(columns["image"], columns["shown"], strict=True)
    ]
    assert np.array_equal(live, record(someone(), flips, len(live)))
    # With the overtaken picture in the place of the one shown, the answer would be another one.
    flips[2] = (stage.image(1), flips[2][1])
    assert not np.array_equal(live, record(someone(), flips, len(live)))


def test_the_latent_beside_the_pixels_changes_nothing(make_stage):
    one, other = make_stage(shape=(16, 16), latent=2), make_stage(shape=(16, 16), latent=7)
    answers = []
    for stage in (one, other):
        stage.frames_at(0.205, 0.41)
        answers.append(watched(stage, 1.0)[1])
    assert np.array_equal(*answers)

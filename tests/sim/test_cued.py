"""A simulated participant does as the cues say, a reaction time later; a heedless one does not."""

import numpy as np

from bci.signal.types import Event
from bci.sim.cued import REACTION_S, CuedParticipant
from bci.sim.eeg import STATES

CUES = (
    Event(0.0, "eyes open"),
    Event(12.0, "eyes closed"),
    Event(24.0, "eyes closed"),
    Event(30.0, "keep still"),
    Event(36.0, "eyes open"),
    Event(48.0, "end"),
)


def alpha(someone: CuedParticipant, start: float, stop: float) -> float:
    """Return the power from 8 to 12 Hz at Oz."""
    samples = someone.read(round(start * someone.rate), round(stop * someone.rate))
    oz = samples[:, someone.signal.channels.index("Oz")]
    f = np.fft.rfftfreq(len(oz), 1 / someone.rate)
    return float((np.abs(np.fft.rfft(oz)) ** 2)[(f > 8) & (f < 12)].sum() / len(oz) ** 2)


def test_the_planted_state_follows_the_cues_and_the_samples_follow_the_state() -> None:
    someone = CuedParticipant(CUES, 48.0, seed=2)
    times = np.arange(0, 48, 0.1)
    followed = times - REACTION_S
    assert np.array_equal(someone.state(times), (followed >= 12) & (followed < 36))
    assert alpha(someone, 14, 35) > 3 * max(alpha(someone, 1, 12), alpha(someone, 38, 48))


def test_the_cues_are_its_markers_and_the_first_state_is_open() -> None:
    someone = CuedParticipant(CUES, 48.0)
    assert [(m.time, m.text) for m in someone.markers] == [(c.time, c.text) for c in CUES if c.time < 48]
    assert someone.markers_between(20.0, 36.0) == CUES[2:4]
    assert CuedParticipant(CUES[1:], 48.0).state([0.0, 12.0, 13.0]).tolist() == [0, 0, 1]


def test_samples_do_not_depend_on_how_they_are_read() -> None:
    someone = CuedParticipant(CUES, 48.0, seed=1)
    whole = someone.read(0, 7680)
    pieces = [someone.read(at, min(at + 333, 7680)) for at in range(0, 7680, 333)]
    assert np.array_equal(whole, np.concatenate(pieces))


def test_a_heedless_one_is_cued_and_goes_on_in_an_own_rhythm() -> None:
    heedless = CuedParticipant(CUES, 48.0, seed=2, heeds=False)
    assert len(heedless.markers) == 5
    changes = np.flatnonzero(np.diff(heedless.state(np.arange(0, 48, 0.05))))
    assert len(changes) >= 4
    assert set(STATES) == {"eyes open", "eyes closed"}

"""An observer lapses, adapts and counts its looks as planted."""

import numpy as np
import pytest
from planted_participants import PICTURES, STEADY, grey, small

from bci.sim.cortex.adaptation import Adaptation, RememberedLooks
from bci.sim.participant import make_participant


def test_two_looks_in_a_hundred_lapse_and_leave_nothing() -> None:
    observer = small("eeg", jitter_deg=0.0).observer
    looks = 4000
    lapsed = [observer._attend(float(i)).lapsed for i in range(looks)]
    assert np.mean(lapsed) == pytest.approx(0.02, abs=4 * np.sqrt(0.02 * 0.98 / looks))
    assert observer.looks == looks
    assert observer.lapses == sum(lapsed)
    observer.reset()
    number = lapsed.index(True)
    moments, drives = observer.watch(PICTURES[np.arange(number + 1) % len(PICTURES)], np.arange(number + 1.0))
    assert moments[number].lapsed
    assert not drives[number].any()
    assert drives[number - 1].any()


def test_a_repeat_loses_what_was_planted_and_recovers() -> None:
    options = STEADY | {"adaptation": 0.2}
    observer = small("eeg", **options).observer
    for seconds in (2.0, 10.0, 40.0):
        observer.reset()
        _, drives = observer.watch(PICTURES[[0, 0]], np.array([0.0, seconds]))
        assert np.allclose(drives[1], drives[0] * (1 - 0.2 * np.exp(-seconds / 20.0)), atol=1e-3)
    observer.reset()
    _, drives = observer.watch(PICTURES[[0, 1, 0]], np.array([0.0, 2.0, 4.0]))
    alone = observer.imagine(PICTURES[:2], observer._attend(1e6))
    awake = (alone != 0).all(axis=0)
    left = [float(np.median(d[awake] / a[awake])) for d, a in zip(drives, alone[[0, 1, 0]], strict=True)]
    assert left[0] == pytest.approx(1)
    assert left[2] == pytest.approx(1 - 0.2 * np.exp(-4 / 20), abs=1e-3)
    assert left[2] < left[1] <= 1


def test_memory_is_bounded() -> None:
    rng = np.random.default_rng(0)
    adaptation, memory = Adaptation(np.zeros(16, np.float32)), RememberedLooks()
    for i in range(500):
        memory = adaptation.remember(rng.standard_normal(16).astype(np.float32), 0.1 * i, memory)
    assert len(memory.times) <= 64
    assert memory.times[-1] == pytest.approx(49.9)
    assert 1 > adaptation.gain(rng.standard_normal((1, 16)).astype(np.float32), 50.0, memory)[0] >= 0.8


def test_only_a_change_of_pixels_to_something_is_a_look() -> None:
    observer = small("eeg").observer
    assert observer.see(grey(), 0.0) is None
    assert observer.see(PICTURES[0], 1.0) is not None
    assert observer.see(PICTURES[0].copy(), 1.1) is None
    assert observer.see(PICTURES[1], 1.2) is not None
    ended = observer.see(grey(), 2.0)
    assert ended is not None
    assert ended[0] is None
    assert not ended[1].any()
    assert observer.see(grey(90), 2.5) is None
    assert observer.looks == 2


@pytest.mark.parametrize("kind", ["fmri", "eeg"])
def test_watching_at_once_is_seeing_one_after_the_other(kind: str) -> None:
    observer = small(kind, lapse_rate=0.2).observer
    onsets = np.arange(12.0)
    moments, drives = observer.watch(PICTURES[:12], onsets)
    observer.reset()
    for i, time in enumerate(onsets):
        seen = observer.see(PICTURES[i], time)
        assert seen is not None
        moment, drive = seen
        assert moment is not None
        assert (moment.number, moment.lapsed) == (moments[i].number, moments[i].lapsed)
        assert np.array_equal(moment.gaze, moments[i].gaze)
        assert np.allclose(drive, drives[i], atol=1e-3)
        observer.see(grey(), time + 0.5)


def test_another_session_has_other_eyes_lapses_and_noise_and_the_same_brain() -> None:
    a, b = (make_participant("eeg", units=64, session=s, reference=PICTURES) for s in (0, 1))
    assert not np.array_equal(a.observer.population.eye.gaze(0), b.observer.population.eye.gaze(0))
    assert not np.array_equal(a.read(100), b.read(100))
    still = np.zeros((4, 2))
    drives = [p.observer.population.drive(PICTURES[:4], still) for p in (a, b)]
    assert np.array_equal(drives[0], drives[1])

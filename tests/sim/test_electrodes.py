"""A participant with electrodes: signal-to-noise, sources, latencies and background as planted."""

import numpy as np
import pytest
import scipy.signal
from planted_participants import PICTURES, STEADY, grey, small

from bci.sim.electrodes import DEAD, INTERVAL, SPAN, WAVES
from bci.sim.participant import record
from bci.sim.responses import respond


@pytest.mark.parametrize(("kind", "snr"), [("eeg", 0.1), ("eeg", 1.0), ("lfp", 0.1)])
def test_the_single_trial_snr_measured_is_the_one_asked_for(kind: str, snr: float) -> None:
    participant = small(kind, snr=snr, **STEADY)
    found = respond(participant, PICTURES)
    at = slice(*(round(t * participant.signal.rate) for t in INTERVAL))
    signal = found.clean[:, at].var(axis=0).mean()
    noise = (found.values - found.clean)[:, at].var()
    # Jitter of latencies takes nothing from the signal's size.
    assert 10 * np.log10(signal / noise) == pytest.approx(10 * np.log10(snr), abs=0.7)


def test_an_snr_of_zero_leaves_the_background_alone() -> None:
    participant = small("eeg", snr=0.0)
    assert np.array_equal(record(participant, [(PICTURES[0], 0.1)], 300), record(participant, [], 300))


def test_ten_sources_are_mixed_to_the_channels() -> None:
    participant = small("eeg", **STEADY)
    found = respond(participant, PICTURES)
    values = np.linalg.svd(found.clean.reshape(-1, 64), compute_uv=False)
    assert values[9] > 1e-3 * values[0]
    assert values[10] < 1e-5 * values[0]


def test_the_background_has_the_planted_slope_and_size() -> None:
    participant = small("eeg", snr=0.0)
    x = record(participant, [], 60 * 250).astype(float)
    f, density = scipy.signal.welch(x, 250.0, nperseg=1000, axis=0)
    band = (f >= 2) & (f <= 60)
    assert np.polyfit(np.log(f[band]), np.log(density[band].mean(axis=1)), 1)[0] == pytest.approx(
        -1, abs=0.06
    )
    assert x.std() == pytest.approx(participant.sensors.background_uv, rel=0.1)
    assert np.allclose(np.corrcoef(x.T), participant.sensors.background, atol=0.12)


def test_latencies_jitter_from_look_to_look() -> None:
    participant = small("eeg")
    jitter = np.array([participant.jitter(k) for k in range(600)])
    assert jitter.mean(axis=1).std() == pytest.approx(0.006, rel=0.15)
    assert (jitter - jitter.mean(axis=1, keepdims=True)).std() == pytest.approx(0.003, rel=0.15)
    assert np.abs(jitter).max() <= 0.027
    assert np.array_equal(participant.jitter(5), jitter[5])


def test_early_units_answer_first() -> None:
    participant = small("eeg")
    is_early = participant.observer.population.is_early
    energy = (participant.readout**2).reshape(len(is_early), -1, len(WAVES))
    deviating = energy[is_early].sum(axis=(0, 1)) / energy.sum(axis=(0, 1))
    assert deviating[0] > 0.9
    assert np.all(np.diff(deviating) <= 0.02)
    assert deviating[-1] < 0.5


def test_nothing_answers_before_the_dead_time_and_all_is_over_after_the_span() -> None:
    participant = small("eeg", lapse_rate=0.0)
    shown = record(participant, [(PICTURES[0], 0.5), (grey(), 0.9)], 500)
    changed = np.flatnonzero((shown != record(participant, [], 500)).any(axis=1)) / 250
    assert 0.5 + DEAD <= changed[0] < 0.6
    assert 1.0 < changed[-1] < 0.5 + SPAN


@pytest.mark.parametrize("kind", ["eeg", "lfp"])
def test_many_at_once_are_the_same_as_sample_by_sample(kind: str) -> None:
    participant = small(kind, lapse_rate=0.1)
    onsets = 0.3 + 0.61 * np.arange(10)
    found = respond(participant, PICTURES[:10], onsets)
    changes = [c for i, t in enumerate(onsets) for c in ((PICTURES[i], t), (grey(), t + 0.5))]
    n = found.values.shape[1]
    samples = record(participant, changes, int(found.first[-1]) + n)
    for begin, epoch in zip(found.first, found.values, strict=True):
        assert np.allclose(samples[begin : begin + n], epoch, atol=5e-3)


def test_samples_do_not_depend_on_how_they_are_read() -> None:
    participant = small("eeg")
    changes = [(PICTURES[i], 0.2 + 0.13 * i) for i in range(12)]
    whole = record(participant, changes, 900)
    rng = np.random.default_rng(2)
    participant.reset()
    pieces, left, at = [], list(changes), 0
    while at < 900:
        n = min(900 - at, int(rng.integers(1, 40)))
        while left and left[0][1] + DEAD <= (at + n) / 250:
            participant.see(*left.pop(0))
        pieces.append(participant.read(n))
        at += n
    assert participant.late == 0
    assert np.array_equal(np.concatenate(pieces), whole)


def test_it_says_everywhere_that_it_is_simulated() -> None:
    names = {
        "eeg": ("SimulatedEEG", "uV"),
        "lfp": ("SimulatedLFP", "uV"),
        "fmri": ("SimulatedBOLD", "percent"),
    }
    for kind, expected in names.items():
        participant = small(kind)
        assert participant.simulated
        assert (participant.signal.name, participant.signal.unit) == expected

"""The simulated participant: the same for the same seed, and as strong in every band as the recorded one."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.signal as ss
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.io.files.recording import Recording, chunks, open_recording
from bci.signal.types import Event
from bci.sim.eeg import CLOSED, OPEN, STATES, AlphaSimulator
from bci.sim.sites import SITES, directions

SECONDS = 240
OCCIPITAL = [SITES.index(site) for site in ("O1", "Oz", "O2")]


@pytest.fixture(scope="module")
def simulator() -> AlphaSimulator:
    return AlphaSimulator(seed=3, seconds=SECONDS)


@pytest.fixture(scope="module")
def samples(simulator: AlphaSimulator) -> np.ndarray:
    assert simulator.n is not None
    return simulator.read(0, simulator.n).astype(float)


def spectrum(simulator: AlphaSimulator, samples: np.ndarray, state: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (f, mean Welch spectrum (bins, 64)) of the stretches of one state, a second after its beginning."""
    bounds = [*(m.time for m in simulator.markers), SECONDS]
    found = []
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        piece = samples[int((start + 1) * 160) : int(stop * 160)]
        if number % 2 == state and len(piece) >= 320:
            found.append(ss.welch(piece, 160, nperseg=320, axis=0)[1])
    assert len(found) > 10
    return np.arange(161) / 2, np.mean(found, axis=0)


def power(f: np.ndarray, p: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return µV² between two frequencies, edges included, per channel."""
    return p[(f >= low) & (f <= high)].sum(axis=0) * (f[1] - f[0])


def test_it_is_a_recording_and_says_that_it_is_simulated(simulator: AlphaSimulator) -> None:
    recording: Recording = simulator
    assert recording.simulated
    assert recording.n == SECONDS * 160
    assert recording.signal.channels == SITES
    assert recording.signal.unit == "uV"
    assert recording.segments == ((0, recording.n),)
    assert AlphaSimulator().n is None
    found = list(chunks(AlphaSimulator(seconds=3.0), 100))
    assert sum(len(c.samples) for c in found) == 480


def test_the_sites_are_those_of_the_recording(eegmmidb: Path) -> None:
    names = open_recording(eegmmidb / "S001R01.edf").signal.channels
    assert [name.strip(".").casefold() for name in names] == [site.casefold() for site in SITES]


def test_sites_are_where_the_ten_ten_system_puts_them() -> None:
    at = dict(zip(SITES, directions(), strict=True))
    assert np.allclose(np.linalg.norm(directions(), axis=1), 1)
    assert at["Cz"] == pytest.approx([0, 0, 1])
    assert at["Iz"] == pytest.approx([0, -1, 0], abs=1e-12)
    assert at["T10"] == pytest.approx([1, 0, 0], abs=1e-12)
    for left, right in (("F7", "F8"), ("O1", "O2"), ("C3", "C4"), ("TP7", "TP8"), ("AF3", "AF4")):
        assert at[left] == pytest.approx(at[right] * [-1, 1, 1])
    assert at["Fp1"][1] > at["F3"][1] > at["C3"][1] > at["P3"][1] > at["O1"][1]


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 4000), max_size=6), start=st.integers(0, 4000))
def test_samples_do_not_depend_on_how_they_are_read(cuts: list[int], start: int) -> None:
    whole = AlphaSimulator(seed=9, seconds=25).read(0, 4000)
    other = AlphaSimulator(seed=9)
    edges = sorted({start, 4000, *(c for c in cuts if c >= start)})
    pieces = [other.read(a, b) for a, b in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate([np.empty((0, 64), np.float32), *pieces]), whole[start:])


def test_reading_backwards_and_one_by_one_gives_the_same() -> None:
    whole = AlphaSimulator(seed=2, seconds=10).read(0, 1600)
    other = AlphaSimulator(seed=2, seconds=10)
    backwards = [other.read(i, i + 1) for i in reversed(range(1200, 1400))]
    assert np.array_equal(np.concatenate(backwards[::-1]), whole[1200:1400])


def test_another_seed_is_another_participant() -> None:
    a, b = (AlphaSimulator(seed=seed, seconds=20) for seed in (1, 2))
    assert not np.array_equal(a.read(0, 100), b.read(0, 100))
    assert a.markers != b.markers
    assert abs(np.corrcoef(a.read(0, 3200)[:, 61], b.read(0, 3200)[:, 61])[0, 1]) < 0.2


def test_where_blocks_overlap_there_is_no_seam(samples: np.ndarray) -> None:
    steps = np.abs(np.diff(samples[:, OCCIPITAL], axis=0)).mean(axis=1)
    at_seams = steps[np.arange(1279, len(steps), 1280)]
    assert len(at_seams) == 29
    assert at_seams.mean() < 1.3 * steps.mean()
    assert at_seams.max() <= steps.max()
    # Nor does the power breathe with the blocks.
    power_in_slot = (
        (samples[:, SITES.index("Cz")].reshape(-1, 1280) ** 2).reshape(30, 4, 320).mean(axis=(0, 2))
    )
    assert power_in_slot.max() / power_in_slot.min() < 1.6


def test_the_state_begins_with_open_eyes_and_changes_every_eight_seconds_or_so(
    simulator: AlphaSimulator,
) -> None:
    markers = simulator.markers
    assert [m.text for m in markers[:3]] == ["eyes open", "eyes closed", "eyes open"]
    assert {m.text for m in markers} == set(STATES)
    assert markers[0].time == 0
    lengths = np.diff([m.time for m in markers])
    assert 4.2 <= lengths.min() < lengths.max() <= 11.8
    assert lengths.std() > 0.5
    assert lengths.mean() == pytest.approx(8.0, rel=0.12)


def test_state_and_markers_say_the_same(simulator: AlphaSimulator) -> None:
    times = np.linspace(0, SECONDS, 5001)[:-1]
    state = simulator.state(times)
    assert set(state.tolist()) == {OPEN, CLOSED}
    newest = [[m for m in simulator.markers if m.time <= t][-1].text for t in times]
    assert newest == [STATES[s] for s in state]
    assert simulator.state(simulator.markers[3].time) == CLOSED
    assert simulator.state(simulator.markers[3].time - 1e-6) == OPEN


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 3000), min_size=1, max_size=5))
def test_markers_between_any_times_are_the_same_markers(cuts: list[float]) -> None:
    endless = AlphaSimulator(seed=4)
    edges = [0.0, *sorted(cuts), 3000.0]
    found: list[Event] = []
    for start, stop in itertools.pairwise(edges):
        found += endless.markers_between(start, stop)
    assert found == [m for m in endless.markers if m.time < 3000.0]
    assert len(found) > 350


def test_an_endless_one_is_there_at_any_time() -> None:
    endless = AlphaSimulator(seed=4)
    first = 10**9  # some seventy days
    late = endless.read(first, first + 320)
    assert np.array_equal(late[100:110], AlphaSimulator(seed=4).read(first + 100, first + 110))
    assert 10 < late.std() < 200
    with pytest.raises(ValueError, match="asked for"):
        endless.read(-1, 3)


@pytest.mark.parametrize(("state", "fraction"), [(OPEN, 0.16), (CLOSED, 0.65)])
def test_the_alpha_fraction_is_the_recorded_ones(
    simulator: AlphaSimulator, samples: np.ndarray, state: int, fraction: float
) -> None:
    f, p = spectrum(simulator, samples, state)
    p = p[:, OCCIPITAL].mean(axis=1)
    found = float(power(f, p, 8, 13) / power(f, p, 1, 40))
    assert found == pytest.approx(fraction, rel=0.12)


def test_the_closed_eyes_rhythm_is_at_ten_hertz_and_strongest_at_the_back(
    simulator: AlphaSimulator, samples: np.ndarray
) -> None:
    f, p = spectrum(simulator, samples, CLOSED)
    band = (f >= 8) & (f <= 13)
    assert f[band][p[band][:, OCCIPITAL].mean(axis=1).argmax()] == pytest.approx(10.0, abs=0.5)
    alpha = dict(zip(SITES, power(f, p, 8, 13), strict=True))
    assert alpha["Oz"] > 1.5 * alpha["Pz"] > 1.5 * alpha["Cz"]
    assert alpha["O1"] > 5 * alpha["T7"]


#: µV² per band at each site, as measured in S001R01 (eyes open) and S001R02 (eyes closed).
RECORDED = {
    OPEN: {
        "Cz": {(1, 3.5): 1049, (4, 7.5): 332, (8, 13): 184, (13.5, 30): 164, (30.5, 40): 25},
        "Oz": {(1, 3.5): 961, (4, 7.5): 239, (8, 13): 284, (13.5, 30): 296, (30.5, 40): 28},
    },
    CLOSED: {
        "Cz": {(1, 3.5): 775, (4, 7.5): 329, (8, 13): 680, (13.5, 30): 214, (30.5, 40): 33},
        "Oz": {(1, 3.5): 775, (4, 7.5): 271, (8, 13): 3010, (13.5, 30): 598, (30.5, 40): 32},
    },
}


@pytest.mark.parametrize("state", [OPEN, CLOSED])
def test_band_powers_are_within_a_factor_of_two_of_the_recorded_ones(
    simulator: AlphaSimulator, samples: np.ndarray, state: int
) -> None:
    f, p = spectrum(simulator, samples, state)
    for site, bands in RECORDED[state].items():
        for (low, high), recorded in bands.items():
            simulated = power(f, p, low, high)[SITES.index(site)]
            assert 0.5 < simulated / recorded < 2.0, (site, low, simulated, recorded)


def test_the_planted_powers_are_recorded_in_the_sample_files(eegmmidb: Path) -> None:
    for state, run in ((OPEN, 1), (CLOSED, 2)):
        recording = open_recording(eegmmidb / f"S001R0{run}.edf")
        f, p = ss.welch(recording.read(0, 9600).astype(float), 160, nperseg=320, axis=0)
        for site, bands in RECORDED[state].items():
            for (low, high), planted in bands.items():
                assert power(f, p, low, high)[SITES.index(site)] == pytest.approx(planted, abs=0.6)


def test_eyes_blink_in_front_and_only_while_open(simulator: AlphaSimulator, samples: np.ndarray) -> None:
    front, back = SITES.index("Fpz"), SITES.index("Oz")
    slow = ss.sosfiltfilt(ss.butter(2, [0.5, 8], "bandpass", fs=160, output="sos"), samples, axis=0)
    open_now = simulator.state(simulator.times(0, len(samples))) == OPEN
    peaks = ss.find_peaks(slow[:, front], height=150, distance=80)[0]
    assert len(peaks) > SECONDS / 2 / 12
    assert open_now[peaks].mean() > 0.9
    assert np.abs(slow[peaks, back]).mean() < 0.4 * slow[peaks, front].mean()


def log_alpha(samples: np.ndarray) -> np.ndarray:
    """Return log alpha power over the back of the head in seconds: (seconds, 3)."""
    sos = ss.butter(4, [8, 13], "bandpass", fs=160, output="sos")
    x = ss.sosfilt(sos, samples[:, OCCIPITAL], axis=0)
    return np.log((x[: len(x) // 160 * 160].reshape(-1, 160, 3) ** 2).mean(axis=1))


def test_a_decoder_fitted_to_the_recording_reads_the_simulated_state(
    eegmmidb: Path, simulator: AlphaSimulator, samples: np.ndarray
) -> None:
    means = []
    for run in (1, 2):
        recording = open_recording(eegmmidb / f"S001R0{run}.edf")
        means.append(log_alpha(recording.read(0, 9600).astype(float)).mean())
    threshold = np.mean(means)
    decoded = log_alpha(samples).mean(axis=1) > threshold
    # One second after a change the filter and the rhythm have followed.
    middle = np.arange(SECONDS) + 0.5
    settled = simulator.state(middle) == simulator.state(middle - 1.5)
    planted = simulator.state(middle) == CLOSED
    assert settled.sum() > 150
    assert (decoded == planted)[settled].mean() > 0.9
    # The control: the state of another participant is no better than a coin.
    other = AlphaSimulator(seed=11).state(middle) == CLOSED
    assert (decoded == other)[settled].mean() < 0.7

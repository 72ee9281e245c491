"""The simulated participant's neurons: the same however they are read, and as reliable as asked for."""

import numpy as np
import pytest

from bci.errors import ConfigError
from bci.sim.participant import make_participant, record
from bci.sim.spikes import BASE_HZ, INTERVAL, SpikingParticipant

GREY = np.full((16, 16, 3), 128, np.uint8)
PICTURES = np.random.default_rng(1).integers(0, 256, (12, 16, 16, 3), np.uint8)
FLIPS = [
    (picture, 0.5 + k / 2 + shift)
    for k, one in enumerate(PICTURES)
    for picture, shift in ((one, 0), (GREY, 0.3))
]


@pytest.fixture(scope="module")
def participant() -> SpikingParticipant:
    made = make_participant("spikes", units=16, reference=PICTURES, lapse_rate=0.0)
    assert isinstance(made, SpikingParticipant)
    return made


def test_counts_do_not_depend_on_how_many_bins_are_read_at_once(participant: SpikingParticipant) -> None:
    whole = record(participant, FLIPS, 300)
    participant.reset()
    flips, pieces = list(FLIPS), []
    for first in range(0, 300, 4):
        while flips and flips[0][1] * 100 < first + 4:
            participant.see(*flips.pop(0))
        pieces.append(participant.read(4))
    assert np.array_equal(np.concatenate(pieces), whole)
    assert participant.late == 0
    assert np.array_equal(whole, np.rint(whole))
    assert participant.signal.unit == "spikes"


def test_neurons_fire_at_their_base_rate_without_a_picture_and_by_its_drive_with_one(
    participant: SpikingParticipant,
) -> None:
    participant.reset()
    quiet = participant.read(20_000)
    assert quiet.mean() * 100 == pytest.approx(BASE_HZ, rel=0.03)
    assert quiet.var() == pytest.approx(quiet.mean(), rel=0.03)
    participant.reset()
    participant.see(PICTURES[0], 1.0)
    rates = participant.rates(0, 140)
    assert (rates[:104] == BASE_HZ).all()
    drive = participant.observer.population.drive(PICTURES[:1], np.zeros((1, 2)))[0]
    after = rates[110:130].mean(axis=0)
    assert np.corrcoef(after, np.maximum(BASE_HZ + 0.7 * participant.gain * drive, 0))[0, 1] > 0.9


def test_the_ratio_of_variances_is_the_one_asked_for() -> None:
    made = make_participant("spikes", units=16, snr=4.0, reference=PICTURES, lapse_rate=0.0)
    assert isinstance(made, SpikingParticipant)
    seconds = INTERVAL[1] - INTERVAL[0]
    # Higher units have their first burst at the interval's begin; a drive of one standard deviation:
    share = np.mean(0.5 + 0.5 * np.exp(-np.arange(0, seconds, 0.01) / 0.08))
    assert (made.gain * share * seconds) ** 2 / (BASE_HZ * seconds) == pytest.approx(4.0, rel=0.02)
    null = make_participant("spikes", units=16, snr=0.0, reference=PICTURES)
    assert isinstance(null, SpikingParticipant)
    null.see(PICTURES[0], 0.1)
    assert (null.rates(0, 50) == BASE_HZ).all()


def test_impossible_neurons_are_refused() -> None:
    with pytest.raises(ConfigError, match="10 to 1000 bins"):
        make_participant("spikes", units=16, rate=5.0, reference=PICTURES)

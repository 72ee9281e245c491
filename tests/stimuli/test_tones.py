"""Tones are as many as were asked for, end softly, and a machine without sound stays silent."""

import numpy as np
import pytest

from stimuli.tones import Tones, beeps


def test_a_number_of_tones_is_that_many_bursts_with_soft_ends() -> None:
    wave = np.frombuffer(beeps(3), np.int16).astype(float)
    loud = np.convolve(np.abs(wave), np.ones(441) / 441, "same") > 500
    assert np.count_nonzero(np.diff(loud.astype(int), prepend=0) == 1) == 3
    assert abs(wave).max() < 0.5 * 2**15
    assert abs(np.diff(wave)).max() < 0.2 * abs(wave).max()


def test_without_a_loudspeaker_nothing_is_played_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_AUDIODRIVER", "nonsense")
    with Tones() as tones:
        assert not tones.audible
        tones.play(2)


def test_with_one_they_are_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    with Tones() as tones:
        assert tones.audible
        tones.play(1)

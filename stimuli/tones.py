"""Tones give cues to a participant with closed eyes; a machine without sound stays silent and reports that."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import numpy as np

log = logging.getLogger("stimuli.tones")

_RATE = 44100
_PITCH_HZ, _LENGTH_S, _PAUSE_S, _RAMP_S, _LOUDNESS = 660.0, 0.18, 0.12, 0.01, 0.4


class Tones:
    """A Tones plays tones on the loudspeaker; it is a context manager.

    Attributes
    ----------
    audible : bool
        Whether there is a loudspeaker.
    """

    def __init__(self) -> None:
        import pygame

        self._mixer = pygame.mixer
        self.audible = True
        try:
            with _hushed():
                self._mixer.init(_RATE, -16, 1, 512)
        except pygame.error as error:
            self.audible = False
            log.info("no sound: %s", error)

    def play(self, number: int) -> None:
        """Play a number of tones, one after the other, without waiting for their end."""
        if self.audible and number:
            self._mixer.Sound(buffer=beeps(number)).play()

    def close(self) -> None:
        """Close the loudspeaker."""
        if self.audible:
            self._mixer.quit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _hushed() -> Iterator[None]:
    """Drop lines that a sound library writes to standard error: ALSA reports a missing card in eight lines."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def beeps(number: int) -> bytes:
    """Return tones as 16-bit samples, each with soft ends, so that none of them clicks.

    >>> len(beeps(2)) == 2 * len(beeps(1))
    True
    """
    t = np.arange(round(_LENGTH_S * _RATE)) / _RATE
    ends = np.minimum(1.0, np.minimum(t, t[::-1]) / _RAMP_S)
    tone = _LOUDNESS * ends * np.sin(2 * np.pi * _PITCH_HZ * t)
    one = np.concatenate([tone, np.zeros(round(_PAUSE_S * _RATE))])
    return (np.tile(one, number) * (2**15 - 1)).astype(np.int16).tobytes()

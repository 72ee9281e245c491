"""Rendered pictures: an engine asks `bci.live.render` for the pictures of latents, and takes them when they come."""

import numpy as np
from numpy.typing import NDArray

from bci.errors import Overrun
from bci.memory.ring import Ring
from bci.memory.trial_parts import write_request


class Rendered:
    """The pictures that were asked for.

    Parameters
    ----------
    requests, drawn : Ring
        Of `bci.memory.trial_parts.create_requests`, which is written, and `create_drawn`, which is read.
    """

    def __init__(self, requests: Ring, drawn: Ring) -> None:
        self._requests, self._drawn = requests, drawn
        self._at = drawn.count

    def request(self, trial: int, stimulus: int, latent: NDArray[np.float32], generator: int = 0) -> None:
        """Ask for the picture that a generator draws of a latent, (d,), for trial number `trial` to show."""
        write_request(self._requests, latent, trial=trial, stimulus=stimulus, generator=generator)

    def take(self, trial: int) -> NDArray[np.uint8] | None:
        """Return the picture (height, width, 3) that was asked for this trial, None while it has not come."""
        while self._at < self._drawn.count:
            try:
                place = self._drawn.read(self._at, self._at + 1)
            except Overrun as overrun:
                self._at = overrun.first + overrun.lost
                continue
            self._at += 1
            record = place["request"][0]
            if record["trial"] == trial and record["drawn"]:
                image: NDArray[np.uint8] = place["image"][0]
                return image
        return None

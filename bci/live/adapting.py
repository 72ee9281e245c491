"""Changes carries a decoder's adaptation: what the session told it, and each change on its way into the recording."""

import numpy as np

from bci.live.sides import side_role
from bci.memory.program import Program
from bci.memory.stream import Stream
from bci.session.adapted import ADAPTATION, read_plan
from bci.signal.types import Window


class Changes:
    """The changes of one decoder's adaptation; there are none where the session asks for no adaptation.

    A decoder that took over from another one goes on with the newest change, which is the whole state.

    Parameters
    ----------
    program : Program
        The decode program; opens the stream of role ``side-adaptation``.

    Attributes
    ----------
    adaptation : OnlineAdaptation or None
        What corrects the decoder's latents.
    """

    def __init__(self, program: Program) -> None:
        plan = read_plan(program.folder, program.name.partition(":")[2] or None)
        self.adaptation = None if plan is None else plan.open()
        self._clock = program.clock
        self._stream: Stream | None = None
        if self.adaptation is not None:
            self._stream = program.stream(side_role(ADAPTATION))
            ring = self._stream.samples
            if program.restart and ring.count:
                newest = ring.read(ring.count - 1, ring.count)["samples"][0]
                self.adaptation.drift.restore(newest[1:])

    def write(self, window: Window) -> None:
        """Record the state after the trial that `window` was cut for."""
        assert self.adaptation is not None
        assert self._stream is not None
        row = np.concatenate([[float(window.last_sample)], self.adaptation.drift.state])[None]
        time = np.array([float(window.times[-1])])
        self._stream.samples.write(samples=row, times=time, raw=time, arrived=np.array([self._clock.now()]))

    def finish(self) -> None:
        """Say that nothing more comes."""
        if self._stream is not None:
            self._stream.samples.finish()

"""A Swap exchanges a decoder's bundle between two windows, without one that is late, lost or half warm.

::

    order ─> a thread reads, verifies, tries (capped process), opens and warms the new bundle │ the old one decodes
          ─> every chunk goes through both pipelines; the new one began at a stated sample    │ the old one decodes
          ─> the first window whose filters have settled                                     │ the new one decodes it

Both cut the same grid, so the count of windows goes on as if nothing had happened. Of epochs, each event is of one
bundle: once the new filters have settled a time is fixed, events before it stay with the old one, and the exchange is
between two epochs. A bundle that fails a check leaves the old one where it is. What a thread can disturb is Python's
lock: while it works, the lock changes hands more often.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bci.decoder.bundle import Bundle
from bci.decoder.cuda import CardSettings
from bci.decoder.cut import LiveCutter, LiveRings
from bci.decoder.epoch_cut import MarkedEpochs
from bci.decoder.exchange import require_exchangeable
from bci.decoder.onnx import OnnxDecoder
from bci.errors import BciError, BundleMismatch
from bci.io.files.run import read_run
from bci.memory.marks import write_mark
from bci.memory.orders import Progress
from bci.memory.program import Program
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.session.swaps import LoadedBundle, read_swaps, write_swaps
from bci.signal.pipeline import RunningPipeline
from bci.signal.types import MarkKind, Window
from bci.signal.windows import Windows

#: How long a thread may keep Python's lock while another waits for it, seconds; Python's own default is 5 ms, which a
#: window would be late by.
_SWITCH_EVERY = 0.0002

#: Why the pipeline of a bundle that is to take over begins.
RESET = "swap"


@dataclass(frozen=True)
class _Running:
    """A bundle at work: which one it is, what decodes its windows, and what cuts them."""

    index: int
    bundle: Bundle
    decoder: OnnxDecoder
    cutter: LiveCutter


class _Loading:
    """A bundle that is loaded in a thread of its own; then `running` holds it, or `refusal` why it may not run."""

    def __init__(self, swap: "Swap", path: str) -> None:
        self.running: _Running | None = None
        self.refusal = ""
        self._swap, self._path = swap, path
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_EVERY)
        try:
            self.running = self._swap.load(self._path)
        except BciError as error:
            self.refusal = str(error)
        except Exception as error:
            # A defect of ours, or memory: no reason to end the decoder that runs.
            self._swap.program.log.exception("loading %s failed", self._path)
            self.refusal = f"loading {self._path} failed: {error!r}; the log has the rest"
        finally:
            sys.setswitchinterval(before)


class Swap:
    """The bundle that a decoder runs, and the one that is to take its place.

    Parameters
    ----------
    program : Program
        The decode program; orders to load a bundle are obeyed from now on.
    stream : Stream
        What is decoded.
    bundle : Bundle
        The one that runs.
    decoder : OnnxDecoder
        What decodes with it.
    rings : LiveRings
        The decoder's.
    frames : Ring
        Where its reconstructions go.
    index : int
        Which of the decoder's bundles it is: 0 for the one that the session file names.
    connect : callable
        Called with each bundle's pipeline before its first sample: what it hears of another stream.

    Attributes
    ----------
    windows, yielded, skipped : int
        As of `bci.decoder.cut.LiveCutter`, over all bundles.
    """

    def __init__(
        self,
        program: Program,
        stream: Stream,
        bundle: Bundle,
        decoder: OnnxDecoder,
        rings: LiveRings,
        frames: Ring,
        index: int = 0,
        connect: Callable[[RunningPipeline], None] = lambda pipeline: None,
    ) -> None:
        self.program = program
        self._stream, self._rings, self._frames = stream, rings, frames
        self._connect = connect
        self._run = read_run(program.folder)
        self._name = program.name.partition(":")[2] or None
        self._loaded = read_swaps(program.folder, self._name)
        self._running = self._begin(index, bundle, decoder)
        self._loading: _Loading | None = None
        self._next: _Running | None = None
        self._next_began = -1
        #: The one before: letting go of its graphs takes time, and is left to the thread that loads the next.
        self._retired: _Running | None = None
        self._before = {"windows": 0, "yielded": 0, "skipped": 0}
        #: Whether events are divided between two bundles that decode epochs.
        self._shares_events = False
        program.obeys("load_bundle", self._order)

    @property
    def bundle(self) -> Bundle:
        """The bundle that runs."""
        return self._running.bundle

    @property
    def decoder(self) -> OnnxDecoder:
        """What decodes the window given last."""
        return self._running.decoder

    @property
    def cutter(self) -> LiveCutter:
        """What cuts the windows."""
        return self._running.cutter

    @property
    def index(self) -> int:
        """Which of the decoder's bundles runs."""
        return self._running.index

    @property
    def windows(self) -> int:
        """Windows that could be formed."""
        return self._total("windows")

    @property
    def yielded(self) -> int:
        """Windows that were given out."""
        return self._total("yielded")

    @property
    def skipped(self) -> int:
        """Windows that were passed over."""
        return self._total("skipped")

    def foresee(self, chunk: Window) -> None:
        """Make ready what can be before the samples of the next chunk come: see `Windows.foresee`."""
        if self._next is None and isinstance(self.cutter, Windows):
            self.cutter.foresee(chunk)

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples; give what is to be decoded now, by `decoder` as it then is."""
        self._look_at_the_loader()
        successor = self._next
        if successor is None:
            yield from self.cutter.push(chunk)
            return
        if isinstance(self.cutter, MarkedEpochs) and isinstance(successor.cutter, MarkedEpochs):
            yield from self._push_epochs(chunk, successor, self.cutter, successor.cutter)
            return
        window = next(self.cutter.push(chunk), None)
        if self._next_began < 0:
            self._next_began = chunk.first
            chunk = replace(chunk, reset=chunk.reset or RESET)
        other = next(successor.cutter.push(chunk), None)
        if window is None:
            return
        if other is None or not other.settled or other.last_sample != window.last_sample:
            yield window
            return
        self._take_over(successor)
        # Passed over were windows of the one grid, which the old cutter has counted to here.
        yield replace(other, skipped=window.skipped)

    def retrace(self, chunk: Window) -> None:
        """Take samples that a predecessor had used, to know what it knew; see `LiveCutter.retrace`."""
        self.cutter.retrace(chunk)

    def finish(self) -> None:
        """Count what can never be decoded: the signal has ended."""
        self.cutter.finish()
        if self._shares_events:
            assert self._next is not None
            self._next.cutter.finish()

    def _push_epochs(
        self, chunk: Window, successor: _Running, old: MarkedEpochs, new: MarkedEpochs
    ) -> Iterator[Window]:
        """Give the epochs of both bundles; the first one of the new bundle ends the old one."""
        yield from old.push(chunk)
        if self._next_began < 0:
            self._next_began = chunk.first
            new.wait()
            chunk = replace(chunk, reset=chunk.reset or RESET)
        for window in new.push(chunk):
            if self._running is not successor:
                self._shares_events = False
                new.replace(old)
                self._take_over(successor)
            yield window
        settled = new.pipeline.settled_from
        if self._running is not successor and not self._shares_events and chunk.end > settled:
            since = float(chunk.times[max(0, settled - chunk.first)])
            # One output sample more: an event is put on the nearest.
            new.take_over(old, since + (1 - successor.bundle.cut.offset) / new.pipeline.output.rate)
            self._shares_events = True

    # -- the exchange ------------------------------------------------------------------------------------

    def _order(self, payload: Mapping[str, Any]) -> Progress:
        if self._loading is not None:
            raise ValueError("another bundle is being loaded; wait for its answer")
        path = payload.get("path")
        if not isinstance(path, str):
            raise ValueError(f"the folder of a bundle was expected as path, {path!r} came")
        loading = self._loading = _Loading(self, path)

        def progress() -> bool:
            if loading.refusal:
                raise ValueError(loading.refusal)
            # Epochs may be far apart: it is answered once the next event is the new bundle's.
            ready = self._shares_events and loading.running is self._next
            return loading.running is not None and (ready or loading.running is self._running)

        return progress

    def load(self, path: str) -> _Running:
        """Load and warm a bundle that is to take over, and put it into the session's list; called in a thread.

        Raises
        ------
        BciError
            If it may not run, or the list cannot be written.
        """
        self._retired = None
        if self.decoder.adaptation is not None:
            raise BundleMismatch(
                "expected a decoder that is not adapted, came one that follows the latents of its bundle: another "
                "bundle's "
                "are others. End the session, and begin one with the new bundle."
            )
        spec = self.program.spec
        if spec.get("repeats", "single") != "single":
            raise BundleMismatch(
                "expected a decoder of single epochs, came one that averages repeats: those of before are another "
                "bundle's. End the session, and begin one with the new bundle."
            )
        bundle = Bundle.load(path)
        require_exchangeable(self.bundle, bundle)
        bundle.check(self._stream.signal)
        decoder = OnnxDecoder(
            bundle,
            provider=spec["provider"],
            card=CardSettings(**spec.get("card", {})),
            precision=spec.get("precision", "float32"),
            lends=True,
            unlike=spec.get("unlike", "refuse"),
            clock=self.program.clock,
        )
        decoder.warm_up()
        running = self._begin(len(self._loaded) + 1, bundle, decoder)
        loaded = [
            *self._loaded,
            LoadedBundle(str(bundle.folder.resolve()), bundle.name, bundle.hash, decoder.environment),
        ]
        write_swaps(self.program.folder, loaded, self._name)
        self._loaded = loaded
        return running

    def _begin(self, index: int, bundle: Bundle, decoder: OnnxDecoder) -> _Running:
        pipeline = bundle.adapt(self._stream.signal, self._run)
        cutter = bundle.cut.live(self._stream, pipeline, self._rings)
        self._connect(cutter.pipeline)
        return _Running(index, bundle, decoder, cutter)

    def _total(self, counter: str) -> int:
        both = (self.cutter, self._next.cutter) if self._shares_events and self._next else (self.cutter,)
        return self._before[counter] + sum(int(getattr(cutter, counter)) for cutter in both)

    def _look_at_the_loader(self) -> None:
        loading = self._loading
        if loading is None or self._next is not None:
            return
        if loading.refusal:
            self._loading = None
        elif loading.running is not None:
            self._next, self._next_began = loading.running, -1

    def _take_over(self, successor: _Running) -> None:
        old, new = self._running.cutter, successor.cutter
        slides = not successor.bundle.cut.needs_markers
        for counter in self._before:
            # Windows that both counted are counted once; epochs are of one or the other.
            self._before[counter] += getattr(old, counter) - (getattr(new, counter) if slides else 0)
        write_mark(
            self._rings.marks,
            MarkKind.SWAPPED,
            self._next_began,
            count=self._frames.count,
            time=self.program.clock.now(),
            value=successor.index,
            detail=f"{successor.bundle.hash[:12]} {successor.bundle.name}",
        )
        self._retired, self._running = self._running, successor
        self._loading = self._next = None


def last_bundle(program: Program, frames: Ring) -> tuple[int, str, str]:
    """Return which bundle a dead decoder ran last, its folder and its hash; 0 and nothing for that of the session file.

    Raises
    ------
    RecordingError
        If the session's list of bundles is damaged.
    """
    index = int(frames.read(frames.count - 1, frames.count)["info"]["bundle"][0]) if frames.count else 0
    if index == 0:
        return 0, "", ""
    loaded = read_swaps(program.folder, program.name.partition(":")[2] or None)[index - 1]
    return index, loaded.path, loaded.hash

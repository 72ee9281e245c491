"""Reproduction: decodes what a session recorded, offline, and compares every reconstruction with what was made live.

The same windows or epochs, the same decoder, the resets that the live decoder marked, at the same samples: a restart
of the decoder or of the recorder, a gap, a clock that was set and a bad electrode are reproduced like any other
second. On the same machine with the same libraries the result must be equal, bit for bit; elsewhere it must be within
the tolerance of `bci.session.agreement`.

Where samples were not recorded, the frames that rest on them are *missing*. The filters remember them for longer, ever
more faintly: of the frames after that, up to the next reset, only agreement within the tolerance can be asked.
"""

import itertools
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder, Unlike
from bci.decoder.parity import LATENT_TOLERANCE
from bci.decoder.providers import Provider
from bci.decoder.spec import Arithmetic
from bci.errors import RecordingError
from bci.memory.frames import image_digest, window_digest
from bci.memory.lsl_clock import LslClock
from bci.session.adapted import read_changes, read_plan
from bci.session.agreement import Latents, differing, one_level, pixels_within
from bci.session.cut_tables import cut_tables
from bci.session.frames import RecordedFrame
from bci.session.heard import hear_again
from bci.session.recorded import RecordedSession
from bci.session.sample_times import sample_times
from bci.signal.phosphenes.view import PhospheneView
from bci.signal.types import Event, Reconstruction, Window, cut_text

#: What latents may differ by in another environment, relative to the largest.
TOLERANCE = LATENT_TOLERANCE

#: After this many settling times some millionths are left of what a filter heard (see `bci.signal.step.TOLERANCE`).
_FORGOTTEN = 2

_MOST_LISTED = 20

Image = NDArray[np.uint8]


class Screen(Protocol):
    """A Screen draws as the display did, for pictures that a session stored as they stood on the screen.

    Attributes
    ----------
    changes : collection of int
        The changes of picture that are stored.
    """

    @property
    def changes(self) -> Container[int]: ...  # noqa: D102

    def stored(self, change: int) -> Image:
        """Return the picture's place on the screen after a change of picture, as it was stored."""
        ...

    def drawn(self, image: Image) -> Image:
        """Return what stands in that place when `image` (height, width, 3) is shown; the caller's own."""
        ...


#: Makes a `Screen` of a session's folder, its configuration, and the size (height, width) of the bundle's pictures.
OpenScreen = Callable[[Path, Mapping[str, Any], tuple[int, int]], Screen]


def reproduce(
    folder: Path,
    bundle_path: Path | None = None,
    *,
    provider: Provider | None = None,
    screen: OpenScreen | None = None,
    decoder: str | None = None,
) -> dict[str, Any]:
    """Decode a recorded session again and compare.

    Parameters
    ----------
    folder : Path
        The session's folder.
    bundle_path : Path, optional
        Where its bundle is now, if not where it was.
    provider : "cpu" or "cuda", optional
        Where to compute; by default where the session did.
    screen : callable, optional
        Returns, given the session's folder, its configuration and the size (height, width) of the bundle's pictures,
        what reads those that the display left; without it none of them is looked at.
    decoder : str, optional
        Which decoder's reconstructions, where there were several; the first one's when absent. Pictures on the screen
        are looked at where they are this decoder's.

    Returns
    -------
    dict
        Of the reconstructions: ``frames`` (recorded), ``bundles`` (hashes of those that made them, in order),
        ``equal`` (latent, confidence, picture, validity and its reason the same to the bit), ``missing`` (rest on
        samples that were not recorded), ``unrecorded`` (numbers that are not in the table), ``cut`` (tables that
        lack rows, see `bci.session.cut_tables`), ``approximate`` (come after samples that were not recorded, see the
        module), ``unequal`` (numbers of the others that are not equal, the
        first twenty), ``max_difference`` (largest difference of a latent, relative to the largest latent).

        Of an adaptation: ``adaptations`` (changes recorded), ``adaptations_equal`` (those made again to the bit).

        Of the screen: ``shown`` (changes of picture that showed one of them), ``shown_equal`` (those whose pixels are
        the same to the bit); ``images`` (stored pictures that were compared), ``images_within`` (those within
        one level on 99.9 % of their pixels), ``least_share`` (the lowest share of such pixels, None without any).

        ``same_environment``, ``differing`` (what of it differs: then and now), ``within_tolerance`` (all there, latents
        and compared pictures within tolerance), ``reproduced`` (that, and in the same environment every bit),
        ``seconds`` (of the recording), ``times_real_time``, ``cpu_seconds`` (processor time that it took, however many
        others the machine served meanwhile).

    Raises
    ------
    RecordingError
        If the session is not whole.
    BundleError
        If its bundle is not there.
    BundleMismatch
        If the bundle is not the one that the session ran.
    """
    session = RecordedSession.read(folder)
    clock = LslClock()
    recorded = session.decoding(decoder)
    ran_by = {
        index: session.ran(decoder, index)
        for index in sorted({0, *(frame.bundle for frame in recorded.frames)})
    }
    bundles = {index: session.bundle(bundle_path, decoder, index) for index in ran_by}
    adapted = _Adapted(session, decoder)
    again = {
        index: OnnxDecoder(
            bundle,
            clock=clock,
            provider=provider or cast("Provider", ran_by[index].provider),
            # On another provider than the session's only float32 is the same computation.
            precision="float32"
            if provider not in (None, ran_by[index].provider)
            else cast("Arithmetic", ran_by[index].precision),
            unlike=cast("Unlike", ran_by[index].unlike),
            adaptation=adapted.adaptation,
        )
        for index, bundle in bundles.items()
    }
    for one in again.values():
        one.warm_up()
    on_screen = session.shown(decoder)
    size = bundles[0].image_size
    opened = screen(folder, session.config, size) if screen is not None and on_screen else None
    view = session.phosphenes(size)
    pictures = _Pictures(on_screen, opened, as_phosphenes=view is not None)
    compared = _Comparison(view)
    began, spent = clock.now(), time.process_time()
    seconds = max(
        _decode_again(session, decoder, index, bundles[index], again[index], adapted, compared, pictures)
        for index in bundles
    )
    took, spent = clock.now() - began, time.process_time() - spent
    pictures.compare()
    differs: dict[str, Any] = {}
    for index, one in again.items():
        differs |= differing(ran_by[index].environment, one.environment)
    # Of what was shown, only frames of which every bit can be asked for.
    shown = [(number, digest) for number, digest in on_screen.values() if number in compared.digests]
    shown_equal = sum(digest == compared.digests[number] for number, digest in shown)
    missing = len(recorded.frames) - compared.frames
    numbers = {then.number for then in recorded.frames}
    unrecorded = max(numbers, default=-1) + 1 - len(numbers)
    cut = cut_tables(folder)
    within = (
        missing == unrecorded == len(cut) == 0
        and compared.latents.agree
        and pictures.within == len(pictures.shares)
    )
    exact = not compared.unequal and shown_equal == len(shown) and not adapted.unequal
    return {
        "session": str(folder),
        "frames": len(recorded.frames),
        "bundles": [bundle.hash for bundle in bundles.values()],
        "equal": compared.equal,
        "missing": missing,
        "unrecorded": unrecorded,
        "cut": cut,
        "approximate": compared.approximate,
        "unequal": compared.unequal[:_MOST_LISTED],
        "max_difference": compared.latents.difference,
        "adaptations": len(adapted.recorded),
        "adaptations_equal": adapted.equal,
        "shown": len(shown),
        "shown_equal": shown_equal,
        "images": len(pictures.shares),
        "images_within": pictures.within,
        "least_share": min(pictures.shares, default=None),
        "same_environment": not differs,
        "differing": differs,
        "within_tolerance": within,
        "reproduced": within and (exact or bool(differs)),
        "seconds": seconds,
        "times_real_time": seconds / took if took > 0 else float("nan"),
        "cpu_seconds": spent,
    }


@dataclass
class _Comparison:
    """A _Comparison accumulates the differences between frames.

    Attributes
    ----------
    view : PhospheneView or None
        How reconstructions were seen, where as phosphenes.
    digests : dict of int to str
        What was to be seen of each frame that must be equal, by its number.
    """

    view: PhospheneView | None = None
    frames: int = 0
    equal: int = 0
    approximate: int = 0
    unequal: list[int] = field(default_factory=list)
    latents: Latents = field(default_factory=Latents)
    digests: dict[int, str] = field(default_factory=dict)

    def add(self, then: RecordedFrame, window: Window, now: Reconstruction, *, exact: bool) -> None:
        """Compare a frame made again; `exact` says that everything it rests on was recorded."""
        digest = image_digest(now.image)
        same = (
            np.array_equal(then.latent, now.latent, equal_nan=True)
            and np.array_equal(then.confidence, now.confidence, equal_nan=True)
            and then.digest == digest
            and then.valid == now.valid
            and then.repeats == now.repeats
            and then.reason == cut_text(now.reason, 96).decode()
            and then.window_digest in ("", window_digest(window).hex())
        )
        self.frames += 1
        self.equal += same
        self.latents.add(then.latent, now.latent)
        if not exact:
            self.approximate += 1
            return
        seen = digest if self.view is None else image_digest(self.view(now.image, now.image.shape[:2]))
        self.digests[then.number] = seen
        if not same:
            self.unequal.append(then.number)


class _Adapted:
    """A session's adaptation, made again: learned from the trials that were learned from, and compared.

    Attributes
    ----------
    adaptation : OnlineAdaptation or None
        As the session began it.
    recorded : dict of int to array
        The states after each change, by the newest source sample of its trial.
    equal, unequal : int
        Changes made again that are the same to the bit, and those that should be and are not.
    """

    def __init__(self, session: RecordedSession, decoder: str | None) -> None:
        plan = read_plan(session.folder, session.canonical(decoder))
        self.adaptation = None if plan is None else plan.open()
        self.recorded = {} if plan is None else read_changes(session, session.canonical(decoder))
        self._samples = sorted(self.recorded)
        self._newest = -1
        self.equal = self.unequal = 0

    def before(self, window: Window) -> None:
        """Put in place what was learned from trials that cannot be decoded again."""
        at = bisect_left(self._samples, window.last_sample)
        if self.adaptation is not None and at and self._samples[at - 1] > self._newest:
            self._newest = self._samples[at - 1]
            self.adaptation.drift.restore(self.recorded[self._newest])

    def after(self, window: Window, frame: Reconstruction, decoder: OnnxDecoder, *, exact: bool) -> None:
        """Learn from a trial decoded again, if it was learned from, and compare; then go on with what was recorded."""
        then = self.recorded.get(window.last_sample)
        if self.adaptation is None or then is None:
            return
        decoder.learn(frame)
        same = np.array_equal(self.adaptation.drift.state, then, equal_nan=True)
        self.equal += same
        self.unequal += exact and not same
        self._newest = window.last_sample
        self.adaptation.drift.restore(then)


class _Pictures:
    """The pictures that a display left on disk, compared with those made again."""

    def __init__(
        self, shown: Mapping[int, tuple[int, str]], screen: Screen | None, *, as_phosphenes: bool = False
    ) -> None:
        self._as_phosphenes = as_phosphenes
        self.shares: list[float] = []
        self.within = 0
        self._screen = screen
        # A frame may be shown again, behind a neutral picture: each time it is stored, it is compared.
        self._changes: dict[int, list[int]] = {}
        for change, (number, _) in shown.items():
            if screen is not None and change in screen.changes:
                self._changes.setdefault(number, []).append(change)
        self._again: dict[int, Image] = {}

    def keep(self, number: int, image: Image) -> None:
        """Keep the picture of a frame made again, if the one that was shown is stored."""
        if number in self._changes:
            self._again[number] = image

    def compare(self) -> None:
        """Compare them: what was shown must lie between what one level less and one level more would show."""
        for number, image in self._again.items():
            assert self._screen is not None
            if self._as_phosphenes:
                # Edges of a picture that is one level lighter are no lighter: what is seen is compared itself.
                seen = self._screen.drawn(image)
                low, high = one_level(seen, -1), one_level(seen, 1)
            else:
                low, high = (self._screen.drawn(one_level(image, by)) for by in (-1, 1))
            for change in self._changes[number]:
                share, enough = pixels_within(low, self._screen.stored(change), high)
                self.shares.append(share)
                self.within += enough


def _decode_again(
    session: RecordedSession,
    which: str | None,
    index: int,
    bundle: Bundle,
    decoder: OnnxDecoder,
    adapted: "_Adapted",
    compared: _Comparison,
    pictures: _Pictures,
) -> float:
    """Decode every window that one bundle decoded, as far as its samples were recorded; return the samples' seconds."""
    made: defaultdict[int, list[RecordedFrame]] = defaultdict(list)
    recorded, stream = session.decoding(which), session.ran(which).stream
    for then in recorded.frames:
        if then.bundle == index:
            made[then.last_sample].append(then)
    signal = session.signal(stream)
    adapted_pipeline, events = bundle.adapt(signal, session.run), recorded.events
    if adapted_pipeline.start(signal).hears_events:
        events = _in_samples(session, events)
    cutter = bundle.cut.recorded(signal, adapted_pipeline, events, recorded.epochs)
    pipeline = cutter.pipeline
    hear_again(session, which, pipeline)
    # A mean of repeats never forgets an epoch that was not recorded, up to the next reset.
    averages = session.ran(which, index).repeats != "single"
    forgotten = np.inf if averages else _FORGOTTEN * pipeline.settle
    feed = Feed(session, which, index)
    for chunk in feed:
        for window in cutter.push(chunk):
            if window.last_sample not in made:
                continue
            after = np.inf if feed.hole is None else (window.first + 1) * pipeline.ratio - 1 - feed.hole
            if after < forgotten:
                continue
            adapted.before(window)
            now = decoder.decode(window)
            adapted.after(window, now, decoder, exact=feed.hole is None or not forgotten)
            # Two events on one sample give this window twice, and all its frames are compared at the first.
            for then in made.pop(window.last_sample):
                compared.add(then, window, now, exact=feed.hole is None or not forgotten)
                pictures.keep(then.number, now.image)
    return feed.samples / signal.rate


def _in_samples(session: RecordedSession, events: Sequence[Event]) -> Sequence[Event]:
    """Return events with the times that a `Feed` gives their samples: a step that hears of them sees how they lie."""
    times, rate = sample_times(session), session.signal().rate
    if times is None:
        return events
    return [replace(event, time=times.place_at(event.time) / rate) for event in events]


class Feed:
    """The recorded samples as the chunks that a live decoder got: each of its resets at its sample.

    Parameters
    ----------
    session : RecordedSession
        What was recorded.
    decoder : str, optional
        Which decoder; the first when absent.
    bundle : int
        Which of its bundles: the samples from the one on that its pipeline began with.

    Attributes
    ----------
    hole : int or None
        Count of the first sample behind the newest loss since the last reset; None where nothing was lost.
    samples : int
        Handed on so far.
    """

    def __init__(self, session: RecordedSession, decoder: str | None = None, bundle: int = 0) -> None:
        self.hole: int | None = None
        self.samples = 0
        self._stream = session.stream(session.ran(decoder).stream)
        decoding = session.decoding(decoder)
        self._begin = 0
        self._resets = dict(decoding.resets)
        if bundle:
            if bundle not in decoding.swaps:
                raise RecordingError(
                    f"marks.csv of {session.folder}: a mark swapped of bundle {bundle} was expected, none came. Was "
                    "the file edited?"
                )
            self._begin = decoding.swaps[bundle]
            self._resets.setdefault(self._begin, "swap")

    def __iter__(self) -> Iterator[Window]:
        signal, resets = self._stream.signal, self._resets
        places = sorted(resets)
        at = self._begin
        for start, samples in self._stream.pieces():
            end = start + len(samples)
            if end <= self._begin:
                continue
            first = max(start, self._begin)
            inside = places[bisect_right(places, first) : bisect_left(places, end)]
            for a, b in itertools.pairwise((first, *inside, end)):
                if a in resets:
                    self.hole = None
                elif a != at:
                    self.hole = a
                at = b
                self.samples += b - a
                bad = np.zeros((b - a, *signal.flag_shape), bool)
                part = samples[a - start : b - start].reshape(b - a, *signal.shape)
                yield Window(
                    signal, a, part, np.arange(a, b) / signal.rate, bad, b - 1, reset=resets.get(a, "")
                )

"""A Connector finds the stream of one address, connects to it, and connects again when it was lost.

We reconnect ourselves: liblsl's own recovery leaves a stream that came back with other channels silent for
ever, and accepts another rate without a word.
"""

import itertools
import math
from collections.abc import Callable, Iterator

from bci.errors import StreamMismatch
from bci.io.lsl.address import Address
from bci.io.lsl.discovery import StreamWatch, no_answer, not_found, refuse_doubles, search
from bci.io.lsl.inlet import Inlet
from bci.io.lsl.metadata import StreamInfo, read_info
from bci.io.lsl.stated import Stated
from bci.memory.liblsl import pylsl
from bci.signal.clock import Clock
from bci.signal.types import Signal

#: Waits of 0.1 s that one attempt to connect may take before it starts over with discovery.
_PATIENCE = 30


class Connector:
    """A Connector connects to one source.

    Parameters
    ----------
    address : Address
        What it must say of itself.
    expect : Signal, optional
        What it must send; by default whatever it sends at first.
    buffer_s : float
        Seconds of samples that liblsl keeps until they are pulled.
    clock : Clock
        The session clock.
    stated : Stated, optional
        What takes the place of what it says of itself.
    regular : bool
        Whether numbers at a fixed rate are expected; otherwise numbers at none.

    Attributes
    ----------
    gone : set of str
        Uids of outlets that were lost; one that still answers beside another is closing and counts as no double.
    """

    def __init__(
        self,
        address: Address,
        expect: Signal | None,
        buffer_s: float,
        clock: Clock,
        stated: Stated | None = None,
        *,
        regular: bool = True,
    ) -> None:
        self.address = address
        self.gone: set[str] = set()
        self._expect = expect
        self._timing: tuple[float, bool] | None = None
        self._buffer_s = buffer_s
        self._clock = clock
        self._stated, self._regular = stated or Stated(), regular
        self._watch = StreamWatch(address)
        self._seen: StreamInfo | None = None
        self._attempt = self._connecting()

    def connect(self, timeout: float, between: Callable[[], None]) -> Inlet:
        """Return the first connection.

        Parameters
        ----------
        timeout : float
            Seconds to look for the source, by the session clock.
        between : callable
            Called between waits of at most 0.1 s; may raise to give up.

        Raises
        ------
        StreamNotFound, DuplicateStream, StreamMismatch
            If there is none, more than one, or another stream than expected.
        """
        deadline = self._clock.now() + timeout
        while (inlet := self.again()) is None:
            between()
            if self._clock.now() >= deadline:
                raise no_answer(self._seen, timeout) if self._seen else not_found(self.address, timeout)
        # A double may answer later than the first outlet; the StreamWatch has listened all the while.
        if len(self.look()) > 1:
            refuse_doubles(self.address, search(self.address))
        return inlet

    def again(self) -> Inlet | None:
        """Take one step, of at most 0.1 s, towards a connection; return it when it stands.

        Raises
        ------
        DuplicateStream, StreamMismatch
            If the stream found now cannot be used; the next call looks again.
        """
        attempt, self._attempt = self._attempt, self._connecting()
        inlet = next(attempt)
        if inlet is None:
            self._attempt = attempt
        # Otherwise, or after an error, the attempt has ended and the next step begins a new one.
        return inlet

    def look(self) -> dict[str, StreamInfo]:
        """Return every outlet of the address that was there within the last seconds, in brief, by uid."""
        return self._watch.look()

    def close(self) -> None:
        """Stop watching."""
        self._watch.close()

    def _connecting(self) -> Iterator[Inlet | None]:
        while True:
            infos = search(self.address)
            if not infos:
                yield None
                continue
            alive = [one for one in infos if one.uid() not in self.gone] or infos
            refuse_doubles(self.address, alive)
            one = alive[0]
            self._seen = read_info(one)
            try:
                yield from itertools.islice(self._opening(one), _PATIENCE)
            except pylsl.util.LostError:
                yield None

    def _opening(self, one: pylsl.StreamInfo) -> Iterator[Inlet | None]:
        return Inlet.opening(one, self._buffer_s, self._admit, self._stated.correct)

    def _admit(self, info: StreamInfo) -> StreamInfo:
        """Refuse a stream that does not fit, before any data are requested; return it with what is stated of it."""
        (refuse_unlike_signal if self._regular else refuse_unlike_numbers)(info)
        info = self._stated.apply(info)
        signal = info.signal
        wrong = differences(self._expect, signal) if self._expect else []
        timing = (info.speed, info.exact_stamps)
        if self._timing not in (None, timing):
            wrong.append(f"(speed, exact stamps) {self._timing} were expected, {timing} came")
        if wrong:
            raise StreamMismatch(
                f"stream {str(self.address)!r} is not the one this session was started with ({info.place}): "
                f"{'; '.join(wrong)}. Set the device as it was, or start a new session."
            )
        self._expect, self._timing = signal, timing
        return info


def refuse_unlike_signal(info: StreamInfo) -> None:
    """Refuse a stream that carries no numbers at a fixed rate, as an amplifier's does.

    Raises
    ------
    StreamMismatch
        If it carries text, or samples at no fixed rate.
    """
    signal = info.signal
    if signal.dtype == "undefined":
        what = "values in a format that is not known here"
    elif signal.dtype == "str":
        what = "text" if not signal.rate else f"text, at a nominal {signal.rate:g} Hz"
    elif not signal.rate:
        what = "samples at no fixed rate"
    else:
        return
    raise StreamMismatch(
        f"stream {info.source_id or signal.name!r} carries {what}; numbers at a fixed rate were expected. "
        "Name it as the marker stream if it carries markers, and the amplifier's stream here."
    )


def refuse_unlike_numbers(info: StreamInfo) -> None:
    """Refuse a stream that carries no numbers without a fixed rate, as an eye tracker's or a keyboard's does.

    Raises
    ------
    StreamMismatch
        If it carries text, or has a fixed rate.
    """
    signal = info.signal
    if signal.rate or signal.dtype in ("str", "undefined"):
        what = "text" if signal.dtype == "str" else f"{signal.dtype} values"
        at = f" at {signal.rate:g} Hz" if signal.rate else ""
        raise StreamMismatch(
            f"stream {info.source_id or signal.name!r} carries {what}{at}; numbers at no fixed rate were expected. "
            "Its program has changed what it sends: set it as it was, or start a new session."
        )


def changes(before: StreamInfo, after: StreamInfo) -> str:
    """Return in words how an outlet differs from the lost one, most important first: a mark has room for 96 bytes.

    >>> from bci.signal.types import Signal
    >>> amp = StreamInfo(Signal("amp", 250.0, (8,)), "amp-1", "uid-1", "lab-1")
    >>> changes(amp, StreamInfo(amp.signal, "amp-1", "uid-2", "lab-2", desc="<desc/>"))
    "host 'lab-2' instead of 'lab-1'; another description; uid uid-2"
    >>> changes(amp, amp)
    'the same outlet'
    """
    parts = []
    if after.host != before.host:
        parts.append(f"host {after.host!r} instead of {before.host!r}")
    if (after.desc, after.signal.name, after.kind) != (before.desc, before.signal.name, before.kind):
        parts.append("another description")
    if after.uid != before.uid:
        parts.append(f"uid {after.uid}")
    return "; ".join(parts) or "the same outlet"


def differences(expected: Signal, came: Signal) -> list[str]:
    """Return in words how a signal differs from the expected one; names are not compared."""
    wrong = []
    if not math.isclose(came.rate, expected.rate, rel_tol=1e-6):
        wrong.append(f"{expected.rate:g} Hz were expected, {came.rate:g} Hz came")
    if came.shape != expected.shape:
        wrong.append(f"samples of shape {expected.shape} were expected, {came.shape} came")
    elif came.channels != expected.channels:
        pairs = zip(expected.channels, came.channels, strict=False)
        first = next(((i, *pair) for i, pair in enumerate(pairs) if pair[0] != pair[1]), None)
        wrong.append(
            f"channel {first[0]} was expected to be {first[1]!r}, {first[2]!r} came"
            if first
            else f"{len(expected.channels)} channel labels were expected, {len(came.channels)} came"
        )
    if came.unit != expected.unit:
        wrong.append(f"unit {expected.unit!r} was expected, {came.unit!r} came")
    if came.dtype != expected.dtype:
        wrong.append(f"{expected.dtype} values were expected, {came.dtype} came")
    return wrong

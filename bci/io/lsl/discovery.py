"""Discovery finds streams on the network by their address, and notices when two claim the same one."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bci.errors import DuplicateStream, StreamMismatch, StreamNotFound
from bci.io.lsl.address import Address
from bci.io.lsl.metadata import StreamInfo, read_info
from bci.io.lsl.stated import Stated
from bci.memory.liblsl import pylsl
from bci.memory.lsl_clock import LslClock
from bci.signal.clock import Clock

if TYPE_CHECKING:
    import psutil

log = logging.getLogger(__name__)

#: Every wait of the line ends within this many seconds.
WAIT = 0.1

#: How long a source may be silent on the network before a StreamWatch forgets it, seconds.
FORGET = 2.0

#: Exceptions of a connection that fails: its outlet is lost, or does not answer in time.
NO_ANSWER = (pylsl.util.LostError, pylsl.util.TimeoutError)


#: A description of so many characters names twenty thousand channels.
LONGEST_DESCRIPTION = 4 << 20

#: Memory that this process may gain while it waits for a description, bytes.
_MOST_HELD = 64 << 20


def nothing() -> None:
    """Do nothing between two waits."""


#: What to do where a stream of [source] has a source id that another program's stream has.
_ANOTHER_SOURCE = (
    "Leave out [source] to use that program's stream; or leave out source_id, and the stream that [source] makes gets "
    "one of its own."
)

#: What to do where another stream of ours has one.
_ANOTHER_SESSION = "Is another session running? Give the stream of this one a source id of its own there."


def search(address: Address, wait: float = WAIT) -> list[Any]:
    """Return every outlet of that address that answers within `wait` seconds, as `pylsl.StreamInfo` in brief.

    The seconds are the network's, real ones, whatever a session clock shows: liblsl blocks for them.
    """
    # Asking for two makes liblsl wait for a second answer, which is how a double is found.
    outlets = pylsl.resolve_bypred(address.predicate, 2, wait)
    if len(outlets) > 1:
        # An outlet that is being closed answers for some real milliseconds more: only those that answer later count.
        time.sleep(wait / 2)
        outlets = pylsl.resolve_bypred(address.predicate, 2, wait / 2)
    return list(outlets)


def find(address: Address, timeout: float, clock: Clock, between: Callable[[], None] = nothing) -> Any:
    """Return the one outlet of that address, as `pylsl.StreamInfo` in brief.

    Parameters
    ----------
    address : Address
        What it must say of itself.
    timeout : float
        Seconds to go on looking, by `clock`.
    clock : Clock
        The session clock.
    between : callable
        Called between waits of at most 0.1 s; may raise to give up.

    Raises
    ------
    StreamNotFound
        If none answers in time; says which streams there are.
    DuplicateStream
        If more than one answers.
    """
    deadline = clock.now() + timeout
    while True:
        outlets = search(address)
        between()
        if outlets:
            refuse_doubles(address, outlets)
            return outlets[0]
        if clock.now() >= deadline:
            raise not_found(address, timeout)


def refuse_doubles(address: Address, outlets: list[Any]) -> None:
    """Raise `DuplicateStream`, naming all, if more than one outlet was found."""
    if len(outlets) > 1:
        raise double(address, readable(outlets))


def double(address: Address, infos: list[StreamInfo]) -> DuplicateStream:
    """Return the error that names all outlets that one address means, and by what they could be told apart."""
    places = "; ".join(f"{info.kind} {info.signal.name!r}, {info.place}" for info in infos)
    words = {
        "name": {info.signal.name for info in infos},
        "type": {info.kind for info in infos},
        "host": {info.host for info in infos},
    }
    telling = [word for word, said in words.items() if len(said) == len(infos)]
    advice = f"Say which by its {' or '.join(telling)} too" if telling else "Stop all but one"
    return DuplicateStream(
        f"{len(infos)} streams have {address.words} ({places}); one was expected. "
        f"{advice}, or give each device a source id of its own."
    )


def taken(address: Address, infos: list[StreamInfo], made_by: str) -> DuplicateStream:
    """Return the error that says whose a source id is that a stream of our own was to have.

    Parameters
    ----------
    address : Address
        The source id.
    infos : list of StreamInfo
        Streams of other programs that have it.
    made_by : str
        What of a session file makes the stream of our own.
    """
    places = "; ".join(f"{info.kind} {info.signal.name!r}, {info.place}" for info in infos)
    advice = _ANOTHER_SOURCE if made_by == "[source]" else _ANOTHER_SESSION
    return DuplicateStream(
        f"{made_by} makes a stream with {address.words}, and another program's stream has it already ({places}): which "
        f"one is meant? {advice}"
    )


def not_found(address: Address, timeout: float) -> StreamNotFound:
    """Return the error that names the stream that was looked for and the streams that are visible instead."""
    there = readable(pylsl.resolve_streams(0.5))
    names = ", ".join(
        f"{info.source_id!r} ({info.kind} {info.signal.name!r} on {info.host})" for info in there
    )
    return StreamNotFound(
        f"no LSL stream with {address.words} within {timeout:g} s; visible: {names or 'none'}. "
        "Check the amplifier's LSL app and the firewall (`bci doctor` says what of this machine may hide a stream), or "
        "name another stream."
    )


def asking(outlet: Any) -> Iterator[StreamInfo | None]:
    """Ask an outlet for its whole description: yield None after each wait of at most 0.1 s, then the description.

    liblsl receives a description of any length, so this process' memory is checked between the waits.

    Raises
    ------
    pylsl.util.LostError
        If the outlet is lost meanwhile.
    StreamMismatch
        If the description is longer than `LONGEST_DESCRIPTION`, or claims what no stream can be.
    """
    import psutil  # only here: most that import this module never ask

    brief = read_info(outlet)
    process = psutil.Process()
    before = _own_memory(process)
    inlet = pylsl.StreamInlet(outlet, max_buflen=1, recover=False)
    while True:
        try:
            full = inlet.info(WAIT)
        except pylsl.util.TimeoutError:
            if _own_memory(process) - before > _MOST_HELD:
                raise _too_long(brief) from None
            yield None
        else:
            break
    if len(full.as_xml()) > LONGEST_DESCRIPTION:
        raise _too_long(brief)
    yield read_info(full)


def _own_memory(process: "psutil.Process") -> int:
    """Return the bytes that a process holds alone; its rings, which fill meanwhile, are shared."""
    held = process.memory_info()
    return int(held.rss) - int(getattr(held, "shared", 0))


def read_full(outlet: Any, wait: float, clock: Clock) -> StreamInfo:
    """Return an outlet's whole description, or raise `pylsl.util.TimeoutError` when it takes longer than `wait`.

    The seconds are those of `clock`, looked at between waits of at most 0.1 s. Otherwise as `asking`.
    """
    deadline = clock.now() + wait
    for info in asking(outlet):
        if info is not None:
            return info
        if clock.now() >= deadline:
            break
    raise pylsl.util.TimeoutError


def _too_long(info: StreamInfo) -> StreamMismatch:
    return StreamMismatch(
        f"stream {info.signal.name!r} ({info.place}) describes itself in more than {LONGEST_DESCRIPTION >> 20} MiB: "
        "refused. Something imitates a stream, or its program is in error: stop it."
    )


def readable(outlets: Iterable[Any]) -> list[StreamInfo]:
    """Return brief descriptions of the streams that claim nothing impossible; the log names the others."""
    infos = []
    for outlet in outlets:
        try:
            infos.append(read_info(outlet))
        except StreamMismatch as error:
            log.warning("left out: %s", error)
    return infos


def describe(
    address: Address | str, timeout: float = 5.0, clock: Clock | None = None, stated: Stated | None = None
) -> StreamInfo:
    """Return the description of the stream of that address, or of that source id.

    `timeout` is counted by `clock`, the session clock; by default by this host's. What is `stated` takes the place of
    what the stream says of itself.

    Raises
    ------
    StreamNotFound
        If there is none within `timeout` seconds, or it does not answer.
    DuplicateStream
        If there is more than one.
    StreamMismatch
        If it claims what no stream can be, or what is stated does not fit it.
    """
    clock = clock or LslClock()
    deadline = clock.now() + timeout
    outlet = find(Address.of(address), timeout, clock)
    try:
        info = read_full(outlet, max(WAIT, deadline - clock.now()), clock)
    except NO_ANSWER:
        raise no_answer(read_info(outlet), timeout) from None
    return stated.apply(info) if stated else info


def no_answer(info: StreamInfo, timeout: float) -> StreamNotFound:
    """Return the error that says that a stream is visible and cannot be reached."""
    return StreamNotFound(
        f"stream {info.source_id!r} is visible ({info.place}) and did not answer within {timeout:g} s. "
        "Its program may hang; or a firewall lets LSL's discovery (UDP 16571) pass and not its data (TCP 16572 on)."
    )


def visible(wait: float, clock: Clock | None = None) -> list[StreamInfo]:
    """Return all streams that answer within `wait` seconds of the network, sorted by source id.

    One that does not give its whole description within half a second (by `clock`, by default this host's), or too
    long a one, is listed by what discovery tells; one that claims what no stream can be is left out, and the log says
    so.
    """
    clock = clock or LslClock()
    infos = []
    for outlet in _heard_within(wait):
        try:
            infos.append(read_full(outlet, 0.5, clock))
        except (*NO_ANSWER, StreamMismatch):
            infos += readable([outlet])
    return sorted(infos, key=lambda info: (info.source_id, info.uid))


def _heard_within(wait: float) -> list[Any]:
    """Return every outlet that answers within `wait` real seconds; Ctrl-C ends the waiting at once.

    liblsl's own search blocks for all of them, deaf to signals; so it listens in its thread, and Python waits.
    """
    resolver: Any = pylsl.ContinuousResolver(forget_after=wait + FORGET)
    clock = LslClock()
    deadline = clock.now() + wait
    while clock.now() < deadline:
        clock.sleep_until(min(deadline, clock.now() + WAIT))
    return list(resolver.results())


class StreamWatch:
    """A StreamWatch listens for all outlets of one address, in liblsl's own background thread.

    It costs about one millisecond of processor time per second.
    """

    def __init__(self, address: Address) -> None:
        self._resolver: Any = pylsl.ContinuousResolver(pred=address.predicate, forget_after=FORGET)

    def look(self) -> dict[str, StreamInfo]:
        """Return the outlets that were visible within the last `FORGET` seconds, by uid."""
        return {info.uid: info for info in readable(self._resolver.results())}

    def close(self) -> None:
        """Stop watching."""
        self._resolver = None

"""A roll call finds every stream that some addresses mean: all streams of a device that gives them one source id."""

from collections.abc import Sequence
from typing import Any

from bci.errors import StreamMismatch, StreamNotFound
from bci.io.lsl.address import Address, choose, facts_of
from bci.io.lsl.discovery import NO_ANSWER, double, no_answer, not_found, read_full, readable
from bci.io.lsl.metadata import StreamInfo
from bci.memory.liblsl import pylsl
from bci.signal.clock import Clock

#: How long one look at the network takes, real seconds; streams on loopback and in a laboratory answer in a tenth.
_LOOK_S = 0.5


def roll_call(addresses: Sequence[Address], timeout: float, clock: Clock) -> list[tuple[Address, StreamInfo]]:
    """Return every stream that one of the addresses means, described whole, with an address that means it alone.

    Parameters
    ----------
    addresses : sequence of Address
        Which streams; none means all that are visible. A bare source id that no stream has is taken for a name.
    timeout : float
        Seconds to look until each address has found one, by `clock`.
    clock : Clock
        The session clock.

    Returns
    -------
    list of (Address, StreamInfo)
        Each stream once, in the order of the addresses.

    Raises
    ------
    StreamNotFound
        If an address finds none in time, a stream does not answer, or there is none at all.
    DuplicateStream
        If two streams say the same of themselves.
    StreamMismatch
        If a stream that is named claims what no stream can be.
    """
    deadline = clock.now() + timeout
    while True:
        there = _look(_LOOK_S) if addresses else _gather(timeout)
        infos = readable(there.values())
        missing = [address for address in addresses if not choose(infos, address)]
        if not missing or clock.now() >= deadline:
            break
    if missing:
        raise not_found(missing[0], timeout)
    if not infos:
        raise StreamNotFound(
            f"no stream answered within {timeout:g} s. Is the amplifier's LSL program running, in the same network?"
        )
    means = {info.uid: info for address in addresses or () for info in choose(infos, address)} or {
        info.uid: info for info in infos
    }
    _refuse_alike(list(means.values()), infos)
    return [
        (Address.telling(info, infos), _described(there[uid], info, timeout, clock))
        for uid, info in means.items()
    ]


def _look(wait: float) -> dict[str, Any]:
    return {found.uid(): found for found in pylsl.resolve_streams(wait)}


def _gather(seconds: float) -> dict[str, Any]:
    """Return all streams that answer within so many real seconds; between looks, Ctrl-C is heard."""
    there: dict[str, Any] = {}
    for _ in range(max(1, round(seconds / _LOOK_S))):
        there |= _look(min(_LOOK_S, seconds))
    return there


def _refuse_alike(meant: Sequence[StreamInfo], infos: Sequence[StreamInfo]) -> None:
    """Refuse two streams that nothing tells apart, if both are still there after a moment."""
    for info in meant:
        alike = _alike(info, infos)
        if len(alike) > 1:
            # An outlet that was being closed does not answer a second time.
            alike = _alike(info, readable(_look(_LOOK_S).values()))
        if len(alike) > 1:
            raise double(Address.telling(info, infos), alike)


def _alike(info: StreamInfo, infos: Sequence[StreamInfo]) -> list[StreamInfo]:
    return [other for other in infos if facts_of(other) == facts_of(info)]


def _described(found: Any, info: StreamInfo, timeout: float, clock: Clock) -> StreamInfo:
    try:
        described = read_full(found, timeout, clock)
    except NO_ANSWER:
        raise no_answer(info, timeout) from None
    if described.signal.dtype == "undefined":
        raise StreamMismatch(
            f"stream {info.signal.name!r} ({info.place}) sends values in a format that is not known here. "
            "Name the streams that you want, without it."
        )
    return described

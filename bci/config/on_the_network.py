"""What a session takes from the network, and what it puts there: each stream must be told from every other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bci.io.lsl.address import Address

if TYPE_CHECKING:
    from bci.config.session import SessionConfig


def of_others(config: "SessionConfig") -> tuple[Address, ...]:
    """Return what the streams, and the streams of markers, of other programs are found by."""
    own = offered(config)
    found: list[Address] = []
    for index, stream in enumerate(config.streams):
        address = config.address_of(index)
        if config.source_of(index) is None and address is not None:
            found.append(address)
        found += [marker for marker in stream.marker_addresses if str(marker) not in own]
    return tuple(found)


def offered(config: "SessionConfig") -> tuple[str, ...]:
    """Return the source ids that a session gives to streams of its own, as far as its file says."""
    return tuple(source_id for source_id, _ in made(config))


def made(config: "SessionConfig") -> Iterator[tuple[str, str]]:
    """Yield the same, each with what of a session file makes the stream."""
    for publication in config.publications:
        wanted = {"": True, "-pixels": publication.pixels}
        wanted |= {"-masked": publication.volumes, "-beta": publication.volumes}
        yield from ((publication.source_id + end, "[publish]") for end, there in wanted.items() if there)
    if config.experiment is not None or config.display.flip_markers:
        yield config.display.flip_stream, "[display] flip_stream"
    for index, stream in enumerate(config.streams):
        if config.source_of(index) is not None and stream.source_id is not None:
            yield from ((stream.source_id + end, "[source]") for end in ("", "-markers"))


def require_apart(config: "SessionConfig") -> None:
    """Refuse two streams that nothing tells apart.

    Raises
    ------
    ValueError
        Naming them.
    """
    ids = offered(config)
    if twice := sorted({source_id for source_id in ids if ids.count(source_id) > 1}):
        raise ValueError(
            f"two streams that this session makes have the source id {', '.join(twice)} ([source] of a [stream], "
            "[publish], [display] flip_stream): give each one of its own"
        )
    found = [address for index in range(len(config.streams)) if (address := config.address_of(index))]
    if len(set(found)) < len(found):
        raise ValueError(f"two [[stream]] are found by the same: {', '.join(map(str, found))}")
    marks = [address for stream in config.streams for address in stream.marker_addresses]
    if len(set(marks)) < len(marks):
        raise ValueError(f"a stream of markers is named twice: {', '.join(map(str, marks))}")
    if both := [str(address) for address in of_others(config) if address.source_id in ids]:
        raise ValueError(
            f"{', '.join(both)} is looked for on the network, and this session makes a stream of that source id "
            "itself ([publish], [display] flip_stream): give that another"
        )

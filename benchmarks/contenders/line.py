"""A contender's line is the posts of its programs behind the source that serves it, and what makes their rings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bci.config.stream import StreamSettings
from bci.control import posts
from bci.control.line import Post
from bci.control.shared_memory import Make, plan_buffer
from bci.errors import ProgramError
from bci.memory.ring import Column, Ring
from bci.memory.stream import Stream
from benchmarks.source import Feed

#: Modules of the contenders that are one program; "ours" and "pair" are two and have their own starts below.
PEERS = {
    "floor": "benchmarks.contenders.floor",
    "mne-lsl": "benchmarks.contenders.mne_lsl_stream",
    "ezmsg": "benchmarks.contenders.ezmsg_graph",
}

#: Contenders that are one of these with further settings.
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "mne-thread": ("mne-lsl", {"threaded": True}),
    "ezmsg-leaky": ("ezmsg", {"leaky": True}),
    "ours-traced": ("ours", {"notes": 100_000}),
}


def no_ring(name: str, segment: str, readers: int) -> Ring:
    """Refuse to make a ring: the default of a line that has none."""
    raise ProgramError(f"nothing makes the ring {name!r} of this line")


def source_post(spec: Mapping[str, Any], module: str = "benchmarks.source") -> Post:
    """Return the post of the program that publishes a feed."""
    return Post("source", module, spec, offers=[spec["source_id"]])


def contenders_line(contender: str, spec: Mapping[str, Any], feed: Feed) -> tuple[Sequence[Post], Make]:
    """Return the posts of one contender behind its source, and what makes their rings."""
    source, takes = source_post(spec), [spec["source_id"]]
    if contender == "ours":
        consumer = Post(
            "consumer",
            "benchmarks.contenders.ours",
            {**spec, "check_chunks": spec["busy"] > 0},
            streams={"stream": "stream"},
            waits=["stream"],
            # Its ring is made of what the source says of its stream.
            after=["source"],
            counters=posts.COUNTERS["decode"],
        )
        told = {
            "source_id": spec["source_id"],
            "timeout": 5.0,
            "data_age_limit": 1.0,
            "grid": (feed.length, feed.hop),
        }
        acquire = posts.acquire("", told, stream="stream", markers=[], takes=takes)
        if notes := spec.get("notes", 0):
            acquire, consumer = (_traced(post, notes) for post in (acquire, consumer))
        return [source, acquire, consumer], lambda name, segment, readers: _make_stream(
            spec, segment, readers
        )
    if contender == "pair":
        pull, cut = (
            Post(
                name,
                "benchmarks.contenders.pair",
                {**spec, "part": part},
                rings={"samples": "samples"},
                writes=["samples"] if part == "pull" else [],
                waits=["samples"] if part == "cut" else [],
                takes=takes if part == "pull" else [],
            )
            for name, part in (("acquire", "pull"), ("consumer", "cut"))
        )
        return [source, pull, cut], lambda name, segment, readers: _make_ring(feed, segment, readers)
    return [source, Post("consumer", PEERS[contender], spec, takes=takes)], no_ring


def _traced(post: Post, notes: int) -> Post:
    """Return the post of the same program, which notes what it loses to others."""
    spec = {**post.specify(), "traces": post.module, "notes": notes}
    return replace(post, module="benchmarks.contenders.traced", spec=spec)


def _make_stream(spec: Mapping[str, Any], segment: str, readers: int) -> Stream:
    from bci.io.lsl.source import describe

    feed, signal = Feed(**spec["feed"]), describe(spec["source_id"], 5.0).signal
    # As much as a session holds that says nothing of it.
    capacity = plan_buffer(signal, 1.0, StreamSettings(source_id=spec["source_id"]), feed.length + feed.hop)
    return Stream.create(segment, signal, readers=readers, capacity=capacity)


def _make_ring(feed: Feed, segment: str, readers: int) -> Ring:
    columns = [Column.of("samples", "f4", (feed.channels,))]
    longest = max(feed.length, feed.rate)
    return Ring.create(segment, columns, 10 * longest, longest, readers)

"""SessionRings makes the rings and streams of one session in shared memory, each when its first program opens it."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from bci.control.copying import copied_streams
from bci.control.line import named
from bci.control.roster import Roster
from bci.control.shared_memory import plan_buffer
from bci.control.snapshot_ring import SNAPSHOTS, create_snapshots
from bci.control.supervisor import RIG_MARKS
from bci.memory.events import create_events
from bci.memory.frames import frame_columns, frames_capacity, shown_columns
from bci.memory.marks import create_marks
from bci.memory.ring import Column, Ring
from bci.memory.stream import Capacity, Stream, plan_capacity
from bci.memory.trial_parts import create_drawn, create_requests, create_responses, create_stimuli
from bci.signal.types import Signal

log = logging.getLogger("bci.supervisor")


class SessionRings:
    """What makes each ring of a session, by its name in the line.

    Parameters
    ----------
    roster : Roster
        Who takes part.

    Attributes
    ----------
    buffers : dict of int to Capacity
        How much of each stream is held, as far as it was made.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.buffers: dict[int, Capacity] = {}
        self._makers = self._plan_rings()

    def _plan_rings(self) -> dict[str, Callable[[str, int], Ring | Stream]]:
        """Return what makes each ring, given its segment's name and how many programs wait on it."""
        height, width = self._roster.image_size
        latent = self._roster.latent_size
        artists = (self._roster.artist, self._roster.second_artist)
        drawn = max(0 if artist is None else artist.latent_size for artist in artists)
        makers: dict[str, Callable[[str, int], Ring | Stream]] = {
            "shown": lambda segment, readers: _pictures(
                segment, shown_columns(height, width, latent), self._roster.config.display.refresh_hz, readers
            ),
            "stimuli": lambda segment, readers: create_stimuli(segment, height, width),
            "responses": lambda segment, readers: create_responses(segment),
            "operator_keys": lambda segment, readers: create_responses(segment),
            "engine_marks": lambda segment, readers: create_marks(segment, 1),
            "requests": lambda segment, readers: create_requests(segment, drawn),
            "drawn": lambda segment, readers: create_drawn(segment, height, width),
            RIG_MARKS: lambda segment, readers: create_marks(segment, 1),
            SNAPSHOTS: lambda segment, readers: create_snapshots(segment, max(1, readers)),
        }
        for index in range(len(self._roster.config.streams)):
            makers[named("stream", self._roster.stream_name(index))] = partial(self._make_stream, index)
        for name, side, of in self._roster.all_sides():
            makers[name] = partial(self._make_side, side, of)
        for index, bundle in enumerate(self._roster.bundles):
            for name, signal in copied_streams(self._roster.config, bundle, index).values():
                makers[name] = partial(self._make_side, signal, self._roster.config.decoded_by(index))
        for ring in self._roster.marker_rings().values():
            makers[ring] = lambda segment, readers: create_events(segment, max(1, readers))
        for index in range(len(self._roster.config.decoders)):
            makers[named("frames", self._roster.decoder_name(index))] = partial(self._make_frames, index)
            makers[named("decode_marks", self._roster.decoder_name(index))] = lambda segment, readers: (
                create_marks(segment, 1)
            )
        return makers

    def make(self, name: str, segment: str, readers: int) -> Ring | Stream:
        """Make a ring or a stream of the line, given its segment's name and how many programs wait on it."""
        return self._makers[name](segment, readers)

    def _make_stream(self, index: int, segment: str, readers: int) -> Stream:
        """Make what the samples of a stream and the marks about them travel in."""
        info = self._roster.info(index)
        held = self._roster.held(index)
        recalled = self._roster.recalled(index, info.signal.rate)
        capacity = plan_buffer(info.signal, info.speed, self._roster.config.streams[index], held, recalled)
        self.buffers[index] = capacity
        level = logging.WARNING if capacity.shortened else logging.INFO
        log.log(level, "of %s, shared memory holds %s", info.source_id, capacity)
        return Stream.create(segment, info.signal, readers=max(1, readers), capacity=capacity)

    def _make_side(self, side: Signal, stream: int, segment: str, readers: int) -> Stream:
        """Make what a side output travels in; it is held as long as the stream that it speaks of."""
        settings, info = self._roster.config.streams[stream], self._roster.info(stream)
        seconds = settings.buffer_s * max(1.0, info.speed)
        if side.name == "physiology":  # a decoder that takes the place of a dead one hears the run's again
            seconds = max(seconds, self._roster.recalled(stream, info.signal.rate) / info.signal.rate)
        capacity = plan_capacity(side, seconds, settings.buffer_mb)
        return Stream.create(segment, side, readers=max(1, readers), capacity=capacity)

    def _make_frames(self, decoder: int, segment: str, readers: int) -> Ring:
        bundle = self._roster.bundles[decoder]
        hz = self._roster.speed(self._roster.config.decoded_by(decoder)) / self._roster.seconds_per_hop(
            decoder
        )
        return _pictures(segment, frame_columns(*bundle.image_size, bundle.latent_size), hz, readers)


def _pictures(segment: str, columns: Sequence[Column], hz: float, readers: int) -> Ring:
    capacity = frames_capacity(columns, hz)
    return Ring.create(segment, columns, capacity, max(1, capacity // 4), max(1, readers))

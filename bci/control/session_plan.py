"""A SessionPlan is the line of one session file: its posts, its rings, when it ends and what its summary says."""

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bci.config.session import ReplaySettings, SessionConfig
from bci.control import posts
from bci.control.environment import describe_environment
from bci.control.line import Line, Post, named
from bci.control.plan import Facts, Outcome, Rules
from bci.control.preview import require_pairs
from bci.control.shared_memory import segment_of
from bci.control.supervisor import RIG_MARKS, Supervisor
from bci.decoder.bundle import Bundle
from bci.errors import ConfigError
from bci.io.files.folder import write_json
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.source import describe
from bci.memory.events import create_events
from bci.memory.frames import frame_columns, frames_capacity, shown_columns
from bci.memory.marks import create_marks
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.memory.trial_parts import create_stimuli
from bci.session.latency import latency_picture, latency_table
from bci.signal.clock import Clock

#: After its last trial an experiment waits this long for what is decoded of it, seconds, beside an epoch's own end.
_SETTLE = 0.5

#: A sample ring grows to this for a stream that plays faster than real time, bytes.
_RING_BYTES = 256e6


def supervise(
    config: SessionConfig,
    out: Path,
    observe: Callable[[Supervisor], object] | None = None,
    clock: Clock | None = None,
) -> Supervisor:
    """Return the supervisor of a session file's session, ready to run.

    Raises
    ------
    BciError
        If a bundle cannot be loaded, or the session's line cannot be.
    """
    return Supervisor(SessionPlan(config), out, observe, clock)


class SessionPlan:
    """What a supervisor runs for one session file; see `bci.control.plan.Plan`.

    Parameters
    ----------
    config : SessionConfig
        The session file.

    Attributes
    ----------
    bundles : tuple of Bundle
        Each decoder's.
    markers : tuple of tuple of str
        Source ids of the marker streams that are taken along with each stream.
    line : Line
        Its programs. What they are told rests, in part, on streams that are on the network only when it runs.

    Raises
    ------
    BciError
        If a bundle cannot be loaded, there is nothing for a preview to pair, or a bundle decodes epochs and there are
        no markers.
    """

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self.name = config.name
        self.key = "bci" + uuid.uuid4().hex[:8]
        rules = config.supervision
        self.rules = Rules(rules.restarts, rules.hung_after_s, rules.when_latched)
        self.bundles = tuple(Bundle.load(decoder.bundle) for decoder in config.decoders)
        if config.preview is not None:
            require_pairs(self.bundles[config.driver])
        self.markers = tuple(self._markers_of(index) for index in range(len(config.streams)))
        for index in range(len(config.decoders)):
            self.events_of(index)
        self._infos: dict[int, StreamInfo] = {}
        self._told: dict[str, Mapping[str, Any]] = {}
        self._written = False
        self._makers = self._plan_rings()
        self.line = Line(self._posts(), outside=(RIG_MARKS,))

    # -- names -------------------------------------------------------------------------------------------

    def stream_name(self, index: int) -> str:
        """Return what tells a stream apart from the first; empty for the first."""
        return (self.config.streams[index].name or "") if index else ""

    def decoder_name(self, index: int) -> str:
        """Return what tells a decoder apart from the first; empty for the first."""
        return (self.config.decoders[index].name or "") if index else ""

    def source_id(self, index: int) -> str:
        """Return the source id of a stream; of one that a source of ours makes, one that is nobody else's."""
        stream = self.config.streams[index]
        own = f"{self.key}-{self.name}" + (f"-{stream.name}" if index else "")
        return stream.source_id or own

    def replay_markers(self, index: int) -> str | None:
        """Return the source id of the markers that a recording played as a stream may bring along."""
        return f"{self.source_id(index)}-markers"

    def events_of(self, decoder: int) -> str | None:
        """Return the ring of the events that a decoder cuts epochs around; None where it needs none.

        Raises
        ------
        ConfigError
            If it needs events and no stream of markers is there.
        """
        bundle, settings = self.bundles[decoder], self.config.decoders[decoder]
        if not bundle.cut.needs_markers:
            return None
        ids = [marker for of_stream in self.markers for marker in of_stream]
        if settings.markers is not None:
            if settings.markers not in ids:
                raise ConfigError(
                    f"[decoder] markers names {settings.markers!r}, which no stream takes along; there are "
                    f"{', '.join(ids) or 'none'}. Give it in [stream] markers."
                )
            return self._marker_rings()[settings.markers]
        own = self.markers[self.config.decoded_by(decoder)]
        if not (own or ids):
            raise ConfigError(
                f"bundle {bundle.name!r} decodes epochs around markers ({bundle.spec.window}), and the session names "
                "no stream of markers. Give [stream] markers (bci streams lists what is there), or an [experiment]."
            )
        return self._marker_rings()[(own or ids)[0]]

    def _marker_rings(self) -> dict[str, str]:
        """Return the rings of all marker streams in the line, by source id."""
        ids = [marker for of_stream in self.markers for marker in of_stream]
        return {marker: posts.role("markers", place) for place, marker in enumerate(ids)}

    def _markers_of(self, stream: int) -> tuple[str, ...]:
        """Return the source ids of the markers that are taken along with a stream."""
        given = self.config.streams[stream].marker_ids
        if given:
            return given
        first = stream == self.config.decoded_by(self.config.driver)
        if first and self.config.experiment is not None:
            # The display's flips are what epochs are cut around; it is there before acquire looks for them.
            return (self.config.display.flip_stream,)
        if isinstance(self.config.source_of(stream), ReplaySettings) and self._replay_has_markers(stream):
            return (self.replay_markers(stream),)
        return ()

"""A SessionPlan is the line of one session file: its posts, its rings, when it ends and what its summary says."""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from bci.config.session import SessionConfig
from bci.control import posts
from bci.control.environment import describe_environment
from bci.control.line import Line, Post, named
from bci.control.plan import Facts, Rules, SessionOutcome
from bci.control.preview import require_pairs
from bci.control.shared_memory import plan_buffer, segment_of
from bci.control.supervisor import RIG_MARKS, Supervisor
from bci.decoder.bundle import Bundle
from bci.errors import ConfigError
from bci.io.files.folder import write_json
from bci.io.files.run import save_run
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.source import describe
from bci.live.sides import side_role
from bci.memory.events import create_events
from bci.memory.frames import frame_columns, frames_capacity, shown_columns
from bci.memory.marks import create_marks
from bci.memory.ring import Column, Ring
from bci.memory.stream import Capacity, Stream, plan_capacity
from bci.memory.trial_parts import create_drawn, create_requests, create_stimuli
from bci.session.latency import latency_picture, latency_table
from bci.signal.clock import Clock
from bci.signal.run import NO_RUN
from bci.signal.types import Signal

#: After its last trial an experiment waits this long for what is decoded of it, seconds, beside an epoch's own end.
_SETTLE = 0.5

log = logging.getLogger("bci.supervisor")


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
        self.run = config.run.load() if config.run is not None else NO_RUN
        if config.preview is not None:
            require_pairs(self.bundles[config.driver])
        self.markers = tuple(self._markers_of(index) for index in range(len(config.streams)))
        for index in range(len(config.decoders)):
            self.events_of(index)
        self._infos: dict[int, StreamInfo] = {}
        self._told: dict[str, Mapping[str, Any]] = {}
        self._buffers: dict[int, Capacity] = {}
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
        """Return the source id of a stream; for a stream of our own source, one that no other program uses."""
        stream = self.config.streams[index]
        own = f"{self.key}-{self.name}" + (f"-{stream.name}" if index else "")
        return stream.source_id or own

    def sides(self, decoder: int) -> tuple[Signal, ...]:
        """Return what the steps of a decoder's pipeline say beside the samples."""
        bundle = self.bundles[decoder]
        return bundle.pipeline.start(bundle.signal).sides

    def side_name(self, decoder: int, side: Signal) -> str:
        """Return what a side output's stream is called in the line and in the recording."""
        return named(side.name, self.decoder_name(decoder))

    def _all_sides(self) -> list[tuple[str, Signal, int]]:
        """Return every side output: its stream's name, what it carries, and the stream that it speaks of."""
        return [
            (self.side_name(decoder, side), side, self.config.decoded_by(decoder))
            for decoder in range(len(self.bundles))
            for side in self.sides(decoder)
        ]

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
        # What a simulator sends beside its samples is no event.
        silent = [
            _own_markers(self.source_id(i))
            for i in range(len(self.config.streams))
            if (source := self.config.source_of(i)) is not None and source.kind != "replay"
        ]
        ids = [marker for marker in ids if marker not in silent]
        own = [marker for marker in self.markers[self.config.decoded_by(decoder)] if marker in ids]
        if not ids:
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
        source = self.config.source_of(stream)
        # What a source of ours plays or simulates has a stream of markers beside it; a participant in silico has none.
        return () if source is None or source.kind == "insilico" else (_own_markers(self.source_id(stream)),)

    # -- the posts ---------------------------------------------------------------------------------------

    def _posts(self) -> list[Post]:
        """Return the programs of the line, from the sample to the disk."""
        config = self.config
        streams, decoders = range(len(config.streams)), range(len(config.decoders))
        driver = config.driver
        frames = named("frames", self.decoder_name(driver))
        marks = named("decode_marks", self.decoder_name(driver))
        rings = self._marker_rings()
        line: list[Post] = []
        acquirers = [named("acquire", self.stream_name(index)) for index in streams]
        if config.experiment is not None:
            latents = config.experiment.draws_latents
            line.append(posts.engine(self._engine_spec, frames=frames, latents=latents, after=acquirers))
            if latents:
                line.append(posts.render(self._decode_spec(driver)))
        for index in streams:
            line.append(
                posts.acquire(
                    self.stream_name(index),
                    partial(self._acquire_spec, index),
                    stream=named("stream", self.stream_name(index)),
                    markers=[rings[marker] for marker in self.markers[index]],
                    takes=[self.source_id(index), *self.markers[index]],
                )
            )
        for index in streams:
            source = config.source_of(index)
            if source is not None:
                # A participant in silico has no markers; the others' are offered whether they are taken or not.
                offers = [self.source_id(index), _own_markers(self.source_id(index))]
                spec = partial(self._source_spec, index)
                line.append(posts.source(self.stream_name(index), source.kind, spec, offers))
        for index in decoders:
            line.append(
                posts.decode(
                    self.decoder_name(index),
                    self._decode_spec(index),
                    stream=named("stream", self.stream_name(config.decoded_by(index))),
                    markers=self.events_of(index),
                    shown=config.experiment is not None,
                    sides={side_role(side.name): self.side_name(index, side) for side in self.sides(index)},
                )
            )
        line.append(
            posts.display(
                config.display.kind,
                self._display_spec,
                frames=frames,
                stimuli=config.experiment is not None,
                offers=[config.display.flip_stream],
            )
        )
        for publication in config.publications:
            decoder = config.decoder_index(publication.decoder)
            values = {"values": self.bundles[decoder].spec.value_names}
            published = publication.model_dump(exclude={"decoder"}) | values
            line.append(posts.publish(self.decoder_name(decoder), published))
        if config.preview is not None:
            line.append(posts.preview(self._preview_spec, frames=frames, marks=marks))
        line.append(
            posts.record(
                self._record_spec,
                streams=[named("stream", self.stream_name(index)) for index in streams]
                + [name for name, _, _ in self._all_sides()],
                markers=list(rings.values()),
                decoders=[self.decoder_name(index) for index in decoders],
                rings=["shown", RIG_MARKS],
                dispensable=config.recording.if_lost == "continue",
            )
        )
        # The facts of a stream that programs need are known when the source that makes it is ready.
        sources = tuple(post.name for post in line if post.kind == "source")
        return [post if post.kind == "source" else _later(post, sources) for post in line]

    # -- what they are told ------------------------------------------------------------------------------

    def _source_spec(self, stream: int) -> dict[str, Any]:
        source = self.config.source_of(stream)
        assert source is not None
        name = self.stream_name(stream)
        spec = source.model_dump() | {"source_id": self.source_id(stream)}
        if source.kind == "insilico":
            return spec | {"ring": None}
        decoders = range(len(self.config.decoders))
        followers = [
            named("decode", self.decoder_name(i)) for i in decoders if self.config.decoded_by(i) == stream
        ]
        spec |= {"ring": segment_of(self.key, self.line, named("stream", name)), "followers": followers}
        if source.kind == "replay":
            spec["marker_consumer"] = _own_markers(self.source_id(stream)) in self.markers[stream]
        return spec

    def _acquire_spec(self, stream: int) -> dict[str, Any]:
        decoders = range(len(self.config.decoders))
        # A source asked for one grid can serve one: that of the first decoder of the stream.
        cuts = [self.bundles[i].cut for i in decoders if self.config.decoded_by(i) == stream]
        return {
            "source_id": self.source_id(stream),
            "timeout": self.config.streams[stream].timeout_s,
            "data_age_limit": self._data_age_limit(stream),
            "markers": self.markers[stream],
            "grid": (cuts[0].grid.start, cuts[0].grid.step) if cuts else None,
        }

    def _decode_spec(self, decoder: int) -> dict[str, Any]:
        settings = self.config.decoders[decoder]
        return {
            "bundle": str(settings.bundle),
            "provider": settings.provider,
            "audit": settings.audit,
        }

    def _display_spec(self) -> dict[str, Any]:
        display, driver = self.config.display, self.config.driver
        stream = self.config.decoded_by(driver)
        acquirer = named("acquire", self.stream_name(stream))
        spec = display.model_dump(exclude={"decoder"}) | {
            "hop_seconds": self.seconds_per_hop(driver) / self.info(stream).speed,
            "data_age_limit": self._data_age_limit(stream),
            "caption": self._caption(),
            "watch": (acquirer, named("decode", self.decoder_name(driver))),
            "data_from": (acquirer,),
        }
        if self.config.experiment is not None:
            spec |= {"engine": "engine", "flip_markers": True}
        return spec

    def _engine_spec(self) -> dict[str, Any]:
        assert self.config.experiment is not None
        tail = _SETTLE + max(bundle.cut.tail_s for bundle in self.bundles)
        palette = self.bundles[self.config.driver].palette
        return self.config.experiment.model_dump() | palette | {"tail_s": tail}

    def _preview_spec(self) -> dict[str, Any]:
        assert self.config.preview is not None
        display = self.config.display
        told = self._told.get("source", {})
        who = f", {told['recording']}" if told.get("simulated") and told.get("recording") else ""
        return self.config.preview.model_dump() | {
            "caption": self._caption() + who,
            "participant_monitor": display.monitor,
            "screen": display.kind != "headless",
        }

    def _record_spec(self) -> dict[str, Any]:
        markers = {
            posts.role("markers", place): {"source_id": marker}
            for place, marker in enumerate(self._marker_rings())
        }
        streams = {
            posts.role("stream", index): asdict(self.info(index)) | {"role": self.stream_name(index)}
            for index in range(len(self.config.streams))
        }
        for place, (name, side, of) in enumerate(self._all_sides(), len(streams)):
            info = StreamInfo(side, f"{self.key}-{name}", kind="Quality", speed=self.info(of).speed)
            streams[posts.role("stream", place)] = asdict(info) | {"role": name}
        return {
            "streams": streams,
            "markers": markers,
            "decoders": [self.decoder_name(index) for index in range(len(self.config.decoders))],
            "on_disk_error": self.config.recording.on_disk_error,
        }

    def _caption(self) -> str:
        """Say in a few words what will be shown, and plainly whether it is simulated."""
        driver = self.config.decoded_by(self.config.driver)
        told = self._told.get(named("source", self.stream_name(driver)), {})
        if told.get("simulated"):
            kind = getattr(self.config.source_of(driver), "modality", "eeg")
            return f"{self.name}: SIMULATED {'fMRI' if kind == 'fmri' else kind.upper()}"
        return f"{self.name}: {told.get('recording') or self.source_id(driver)}"

    # -- what is known of its streams --------------------------------------------------------------------

    def info(self, stream: int) -> StreamInfo:
        """Return what a stream says of itself; it is looked for at the first call.

        Raises
        ------
        BciError
            If it is not there, or a bundle that is to decode it expects another signal.
        """
        if stream not in self._infos:
            settings = self.config.streams[stream]
            info = describe(self.source_id(stream), settings.timeout_s)
            for decoder, bundle in enumerate(self.bundles):
                if self.config.decoded_by(decoder) == stream:
                    bundle.adapt(info.signal, self.run)
            self._infos[stream] = info
        return self._infos[stream]

    @property
    def streams(self) -> dict[str, StreamInfo]:
        """What each stream in shared memory says of itself, as far as that is known."""
        return {named("stream", self.stream_name(index)): info for index, info in sorted(self._infos.items())}

    def seconds_per_hop(self, decoder: int) -> float:
        """Return the seconds between two windows of a decoder at the signal's own speed."""
        bundle = self.bundles[decoder]
        return bundle.hop * bundle.pipeline.ratio(bundle.signal) / bundle.signal.rate

    def held(self, stream: int) -> int:
        """Return the most samples of a stream that one of its decoders reads in one piece."""
        cuts = [b.cut.held for i, b in enumerate(self.bundles) if self.config.decoded_by(i) == stream]
        return max(cuts, default=0)

    def _data_age_limit(self, stream: int) -> float | None:
        """Return after how long without data a stream counts as stalled; the default where nothing is shown of it."""
        if stream != self.config.decoded_by(self.config.driver):
            return None
        # Volumes come seconds apart: what is late for an amplifier is in time for a scanner.
        rate = self.bundles[self.config.driver].signal.rate
        return self.config.display.data_age_seconds_at(1 / (rate * self.info(stream).speed))

    def _speed(self, stream: int) -> float:
        """Return how fast a stream is played; a participant in silico has its screen before it has its stream."""
        source = self.config.source_of(stream)
        if source is not None and source.kind == "insilico":
            return float(source.speed)
        return self.info(stream).speed

    # -- shared memory -----------------------------------------------------------------------------------

    def _plan_rings(self) -> dict[str, Callable[[str, int], Ring | Stream]]:
        """Return what makes each ring, given its segment's name and how many programs wait on it."""
        driver = self.config.driver
        height, width = self.bundles[driver].image_size
        latent = self.bundles[driver].latent_size
        makers: dict[str, Callable[[str, int], Ring | Stream]] = {
            "shown": lambda segment, readers: _pictures(
                segment, shown_columns(height, width, latent), self.config.display.refresh_hz, readers
            ),
            "stimuli": lambda segment, readers: create_stimuli(segment, height, width),
            "requests": lambda segment, readers: create_requests(segment, latent),
            "drawn": lambda segment, readers: create_drawn(segment, height, width),
            RIG_MARKS: lambda segment, readers: create_marks(segment, 1),
        }
        for index in range(len(self.config.streams)):
            makers[named("stream", self.stream_name(index))] = partial(self._make_stream, index)
        for name, side, of in self._all_sides():
            makers[name] = partial(self._make_side, side, of)
        for ring in self._marker_rings().values():
            makers[ring] = lambda segment, readers: create_events(segment, max(1, readers))
        for index in range(len(self.config.decoders)):
            makers[named("frames", self.decoder_name(index))] = partial(self._make_frames, index)
            makers[named("decode_marks", self.decoder_name(index))] = lambda segment, readers: create_marks(
                segment, 1
            )
        return makers

    def make(self, name: str, segment: str, readers: int) -> Ring | Stream:
        """Make a ring or a stream of the line; see `bci.control.plan.Plan`."""
        return self._makers[name](segment, readers)

    def _make_stream(self, index: int, segment: str, readers: int) -> Stream:
        """Make what the samples of a stream and the marks about them travel in."""
        info = self.info(index)
        capacity = plan_buffer(info.signal, info.speed, self.config.streams[index], self.held(index))
        self._buffers[index] = capacity
        level = logging.WARNING if capacity.shortened else logging.INFO
        log.log(level, "of %s, shared memory holds %s", info.source_id, capacity)
        return Stream.create(segment, info.signal, readers=max(1, readers), capacity=capacity)

    def _make_side(self, side: Signal, stream: int, segment: str, readers: int) -> Stream:
        """Make what a side output travels in; it is held as long as the stream that it speaks of."""
        settings = self.config.streams[stream]
        capacity = plan_capacity(
            side, settings.buffer_s * max(1.0, self.info(stream).speed), settings.buffer_mb
        )
        return Stream.create(segment, side, readers=max(1, readers), capacity=capacity)

    def _make_frames(self, decoder: int, segment: str, readers: int) -> Ring:
        bundle = self.bundles[decoder]
        hz = self._speed(self.config.decoded_by(decoder)) / self.seconds_per_hop(decoder)
        return _pictures(segment, frame_columns(*bundle.image_size, bundle.latent_size), hz, readers)

    # -- while it runs, and after ------------------------------------------------------------------------

    def begin(self, folder: Path) -> None:
        """Keep what the session fixes beyond its bundles, where decoders and reproduction find it."""
        save_run(self.run, folder)

    def ready(self, stage: Sequence[Post], told: Facts, folder: Path) -> None:
        """Take in what programs told when they were ready; write down what ran once every decoder is."""
        self._told |= told
        decoders = [post.name for post in self.line.of_kind("decode")]
        if not self._written and all(name in self._told for name in decoders):
            self._written = True
            self._write_facts(folder, decoders)

    def _write_facts(self, folder: Path, decoders: Sequence[str]) -> None:
        write_json(folder / "config.json", self.config.model_dump(mode="json"))
        ran = [
            {
                "bundle": {"folder": settings.bundle.name, "hash": bundle.hash},
                "decoder": self._told[name].get("environment", {}),
            }
            for name, settings, bundle in zip(decoders, self.config.decoders, self.bundles, strict=True)
        ]
        environment = describe_environment() | ran[0]
        if len(ran) > 1:
            names = [str(settings.name) for settings in self.config.decoders]
            environment |= {"decoders": dict(zip(names, ran, strict=True))}
        write_json(folder / "environment.json", environment)

    def ended(self, facts: Facts, elapsed: float) -> str:
        """Return what has ended the session; empty while it goes on."""
        seconds = self.config.seconds
        sources = [post.name for post in self.line.of_kind("source")]
        if facts["display"].get("closed"):
            return "the window was closed"
        if seconds is not None and elapsed >= seconds:
            return f"{seconds:g} s have passed"
        # Streams of other lengths are played side by side: the last of them ends it.
        if sources and all("sent" in facts[name] for name in sources):
            return "the recording has ended"
        if "engine" in self.line and facts["engine"].get("finished"):
            return "the experiment has ended"
        return ""

    def summarise(self, outcome: SessionOutcome) -> dict[str, Any]:
        """Return the summary; the first decoder's figures stand on top, each one's own below ``decoders``."""
        snapshot, folder = outcome.snapshot, outcome.folder
        counters = {name: program.counters for name, program in snapshot.programs.items()}
        decoders = {
            settings.name or "decode": dict(counters[named("decode", self.decoder_name(index))])
            for index, settings in enumerate(self.config.decoders)
        }
        streams: dict[str, dict[str, Any]] = {
            settings.name or "stream": dict(counters[named("acquire", self.stream_name(index))])
            | {
                "source_id": self.source_id(index),
                "markers_from": list(self.markers[index]),
                "buffer": self._buffers[index].facts(),
            }
            for index, settings in enumerate(self.config.streams)
        }
        first = counters[named("decode", self.decoder_name(0))]
        decoded = counters[named("acquire", self.stream_name(self.config.decoded_by(0)))]
        told = self._told.get("source", {})
        latency = latency_table(folder)
        write_json(folder / "latency.json", latency)
        latency_picture(folder, folder / "latency.png")
        return {
            "session": str(folder),
            "status": "safe" if outcome.failures else "recovered" if snapshot.restarts else "done",
            "ended_by": snapshot.ended_by,
            "latched": snapshot.latched,
            "failures": outcome.failures,
            "restarts": snapshot.restarts,
            "simulated": bool(told.get("simulated")),
            "recording": told.get("recording", ""),
            **{key: first[key] for key in ("windows", "reconstructions", "skipped", "invalid")},
            "samples": decoded["samples"],
            "samples_lost": sum(counts["lost"] for counts in (*streams.values(), *decoders.values())),
            "buffer": self._buffers[self.config.decoded_by(0)].facts(),
            "flips": counters["display"]["flips"],
            "dropped_flips": counters["display"]["dropped"],
            "latency_ms": latency,
            "streams": streams,
            "decoders": decoders,
            "programs": dict(outcome.facts),
        }


def _own_markers(source_id: str) -> str:
    """Return the source id of the markers that a source of ours sends beside its stream."""
    return f"{source_id}-markers"


def _later(post: Post, sources: Sequence[str]) -> Post:
    """Return a post that is started only when the sources are ready."""
    return replace(post, after=(*post.after, *sources))


def _pictures(segment: str, columns: Sequence[Column], hz: float, readers: int) -> Ring:
    capacity = frames_capacity(columns, hz)
    return Ring.create(segment, columns, capacity, max(1, capacity // 4), max(1, readers))

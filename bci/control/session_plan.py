"""A SessionPlan is the line of one session file: its posts, when it ends and what its summary says."""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bci.config.session import SessionConfig
from bci.control import posts
from bci.control.conclusion import Conclusion, judge
from bci.control.copying import copied_streams
from bci.control.environment import describe_environment
from bci.control.line import Line, Post, named
from bci.control.mqtt.installed import require_mqtt
from bci.control.page.installed import require_page
from bci.control.plan import Facts, Rules, SessionOutcome
from bci.control.preview import require_pairs
from bci.control.roster import Roster, own_markers
from bci.control.session_rings import SessionRings
from bci.control.session_specs import SessionSpecs
from bci.control.snapshot_ring import SNAPSHOTS
from bci.control.stream_words import stream_sentences
from bci.control.supervisor import RIG_MARKS, Supervisor
from bci.decoder.spec import AT_CHANCE
from bci.errors import DiskError, RecordingError
from bci.io.files.folder import write_json, writing
from bci.io.files.run import save_run
from bci.io.lsl.metadata import StreamInfo
from bci.live.sides import side_role
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.session.adapted import write_plans
from bci.signal.clock import Clock
from bci.signal.types import SETTLING

_log = logging.getLogger("bci.session_plan")


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
    roster : Roster
        Who takes part.
    line : Line
        Its programs. What they are told rests, in part, on streams that are on the network only when it runs.

    Raises
    ------
    BciError
        As `Roster`, and if there is nothing for a preview to pair.
    """

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self.name = config.name
        self.key = "bci" + uuid.uuid4().hex[:8]
        rules = config.supervision
        self.rules = Rules(rules.restarts, rules.hung_after_s, rules.when_latched)
        self.control = config.control
        self.roster = Roster(config, self.key)
        if config.preview is not None:
            for index in config.feeds:
                require_pairs(self.roster.bundles[index])
        self._specs, self._rings = SessionSpecs(self.roster), SessionRings(self.roster)
        self._written = False
        self.line = self._specs.line = Line(self._posts(), outside=(RIG_MARKS, SNAPSHOTS))

    @property
    def streams(self) -> Mapping[str, StreamInfo]:
        """What each stream in shared memory says of itself, as far as that is known."""
        return self.roster.infos

    @property
    def page_url(self) -> str:
        """Where the operator's page will be; empty where there is none."""
        return self._specs.page_url if self.config.page is not None else ""

    def make(self, name: str, segment: str, readers: int) -> Ring | Stream:
        """Make a ring or a stream of the line; see `bci.control.plan.Plan`."""
        return self._rings.make(name, segment, readers)

    def _posts(self) -> list[Post]:
        """Return the programs of the line, from the sample to the disk."""
        config = self.config
        streams, decoders = range(len(config.streams)), range(len(config.decoders))
        frames, marks = (
            [named(kind, self.roster.decoder_name(decoder)) for decoder in config.feeds]
            for kind in ("frames", "decode_marks")
        )
        rings = self.roster.marker_rings()
        experiment = ["responses", "engine_marks"] if config.experiment is not None else []
        line: list[Post] = []
        acquirers = [named("acquire", self.roster.stream_name(index)) for index in streams]
        scanned = {i for i in streams if getattr(config.source_of(i), "scanner", None) is not None}
        scanners = [named("scanner", self.roster.stream_name(index)) for index in scanned]
        if config.experiment is not None:
            latents = config.experiment.draws_latents
            preview, after = config.preview is not None, [*acquirers, *scanners]
            line.append(
                posts.engine(self._specs.engine, frames=frames, latents=latents, preview=preview, after=after)
            )
            if latents:
                line.append(posts.render(self._specs.render))
        for index in streams:
            line.append(
                posts.acquire(
                    self.roster.stream_name(index),
                    partial(self._specs.acquire, index),
                    stream=named("stream", self.roster.stream_name(index)),
                    markers=[rings[marker] for marker in self.roster.markers[index]],
                    takes=[self.roster.source_id(index), *map(str, self.roster.markers[index])],
                )
            )
        for index in streams:
            source = config.source_of(index)
            if source is not None:
                # A participant in silico has no markers; the others' are offered whether they are taken or not.
                offers = [self.roster.source_id(index), own_markers(self.roster.source_id(index))]
                spec, name = partial(self._specs.source, index), self.roster.stream_name(index)
                kind = "scanned" if index in scanned else source.kind
                line.append(posts.source(name, kind, spec, offers))
                if index in scanned:
                    line.append(posts.scanner(name, spec, after=acquirers))
        for index in decoders:
            heard = self.roster.heard_by(index)
            line.append(
                posts.decode(
                    self.roster.decoder_name(index),
                    self._specs.decode(index) if heard is None else partial(self._specs.decode, index),
                    stream=named("stream", self.roster.stream_name(config.decoded_by(index))),
                    markers=self.roster.events_of(index),
                    shown=config.experiment is not None,
                    physiology=heard,
                    copies=self._copies(index),
                    sides={
                        side_role(side.name): self.roster.side_name(index, side)
                        for side in self.roster.sides(index)
                    },
                )
            )
        line.append(
            posts.display(
                config.display.kind,
                self._specs.display,
                frames=frames,
                stimuli=config.experiment is not None,
                offers=[config.display.flip_stream],
            )
        )
        for publication in config.publications:
            decoder = config.decoder_index(publication.decoder)
            line.append(
                posts.publish(
                    self.roster.decoder_name(decoder),
                    partial(self._specs.publish, publication, decoder),
                    self._copies(decoder),
                )
            )
        if config.preview is not None:
            line.append(posts.preview(self._specs.preview, frames=frames, marks=marks))
        line.append(
            posts.record(
                self._specs.record,
                streams=[named("stream", self.roster.stream_name(index)) for index in streams]
                + [name for name, _, _ in self.roster.all_sides()],
                markers=[*rings.values(), *experiment[:1]],
                decoders=[self.roster.decoder_name(index) for index in decoders],
                rings=["shown", RIG_MARKS, *experiment[1:]],
                dispensable=config.recording.if_lost == "continue",
            )
        )
        # The facts of a stream that programs need are known when the source that makes it is ready.
        sources = tuple(post.name for post in line if post.kind == "source")
        line += self._control_posts()
        if config.page is not None:
            require_page()
            line.append(posts.page(self._specs.page))
        return [post if post.kind == "source" else _later(post, sources) for post in line]

    def _copies(self, decoder: int) -> dict[str, str]:
        copied = copied_streams(self.config, self.roster.bundles[decoder], decoder)
        return {role: name for role, (name, _) in copied.items()}

    def _control_posts(self) -> list[Post]:
        """Return the programs of the control plane; listed last, they stop last."""
        if not self.control.on:
            return []
        require_mqtt(embedded=self.control.embedded)
        control = posts.control(self._specs.control)
        return [control, posts.broker(self._specs.broker)] if self.control.embedded else [control]

    def begin(self, folder: Path) -> None:
        """Keep what the session fixes beyond its bundles, where decoders and reproduction find it."""
        for sentence in self._at_chance():
            _log.warning("%s", sentence)
        save_run(self.roster.run, folder)
        write_plans(folder, self.roster.adaptations)

    def ready(self, stage: Sequence[Post], told: Facts, folder: Path) -> None:
        """Take in what programs told when they were ready; write down what ran once every decoder is."""
        self._specs.facts |= told
        decoders = [post.name for post in self.line.of_kind("decode")]
        if not self._written and all(name in self._specs.facts for name in decoders):
            self._written = True
            self._write_facts(folder, decoders)

    def _write_facts(self, folder: Path, decoders: Sequence[str]) -> None:
        write_json(folder / "config.json", self.config.model_dump(mode="json"))
        ran = [
            {
                "bundle": {"folder": settings.bundle.name, "hash": bundle.hash},
                "decoder": self._specs.facts[name].get("environment", {}),
            }
            for name, settings, bundle in zip(
                decoders, self.config.decoders, self.roster.bundles, strict=True
            )
        ]
        environment = describe_environment() | (ran[0] if ran else {})
        if len(ran) > 1:
            names = [str(settings.name) for settings in self.config.decoders]
            environment |= {"decoders": dict(zip(names, ran, strict=True))}
        artist = self.roster.artist
        if artist is not None and artist is not self.roster.driver:
            environment |= {"drawn_by": {"folder": artist.folder.name, "hash": artist.hash}}
        if (second := self.roster.second_artist) is not None:
            environment |= {"also_drawn_by": {"folder": second.folder.name, "hash": second.hash}}
        if (expects := self.roster.encoding) is not None:
            environment |= {"encoding": {"folder": expects.folder.name, "hash": expects.hash}}
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
        if "engine" in self.line and (by := facts["engine"].get("aborted_by")):
            return f"the experiment was aborted by {by}"
        return ""

    def summarise(self, outcome: SessionOutcome) -> dict[str, Any]:
        """Return the summary; the first decoder's figures stand on top, each one's own below ``decoders``."""
        snapshot, folder = outcome.snapshot, outcome.folder
        counters = {name: program.counters for name, program in snapshot.programs.items()}
        decoders = {
            settings.name or "decode": dict(counters[named("decode", self.roster.decoder_name(index))])
            for index, settings in enumerate(self.config.decoders)
        }
        streams: dict[str, dict[str, Any]] = {
            settings.name or "stream": dict(counters[named("acquire", self.roster.stream_name(index))])
            | {
                "source_id": self.roster.source_id(index),
                "latency_s": settings.latency_s,
                "markers_from": [str(address) for address in self.roster.markers[index]],
                "buffer": self._rings.buffers[index].facts(),
            }
            for index, settings in enumerate(self.config.streams)
        }
        first: Mapping[str, int] = counters.get(named("decode", ""), {})
        received = self.config.decoded_by(0) if self.config.decoders else self.config.shown_stream
        source = self._specs.facts.get("source", {})
        names = self._stream_names()
        # Imported only now: what reads recordings takes a while, and a session's start would wait for it.
        from bci.session.latency import latency_table

        latency = latency_table(folder)
        failures = [*outcome.failures, *(_draw_latency(folder, latency) if self.config.decoders else ())]
        experiment, unwritten = self._write_events(
            folder, sum(counts["markers"] for counts in streams.values())
        )
        failures += unwritten
        conclusion = self._judge(replace(outcome, failures=failures))
        return {
            "session": str(folder),
            "status": conclusion.status,
            "told": [
                *self._at_chance(),
                *self._collected(counters),
                *stream_sentences(self.config.streams, streams),
                *conclusion.sentences,
            ],
            "ended_by": snapshot.ended_by,
            "latched": snapshot.latched,
            "failures": failures,
            "restarts": snapshot.restarts,
            "simulated": bool(source.get("simulated")),
            "recording": source.get("recording", ""),
            **{key: first.get(key, 0) for key in ("windows", "reconstructions", "skipped", "invalid")},
            "samples": counters[named("acquire", self.roster.stream_name(received))]["samples"],
            "no_data": {
                names[program]: silence.as_json() for program, silence in outcome.at_end.silences.items()
            },
            "samples_lost": sum(counts["lost"] for counts in (*streams.values(), *decoders.values())),
            "buffer": self._rings.buffers[received].facts(),
            "flips": counters["display"]["flips"],
            "dropped_flips": counters["display"]["dropped"],
            "latency_ms": latency,
            "streams": streams,
            "decoders": decoders,
            **({"control": dict(counters["control"])} if self.control.on else {}),
            **experiment,
            "programs": dict(outcome.facts),
        }

    def _write_events(self, folder: Path, markers: int) -> tuple[dict[str, Any], list[str]]:
        """Leave the table of events, if there were any; return what the summary says of it, and why there is none."""
        if self.config.experiment is None and not markers:
            return {}, []
        from bci.session.events_table import write_events  # only now, as above

        try:
            return {"events" if self.config.experiment is None else "experiment": write_events(folder)}, []
        except (RecordingError, DiskError) as error:
            return {}, [str(error)]

    def _at_chance(self) -> list[str]:
        """Return a sentence for each decoder that was written although it read nothing."""
        return [
            f"Bundle {bundle.name}: {AT_CHANCE} on what it was not trained on; its pictures say nothing."
            for bundle in self.roster.bundles
            if bundle.spec.at_chance
        ]

    def _collected(self, counters: Mapping[str, Mapping[str, int]]) -> list[str]:
        """Return what a session without a decoder is for, and how many trials it has shown."""
        if self.config.decoders:
            return []
        engine = counters["engine"]
        shown = engine["done"] - engine["aborted"]
        aborted = f", {engine['aborted']} aborted" if engine["aborted"] else ""
        return [f"Nothing was decoded: this session collects. {shown} trials were shown{aborted}."]

    def _stream_names(self) -> dict[str, str]:
        """Return the source id of what each acquire program receives."""
        return {
            named("acquire", self.roster.stream_name(index)): self.roster.source_id(index)
            for index in range(len(self.config.streams))
        }

    def _ended_sources(self, facts: Facts) -> set[str]:
        """Return the acquire programs whose source has played all that it had."""
        return {
            named("acquire", self.roster.stream_name(index))
            for index in range(len(self.config.streams))
            if "sent" in facts.get(named("source", self.roster.stream_name(index)), {})
        }

    def _judge(self, outcome: SessionOutcome) -> Conclusion:
        programs = outcome.snapshot.programs
        recorded = programs["record"].counters
        decoders = {
            self.roster.decoder_name(index) or "the decoder": named("decode", self.roster.decoder_name(index))
            for index in range(len(self.config.decoders))
        }
        return judge(
            outcome,
            names=self._stream_names(),
            shown={
                named("acquire", self.roster.stream_name(stream))
                for stream in (self.config.shown_stream, *map(self.config.decoded_by, self.config.feeds))
            },
            decoded={name: _shown(outcome, post) for name, post in decoders.items()},
            made={name: programs[post].counters["reconstructions"] for name, post in decoders.items()},
            ended=self._ended_sources(outcome.facts),
            recorded=recorded["samples"] + recorded["events"],
            came_back_s=self.rules.hung_after_s,
        )


def _shown(outcome: SessionOutcome, decoder: str) -> int:
    """Return how many reconstructions of a decoder could be shown; all count while its filters had not settled yet."""
    counters = outcome.snapshot.programs[decoder].counters
    newest = outcome.at_end.newest.get(decoder)
    settling = newest is not None and newest.reason == SETTLING
    return counters["reconstructions"] - (0 if settling else counters["invalid"])


def _draw_latency(folder: Path, latency: Mapping[str, Any]) -> list[str]:
    """Leave the table and the picture of latency; return why that was not possible."""
    from bci.session.latency_picture import latency_picture

    try:
        write_json(folder / "latency.json", latency)
        with writing(folder / "latency.png"):
            latency_picture(folder, folder / "latency.png")
    except DiskError as error:
        return [str(error)]
    return []


def _later(post: Post, sources: Sequence[str]) -> Post:
    """Return a post that is started only when the sources are ready."""
    return replace(post, after=(*post.after, *sources))

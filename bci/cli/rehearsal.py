"""A rehearsal opens all that a session needs before any of its programs is started.

`bci check` says what it finds; `bci run` goes on only where it finds nothing wrong. So both refuse one file in the same
words, and what only running could tell is what happens later.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci.cli.needing import needing
from bci.cli.output import Output, size_of, styled
from bci.config.experiment import ExperimentSettings
from bci.config.programs import DecoderSettings
from bci.config.session import SessionConfig
from bci.config.sources import InSilicoSettings, MadeSettings, ReplaySettings
from bci.decoder.spec import AT_CHANCE
from bci.errors import ConfigError

if TYPE_CHECKING:
    from bci.control.session_plan import SessionPlan
    from bci.decoder.bundle import Bundle
    from bci.io.files.recording import Recording
    from bci.io.lsl.address import Address
    from bci.signal.types import Signal


@dataclass(frozen=True)
class Rehearsed:
    """A Rehearsed session can run.

    Attributes
    ----------
    plan : SessionPlan
        What a supervisor runs; it knows the streams of other programs already.
    facts : dict
        What was found, as the machine-readable line of `bci check` holds it.
    """

    plan: "SessionPlan"
    facts: dict[str, Any]


def rehearse(config: SessionConfig, out: Path, output: Output | None = None) -> Rehearsed:
    """Open everything a session names: bundles, streams, markers, sources, screen and protocol.

    Parameters
    ----------
    config : SessionConfig
        The session file.
    out : Path
        Where the session's folder will be made: whether its disk has room is looked at.
    output : Output, optional
        Told what is found, a line each; then live streams are listened to for a few seconds as well.

    Raises
    ------
    BciError
        At the first thing that does not fit.
    """
    from bci.io.lsl.network import join

    join(config.network, f"bci-{os.getpid()}", config.of_others)
    # Imported only now: liblsl reads its configuration once, at its first use.
    from bci.control.session_plan import SessionPlan

    return _Rehearsal(SessionPlan(config), out, output).run()


class _Rehearsal:
    def __init__(self, plan: "SessionPlan", out: Path, output: Output | None) -> None:
        self.plan, self.out, self.output = plan, out, output
        self.per_second = 0.0
        self.config, self.roster = plan.config, plan.roster

    def run(self) -> Rehearsed:
        config, bundles = self.config, self.roster.bundles
        facts: dict[str, Any] = {"bundle": bundles[0].hash} if bundles else {}
        if not bundles:
            height, width = self.roster.image_size
            self.say(f"decoder   none: this session collects, with pictures of {width} × {height} pixels")
        for decoder, bundle in zip(config.decoders, bundles, strict=True):
            which = f" ({decoder.name})" if decoder.name else ""
            self.say(f"bundle    {decoder.bundle.name}{which}, sound, hash {bundle.hash[:12]}")
            if bundle.spec.at_chance:
                self.say("          ", styled("yellow", "note:"), f" {AT_CHANCE}: its pictures say nothing")
        self._require_providers()
        self._require_screen()
        self._require_outside()
        self._require_free()
        for stream, settings in enumerate(config.streams):
            found = self._stream(stream)
            facts |= found if stream == 0 else {}
            if len(config.streams) > 1:
                facts.setdefault("streams", {})[settings.name] = found
        facts["disk"] = self._disk()
        stages = [[post.name for post in stage] for stage in self.plan.line.stages]
        self.say(f"programs  {', then '.join(' '.join(names) for names in stages)}")
        facts["programs"] = stages
        if config.experiment is not None:
            facts["trials"] = self._experiment(config.experiment)
        return Rehearsed(self.plan, facts)

    def say(self, *parts: Any) -> None:
        """Print a line, where there is one who listens."""
        if self.output is not None:
            self.output.say(*parts)

    # -- what does not lie on the network ----------------------------------------------------------------

    def _require_providers(self) -> None:
        for decoder, bundle in zip(self.config.decoders, self.roster.bundles, strict=True):
            if decoder.provider == "cuda":
                self._require_card(decoder, bundle)

    def _require_card(self, decoder: DecoderSettings, bundle: "Bundle") -> None:
        """Run a graph on a decoder's card; where there is one who listens, the decoder itself."""
        from bci.decoder.card_trial import require_answering
        from bci.decoder.card_use import in_words
        from bci.decoder.cuda import CardSettings, describe_card, require_cuda
        from bci.decoder.precision import require_precision

        card = CardSettings(**decoder.card)
        require_answering(card)
        require_cuda(card)
        if decoder.precision != "float32":
            require_precision(bundle, "cuda", decoder.precision, device=card.device)
        if self.output is None:
            return
        from bci.decoder.onnx import OnnxDecoder
        from bci.memory.lsl_clock import LslClock

        facts = ", ".join(describe_card(card.device).values()) or "nvidia-smi does not answer"
        self.say(f"card      {card.device}: {facts}; a graph has run on it")
        ran = OnnxDecoder(bundle, clock=LslClock(), provider="cuda", card=card, precision=decoder.precision)
        self.say(f"          {in_words(ran.environment)}")

    def _require_screen(self) -> None:
        if self.config.display.kind == "window":
            from stimuli.display.monitors import require_monitor

            require_monitor(self.config.display.monitor)

    def _require_outside(self) -> None:
        """Try what commands and the operator's page come through: ports, passwords, certificates."""
        control, page = self.config.control, self.config.page
        if control.on:
            from bci.control.mqtt.connection import require_broker

            require_broker(control)
        if page is not None:
            from bci.control.page.place import require_place

            require_place(page)

    def _experiment(self, experiment: ExperimentSettings) -> int | None:
        """Open a protocol without running it; return how many trials it asks for, None where that depends on them."""
        from stimuli.protocols import count, open_protocol
        from stimuli.trials import Palette

        settings = experiment.model_dump()
        open_protocol(settings, Palette(**self.roster.palette)).close()
        trials = count(settings)
        many = "as many trials as it takes" if trials is None else f"{trials} trials"
        self.say(f"experiment {experiment.protocol}: {many}")
        return trials

    def _disk(self) -> dict[str, Any]:
        """Look for how long there is room; a session that states how long it runs is refused where it does not fit."""
        from bci.io.files.space import LEAST, require_room, size
        from bci.memory.alarms import SHORT_S, lasted

        free = require_room(self.out, max(LEAST, self.per_second * (self.config.seconds or 0.0)))
        left = free / self.per_second
        room = f"room for {lasted(left)}, at {size(self.per_second * 3600)} an hour"
        self.say(f"disk      {size(free)} free for {self.out}: {room}")
        if left < SHORT_S:
            self.say(
                "          ", styled("yellow", "note:"), " that is little: free space before a long session"
            )
        return {"free": free, "bytes_per_second": self.per_second, "seconds": left}

    # -- streams -----------------------------------------------------------------------------------------

    def _stream(self, stream: int) -> dict[str, Any]:
        """Open what makes a stream, or find it, and compare it with what decodes it."""
        from bci.control.shared_memory import plan_buffer
        from bci.io.files.space import recorded_per_second
        from bci.memory.segment import check_free

        config, roster = self.config, self.roster
        decoding = [roster.bundles[index] for index in roster.decoders_of(stream)]
        signal, speed, facts = self._source(stream, decoding)
        for bundle in decoding:
            bundle.adapt(signal, roster.run)
        if signal.rate and stream in (config.shown_stream, *map(config.decoded_by, config.feeds)):
            # Refuses a limit that would turn the screen neutral between two samples.
            config.display.data_age_seconds_at(1 / (signal.rate * speed))
        held, recalled = roster.held(stream), roster.recalled(stream, signal.rate)
        buffer = plan_buffer(signal, speed, config.streams[stream], held, recalled)
        check_free(buffer.nbytes)
        self.say(f"memory    {buffer}")
        self.per_second += recorded_per_second(signal, speed)
        for address in roster.markers[stream]:
            if address in config.of_others:
                self._markers(address, config.streams[stream].timeout_s)
        return facts | {"buffer": buffer.facts()}

    def _source(self, stream: int, decoding: "Sequence[Bundle]") -> "tuple[Signal, float, dict[str, Any]]":
        """Return what a stream carries, its speed, and what was found of it."""
        source, settings = self.config.source_of(stream), self.config.streams[stream]
        if source is None:
            info = self.roster.info(stream)
            address = self.roster.address(stream)
            self.say(f"stream    {address}: {info.signal.shape} at {info.signal.rate:g} Hz on {info.host}")
            heard: dict[str, Any] = {}
            if self.output is not None and info.signal.rate:
                from bci.cli.listening import listen

                heard = listen(address, settings, self.output)
            return info.signal, info.speed, {"stream": info.source_id, **heard}
        if isinstance(source, InSilicoSettings):
            from bci.live.insilico import open_participant, read_spec

            self.say("source    the simulator")
            spec = read_spec({**source.model_dump(), "source_id": "check"})
            if spec.scanner is None:
                participant = open_participant(spec)
            else:
                with needing("fmri", "a simulated scanner"):
                    from bci.live.scanner import scanned_participant
                participant = scanned_participant(spec)
            compared = [self._whom(source, bundle) for bundle in decoding]
            return participant.signal, source.speed, compared[0] if compared else {}
        from bci.io.files.pace import require_paced
        from bci.live.replay import TOP_SPEED
        from bci.live.source import open_source
        from bci.live.timetable import Timetable

        recording = open_source(source)
        if isinstance(source, MadeSettings):
            self._require_marked(source, recording, decoding)
        speed = TOP_SPEED if source.speed == "max" else source.speed
        if not isinstance(source, ReplaySettings):
            self.say("source    the simulator")
            return recording.signal, speed, {}
        self.say(
            f"recording {recording.name}: {size_of(recording.signal.shape)} at {recording.signal.rate:g} Hz"
        )
        for defect in recording.defects:
            self.say("          ", styled("yellow", "defect:"), f" {defect}")
        require_paced(recording)
        Timetable(recording, speed, start=source.start, stop=source.stop, loop=source.loop)
        return recording.signal, speed, {"recording": recording.name, "defects": list(recording.defects)}

    def _require_marked(
        self, source: MadeSettings, recording: "Recording", decoding: "Sequence[Bundle]"
    ) -> None:
        """Refuse a decoder of epochs for a signal that has no markers: it would wait for one for ever."""
        waiting = [bundle.name for bundle in decoding if bundle.cut.needs_markers]
        if waiting and not recording.markers:
            raise ConfigError(
                f"[source] model: expected a network that makes signals for images, whose markers bundle "
                f"{waiting[0]!r} decodes, came {source.model.name!r}, which knows none (EEG-GAN). Name a bundle of "
                "LFP-GAN."
            )

    def _markers(self, address: "Address", timeout: float) -> None:
        """Find a stream of markers of another program."""
        from bci.io.lsl.discovery import describe
        from bci.io.lsl.markers import refuse_signal

        info = describe(address, timeout)
        refuse_signal(info)
        self.say(f"markers   {address}: {info.kind} {info.signal.name!r} on {info.host}")

    def _require_free(self) -> None:
        """Refuse the source id of a stream of our own that another program's stream has: nothing could tell the two."""
        from bci.config.on_the_network import made
        from bci.io.lsl.address import Address
        from bci.io.lsl.discovery import readable, search, taken

        for source_id, made_by in made(self.config):
            address = Address(source_id)
            if there := readable(search(address)):
                raise taken(address, there, made_by)

    def _whom(self, source: InSilicoSettings, bundle: "Bundle") -> dict[str, Any]:
        """Compare the participant in silico with the one that a bundle was trained on."""
        trained: Any = bundle.spec.provenance.config.get("participant") or {}
        subject = trained.get("subject", source.subject) if isinstance(trained, dict) else source.subject
        if subject != source.subject:
            self.say(
                "          ",
                styled("yellow", "note:"),
                f" expected subject {subject}, on whom the decoder was trained, came subject "
                f"{source.subject}: voxels, tuning and noise are another person's, and nothing may be read.",
            )
        return {"subject": source.subject, "trained_on": subject}

"""SessionSpecs says what each program of a session is given at its start."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

from bci.config.control import is_loopback
from bci.config.page import PORT
from bci.config.programs import PublishSettings
from bci.config.sources import simulated_modality
from bci.control import posts
from bci.control.health import SESSION_NODE
from bci.control.line import Line, named
from bci.control.mqtt.ports import free_port
from bci.control.roster import Roster, own_markers
from bci.control.shared_memory import segment_of
from bci.decoder.copied import describe_copies
from bci.decoder.spec import BundleSpec
from bci.io.lsl.address import Address
from bci.io.lsl.metadata import StreamInfo
from bci.live.slice_times import held_slice_times

#: After its last trial an experiment waits this long for what is decoded of it, seconds, beside an epoch's own end.
_SETTLE = 0.5
#: Characters of a caption that the names of classes may take, for a headline is one line.
_LEGEND = 60


class SessionSpecs:
    """The settings of each program, worked out when it is started: some rest on what others said of themselves.

    Parameters
    ----------
    roster : Roster
        Who takes part.

    Attributes
    ----------
    facts : dict of str to mapping
        What each program told when it was ready.
    line : Line
        The session's programs; set as soon as there is one.
    """

    line: Line

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.facts: dict[str, Mapping[str, Any]] = {}

    def source(self, stream: int) -> dict[str, Any]:
        """Return what the source of a stream is given."""
        source = self._roster.config.source_of(stream)
        assert source is not None
        name = self._roster.stream_name(stream)
        spec = source.model_dump() | {"source_id": self._roster.source_id(stream)}
        if source.kind == "insilico":
            return spec | {"ring": None}
        followers = [
            named("decode", self._roster.decoder_name(index)) for index in self._roster.decoders_of(stream)
        ]
        spec |= {
            "ring": segment_of(self._roster.key, self.line, named("stream", name)),
            "followers": followers,
        }
        if source.kind in ("replay", "made"):
            spec["marker_consumer"] = (
                Address(own_markers(self._roster.source_id(stream))) in self._roster.markers[stream]
            )
        return spec

    def acquire(self, stream: int) -> dict[str, Any]:
        """Return what the program that receives a stream is given."""
        # A source asked for one grid can serve one: that of the first decoder of the stream.
        cuts = [self._roster.bundles[index].cut for index in self._roster.decoders_of(stream)]
        settings = self._roster.config.streams[stream]
        return {
            "source_id": self._roster.address(stream),
            "stated": settings.stated,
            "timeout": settings.timeout_s,
            "gap_tolerance": settings.gap_tolerance_s,
            "strict": True,
            "data_age_limit": self._roster.data_age_limit(stream),
            "markers": self._roster.markers[stream],
            "marker_uncertainty_limit": settings.marker_uncertainty_limit_s,
            "grid": (cuts[0].grid.start, cuts[0].grid.step) if cuts else None,
            "slice_times": {
                f"bundle {bundle.name!r}, step {step}": times
                for bundle in (self._roster.bundles[index] for index in self._roster.decoders_of(stream))
                for step, times in held_slice_times(bundle.pipeline).items()
            },
        }

    def decode(self, decoder: int) -> dict[str, Any]:
        """Return what a decoder, or the program that draws latents with its bundle, is given."""
        settings = self._roster.config.decoders[decoder]
        heard = self._roster.physiology_of(decoder) is not None
        speed = {"speed": self._roster.speed(self._roster.config.decoded_by(decoder))} if heard else {}
        return speed | {
            "bundle": str(settings.bundle),
            "provider": settings.provider,
            "precision": settings.precision,
            "audit": settings.audit,
            "unlike": settings.unlike,
            "repeats": settings.repeats,
            "events": dict(settings.events),
            "tried": self._roster.bundles[decoder].tried,
            "card": settings.card,
        }

    def publish(self, publication: PublishSettings, decoder: int) -> dict[str, Any]:
        """Return what the program that offers a decoder's results to other tools is given."""
        roster = self._roster
        spec: dict[str, Any] = publication.model_dump(exclude={"decoder", "volumes"})
        spec["values"] = roster.bundles[decoder].spec.value_names
        if not publication.volumes:
            return spec
        info = roster.info(roster.config.decoded_by(decoder))
        return spec | {"copies": describe_copies(roster.bundles[decoder], roster.run, info)}

    def render(self) -> dict[str, Any]:
        """Return what the program that draws latents is given."""
        bundle, config = self._roster.artist, self._roster.config
        assert bundle is not None
        driver = config.decoders[config.driver] if config.decoders else None
        second = self._roster.second_artist
        return {
            "bundle": str(bundle.folder),
            "second_bundle": None if second is None else str(second.folder),
            "provider": "cpu" if driver is None else driver.provider,
            "precision": "float32" if driver is None else driver.precision,
            "card": {} if driver is None else driver.card,
            "tried": bundle.tried | ({} if second is None else second.tried),
        }

    def display(self) -> dict[str, Any]:
        """Return what the display is given."""
        config = self._roster.config
        height, width = self._roster.image_size
        spec = config.display.model_dump(exclude={"decoder", "decoders"}) | {
            "feeds": [self._feed(decoder) for decoder in config.feeds] or [self._no_feed()],
            "caption": self._caption() + self._legend(),
            "picture_px": (width, height),
        }
        if self._roster.config.experiment is not None:
            keys = self._roster.config.experiment.keys
            orders = (keys.start, keys.pause, keys.abort) if keys.participant else ()
            if (task := self._roster.config.experiment.fixation_task) is not None:
                spec["fixation_change"] = task.change
            spec |= {"engine": "engine", "flip_markers": True, "keys": (*keys.answers, *orders)}
        if (preview := self._roster.config.preview) is not None:
            spec["operator"] = preview.model_dump(include={"kind", "monitor", "pairs"})
        return spec

    def _feed(self, decoder: int) -> dict[str, Any]:
        """Return what the display is given of a decoder whose pictures it shows."""
        stream = self._roster.config.decoded_by(decoder)
        acquirer = named("acquire", self._roster.stream_name(stream))
        return {
            "decoder": decoder,
            "hop_seconds": self._roster.seconds_per_hop(decoder) / self._roster.info(stream).speed,
            "data_age_limit": self._roster.data_age_limit(stream),
            "watch": (acquirer, named("decode", self._roster.decoder_name(decoder))),
            "data_from": (acquirer,),
        }

    def _no_feed(self) -> dict[str, Any]:
        """Return what the display is given in place of a decoder: stimuli are shown while the first stream comes."""
        stream = self._roster.config.shown_stream
        acquirer = named("acquire", self._roster.stream_name(stream))
        limit = self._roster.data_age_limit(stream)
        return {
            "hop_seconds": 0.0,
            "data_age_limit": limit,
            "watch": (acquirer,),
            # What comes at no fixed rate may be silent for long.
            "data_from": () if limit is None else (acquirer,),
        }

    def engine(self) -> dict[str, Any]:
        """Return what the engine of an experiment is given."""
        roster, experiment = self._roster, self._roster.config.experiment
        assert experiment is not None
        # What is played faster is over sooner.
        tails = [
            bundle.cut.tail_s / roster.speed(roster.config.decoded_by(index))
            for index, bundle in enumerate(roster.bundles)
            if bundle.cut.tail_s
        ]
        tail = _SETTLE + max(tails, default=0.0)
        palette = self._roster.palette
        feeds = {"feeds": self._roster.config.feed_of_phase, "uncertainty_limits": self._uncertainty_limits}
        expects = {} if roster.encoding is None else {"encoding_hash": roster.encoding.hash}
        return experiment.model_dump() | palette | feeds | expects | {"tail_s": tail}

    @property
    def _uncertainty_limits(self) -> list[float]:
        """What the time of an event may be wrong by, seconds, of each decoder that feeds the display."""
        config = self._roster.config
        return [
            config.streams[config.decoded_by(decoder)].marker_uncertainty_limit_s for decoder in config.feeds
        ]

    def preview(self) -> dict[str, Any]:
        """Return what the operator's preview is given."""
        assert self._roster.config.preview is not None
        display, experiment = self._roster.config.display, self._roster.config.experiment
        keys = None if experiment is None else experiment.keys
        source = self.facts.get("source", {})
        who = f", {source['recording']}" if source.get("simulated") and source.get("recording") else ""
        return self._roster.config.preview.model_dump() | {
            "caption": self._caption() + who + self._legend(),
            "decoders": self._roster.config.feeds,
            "uncertainty_limits": self._uncertainty_limits,
            "evolution": experiment.model_dump()
            if experiment is not None and experiment.protocol == "evolution"
            else None,
            "participant_monitor": display.monitor,
            "participant_size": None
            if display.full_screen or display.kind == "headless"
            else display.size_px,
            "screen": display.kind != "headless",
            "keys": (keys.start, keys.pause, keys.abort) if keys is not None and keys.operator else (),
        }

    def broker(self) -> dict[str, Any]:
        """Return what the session's own broker is given; one that is started again gets the same port."""
        return {"host": self._roster.config.control.host, "port": self._broker_port}

    @cached_property
    def _broker_port(self) -> int:
        return self._roster.config.control.host_port or free_port()

    def control(self) -> dict[str, Any]:
        """Return what the program that speaks MQTT is given."""
        settings = self._roster.config.control
        return {
            "host": settings.host,
            "port": self._broker_port,
            "tls": settings.tls,
            "ca": settings.ca and str(settings.ca),
            "username": settings.username,
            "password_file": settings.password_file and str(settings.password_file),
            "clock_skew_s": settings.clock_skew_s,
            "health_hz": settings.health_hz,
            "nodes": [SESSION_NODE, *(post.name for post in self.line)],
        }

    def page(self) -> dict[str, Any]:
        """Return what the operator's page is given; one that is started again gets the same port."""
        settings = self._roster.config.page
        assert settings is not None
        return settings.model_dump(mode="json") | {"port": self._page_port}

    @property
    def page_url(self) -> str:
        """Where a browser on this machine finds the operator's page."""
        settings = self._roster.config.page
        assert settings is not None
        host = "localhost" if is_loopback(settings.address) else settings.address
        return f"{'https' if settings.certificate else 'http'}://{host}:{self._page_port}/"

    @cached_property
    def _page_port(self) -> int:
        settings = self._roster.config.page
        assert settings is not None
        return settings.port or free_port(PORT)

    def record(self) -> dict[str, Any]:
        """Return what the recorder is given."""
        markers = {
            posts.role("markers", place): {"source_id": marker.source_id or str(marker)}
            for place, marker in enumerate(self._roster.marker_rings())
        }
        if self._roster.config.experiment is not None:
            # What the participant presses in the window is a stream of markers too.
            markers[posts.role("markers", len(markers))] = {"source_id": "bci-responses", "role": "responses"}
        streams = {
            posts.role("stream", index): asdict(self._roster.info(index))
            | {"role": self._roster.stream_name(index)}
            for index in range(len(self._roster.config.streams))
        }
        for place, (name, side, of) in enumerate(self._roster.all_sides(), len(streams)):
            info = StreamInfo(
                side, f"{self._roster.key}-{name}", kind="Quality", speed=self._roster.info(of).speed
            )
            streams[posts.role("stream", place)] = asdict(info) | {"role": name}
        return {
            "streams": streams,
            "markers": markers,
            "decoders": [
                self._roster.decoder_name(index) for index in range(len(self._roster.config.decoders))
            ],
            "on_disk_error": self._roster.config.recording.on_disk_error,
        }

    def _legend(self) -> str:
        """Say which bar stands for which class, where one decoder alone is on the display."""
        feeds = self._roster.config.feeds
        return legend_of(self._roster.bundles[feeds[0]].spec) if len(feeds) == 1 else ""

    def _caption(self) -> str:
        """Say in a few words what will be shown, and plainly whether it is simulated."""
        stream = self._roster.config.shown_stream
        source = self.facts.get(named("source", self._roster.stream_name(stream)), {})
        if source.get("simulated"):
            modality = simulated_modality(self._roster.config.source_of(stream))
            return f"{self._roster.name}: SIMULATED {modality}"
        return f"{self._roster.name}: {source.get('recording') or self._roster.source_id(stream)}"


def legend_of(spec: BundleSpec) -> str:
    """Return which bar of a decoder stands for which class, to follow a caption; empty where none is drawn."""
    if spec.result.kind != "classes" or spec.result.pictures or spec.graph("drawing"):
        return ""
    bars = ", ".join(spec.result.labels)
    return f" · bars: {bars}" if len(bars) <= _LEGEND else ""

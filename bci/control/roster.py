"""A Roster names who takes part in one session: streams, markers and decoders, and what is known of each."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bci.config.collecting import PICTURE_PX
from bci.config.session import SessionConfig
from bci.control import posts
from bci.control.copying import copied_streams
from bci.control.expecting import encoding_bundle
from bci.control.line import named
from bci.decoder.bundle import Bundle
from bci.decoder.marker_names import MarkerNames
from bci.decoder.matching import require_live
from bci.decoder.onnx import require_adaptable
from bci.decoder.pattern import MarkerPattern
from bci.decoder.spec import EpochSpec
from bci.errors import ConfigError
from bci.io.lsl.address import Address
from bci.io.lsl.connection import refuse_unlike_signal
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.source import describe
from bci.session.adapted import LATENTS, AdaptationPlan, adaptation_signal, last_state, read_truth
from bci.signal.labels import find_channels
from bci.signal.run import NO_RUN
from bci.signal.types import Signal


class Roster:
    """The streams, marker streams and decoders of one session file, by index.

    The first of each kind has no name of its own in the line (``stream``, ``decode``, ``frames``); those of the others
    follow a colon (``decode:motor``).

    Parameters
    ----------
    config : SessionConfig
        The session file.
    key : str
        What tells this session's own streams and shared memory from others on this host.

    Attributes
    ----------
    bundles : tuple of Bundle
        Each decoder's; none in a session that collects.
    artist : Bundle or None
        What draws latents that are shown: the `driver`, or another one that the experiment names.
    second_artist : Bundle or None
        Another generator that draws in turn with it, where the experiment names one.
    encoding : Bundle or None
        Whose encoding model the experiment begins with.
    image_size : (int, int)
        Height and width of the pictures on the screen.
    run : Run
        What the session fixes beyond them.
    adaptations : dict of str to AdaptationPlan
        What the adaptation of a decoder begins with, by the decoder's name; empty for the first.
    markers : tuple of tuple of Address
        The marker streams that are taken along with each stream.

    Raises
    ------
    BciError
        If a bundle or a file of ``[run]`` cannot be loaded, a bundle decodes epochs and there are no markers, or
        bundles that feed the display by turns do not fit it both.
    """

    def __init__(self, config: SessionConfig, key: str) -> None:
        self.config, self.key = config, key
        self.bundles = tuple(Bundle.load(one.bundle).reading(one.repeats) for one in config.decoders)
        for bundle in self.bundles:
            require_live(bundle.spec)
        self.run = config.run.load() if config.run is not None else NO_RUN
        self.markers = tuple(self._markers_of(index) for index in range(len(config.streams)))
        for index in range(len(config.decoders)):
            self.events_of(index)
            self.physiology_of(index)
            copied_streams(self.config, self.bundles[index], index)
        self._require_one_size()
        drawn_by = getattr(config.experiment, "drawn_by", None)
        self.artist = self.driver if drawn_by is None else Bundle.load(drawn_by)
        also = getattr(config.experiment, "also_drawn_by", None)
        self.second_artist = None if also is None else Bundle.load(also)
        self.encoding = encoding_bundle(config, self.bundles)
        self.image_size = self._image_size()
        self.adaptations = {
            self.decoder_name(index): plan
            for index in range(len(config.decoders))
            if (plan := self._adaptation_of(index)) is not None
        }
        self._infos: dict[int, StreamInfo] = {}

    @property
    def name(self) -> str:
        """The session's name."""
        return self.config.name

    @property
    def driver(self) -> Bundle | None:
        """The bundle whose pictures the screen shows; None in a session without a decoder, which collects."""
        return self.bundles[self.config.driver] if self.bundles else None

    @property
    def latent_size(self) -> int:
        """How many values stand beside each picture on the screen: those of a reading; 0 without a decoder."""
        return 0 if self.driver is None else self.driver.latent_size

    def decoders_of(self, stream: int) -> list[int]:
        """Return which decoders decode a stream."""
        return [index for index in range(len(self.bundles)) if self.config.decoded_by(index) == stream]

    def stream_name(self, index: int) -> str:
        """Return what tells a stream apart from the first; empty for the first."""
        return (self.config.streams[index].name or "") if index else ""

    def decoder_name(self, index: int) -> str:
        """Return what tells a decoder apart from the first; empty for the first."""
        return (self.config.decoders[index].name or "") if index else ""

    def address(self, index: int) -> Address:
        """Return what a stream is found by; for a stream of our own source, an id that no other program uses."""
        stream, own = self.config.streams[index], f"{self.key}-{self.name}"
        if self.config.source_of(index) is not None:
            return Address(stream.source_id or own + (f"-{stream.name}" if index else ""))
        address = self.config.address_of(index)
        assert address is not None
        return address

    def source_id(self, index: int) -> str:
        """Return the source id of a stream, or whatever else it is found by, as text."""
        return str(self.address(index))

    def sides(self, decoder: int) -> tuple[Signal, ...]:
        """Return what the steps of a decoder's pipeline say beside the samples."""
        bundle = self.bundles[decoder]
        said = bundle.pipeline.start(bundle.signal).sides
        if self.config.decoders[decoder].adaptation is None:
            return said
        return (*said, adaptation_signal(bundle.spec.latent))

    def side_name(self, decoder: int, side: Signal) -> str:
        """Return what a side output's stream is called in the line and in the recording."""
        return named(side.name, self.decoder_name(decoder))

    def all_sides(self) -> list[tuple[str, Signal, int]]:
        """Return every side output: its stream's name, what it carries, and the stream that it speaks of."""
        return [
            (self.side_name(decoder, side), side, self.config.decoded_by(decoder))
            for decoder in range(len(self.bundles))
            for side in self.sides(decoder)
        ]

    def physiology_of(self, decoder: int) -> int | None:
        """Return the stream with the pulse or the belt that a decoder hears; None where it hears none.

        Raises
        ------
        ConfigError
            If its bundle needs one and the session names none, or names one that it does not need.
        """
        bundle, settings = self.bundles[decoder], self.config.decoders[decoder]
        needs = bundle.pipeline.start(bundle.signal).beside.kernel
        if (needs is None) != (settings.physiology is None):
            words = (
                f"bundle {bundle.name!r} hears {' and '.join(needs.labels)} beside the volumes: expected [decoder] "
                "physiology, the name of the [[stream]] that has them, came none."
                if needs is not None
                else f"[decoder] physiology names {settings.physiology!r}, and no step of bundle {bundle.name!r} hears "
                "it. Leave it out, or train one with a step physiological_noise."
            )
            raise ConfigError(words)
        if settings.physiology is None:
            return None
        stream = self.config.stream_index(settings.physiology)
        if stream == self.config.decoded_by(decoder):
            raise ConfigError(
                f"[decoder] physiology: expected another stream than the volumes, came {settings.physiology!r} again"
            )
        return stream

    def heard_by(self, decoder: int) -> str | None:
        """Return what the stream that a decoder hears is called in the line; None where it hears none."""
        stream = self.physiology_of(decoder)
        return None if stream is None else named("stream", self.stream_name(stream))

    def _require_audible(self, stream: int, signal: Signal) -> None:
        """Refuse a stream that a decoder is to hear a pulse or a belt on, and that has not got it."""
        for decoder, bundle in enumerate(self.bundles):
            kernel = bundle.pipeline.start(bundle.signal).beside.kernel
            if kernel is not None and self.physiology_of(decoder) == stream:
                if not signal.rate or len(signal.shape) != 1:
                    raise ConfigError(
                        f"[decoder] physiology: expected a stream of channels at a fixed rate, came {signal.name!r} of "
                        f"{signal.rate:g} Hz and the shape {signal.shape}"
                    )
                find_channels(signal, kernel.labels)

    def _adaptation_of(self, decoder: int) -> AdaptationPlan | None:
        """Read what a decoder's adaptation begins with; None where it has none.

        Raises
        ------
        BciError
            If its bundle cannot be adapted, the stimuli's latents are not known, or the earlier session is not whole.
        """
        own = self.config.decoders[decoder]
        settings, bundle = own.adaptation, self.bundles[decoder]
        if settings is None:
            return None
        require_adaptable(bundle, own.provider)
        folder: Path | None = getattr(self.config.experiment, "folder", None)
        latents = settings.latents or (folder and Path(folder) / LATENTS)
        if latents is None:
            raise ConfigError(
                "[decoder.adaptation]: expected latents, a JSON file with the latent of each stimulus by its name, or "
                "an [experiment] whose folder has latents.json; came neither. Name the file, or leave adaptation out."
            )
        truth = read_truth(latents, bundle.spec.latent)
        plan = AdaptationPlan(settings.memory, settings.trust, settings.scale == "common", truth)
        if settings.begin is None:
            return plan
        return replace(plan, state=last_state(settings.begin, plan, self.decoder_name(decoder) or None))

    def events_of(self, decoder: int) -> str | None:
        """Return the ring of the events that a decoder cuts epochs around; None where it needs none.

        Raises
        ------
        ConfigError
            If it needs events and no stream of markers is there.
        """
        bundle, settings = self.bundles[decoder], self.config.decoders[decoder]
        if not bundle.cut.needs_markers:
            if settings.events:
                raise ConfigError(
                    f"[decoder.events] names markers, and bundle {bundle.name!r} decodes sliding windows. Leave it out."
                )
            return None
        window = bundle.spec.window
        if settings.events and isinstance(window, EpochSpec):
            MarkerNames(settings.events).require_known(MarkerPattern(window.markers), bundle.name)
        ids = [marker for of_stream in self.markers for marker in of_stream]
        if settings.markers is not None:
            named = [m for m in ids if settings.markers in (str(m), m.name)]
            if len(named) != 1:
                how = "which no stream takes along" if not named else f"which {len(named)} streams are called"
                raise ConfigError(
                    f"[decoder] markers names {settings.markers!r}, {how}; there are "
                    f"{', '.join(map(str, ids)) or 'none'}. Give it in [stream] markers."
                )
            return self.marker_rings()[named[0]]
        # What a simulator sends beside its samples is no event.
        silent = [
            Address(own_markers(self.source_id(i)))
            for i in range(len(self.config.streams))
            if (source := self.config.source_of(i)) is not None and source.kind not in ("replay", "made")
        ]
        ids = [marker for marker in ids if marker not in silent]
        own = [marker for marker in self.markers[self.config.decoded_by(decoder)] if marker in ids]
        if not ids:
            raise ConfigError(
                f"bundle {bundle.name!r} decodes epochs around markers ({bundle.spec.window}), and the session names "
                "no stream of markers. Give [stream] markers (bci streams lists what is there), or an [experiment]."
            )
        return self.marker_rings()[(own or ids)[0]]

    def marker_rings(self) -> dict[Address, str]:
        """Return the rings of all marker streams in the line, by address."""
        ids = [marker for of_stream in self.markers for marker in of_stream]
        return {marker: posts.role("markers", place) for place, marker in enumerate(ids)}

    def _markers_of(self, stream: int) -> tuple[Address, ...]:
        """Return the markers that are taken along with a stream."""
        given = self.config.streams[stream].marker_addresses
        if given:
            return given
        first = stream == self.config.shown_stream
        if first and self.config.experiment is not None:
            # The display's flips are what epochs are cut around; it is there before acquire looks for them.
            return (Address(self.config.display.flip_stream),)
        source = self.config.source_of(stream)
        # What a source of ours plays or simulates has a stream of markers beside it; a participant in silico has none.
        if source is None or source.kind == "insilico":
            return ()
        return (Address(own_markers(self.source_id(stream))),)

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
            info = describe(self.address(stream), settings.timeout_s, stated=settings.stated)
            # What no decoder reads may come at no fixed rate: gaze beside an EEG is recorded with it.
            if self.decoders_of(stream) or info.signal.rate or info.signal.dtype == "str":
                refuse_unlike_signal(info)
            for decoder in self.decoders_of(stream):
                self.bundles[decoder].adapt(info.signal, self.run)
            self._require_audible(stream, info.signal)
            self._infos[stream] = info
        return self._infos[stream]

    @property
    def infos(self) -> Mapping[str, StreamInfo]:
        """What each stream in shared memory says of itself, as far as that is known."""
        return {named("stream", self.stream_name(index)): info for index, info in sorted(self._infos.items())}

    def seconds_per_hop(self, decoder: int) -> float:
        """Return the seconds between two windows of a decoder at the signal's own speed."""
        bundle = self.bundles[decoder]
        return bundle.hop * bundle.pipeline.ratio(bundle.signal) / bundle.signal.rate

    def held(self, stream: int) -> int:
        """Return the most samples of a stream that one of its decoders reads in one piece."""
        return max((self.bundles[index].cut.held for index in self.decoders_of(stream)), default=0)

    def recalled(self, stream: int, rate: float) -> int:
        """Return the most samples of a stream, of so many a second, that a decoder learns from; 0 where none does.

        What volumes heard of a pulse is to be heard again as long as they are.
        """
        own = [self.bundles[index] for index in self.decoders_of(stream)]
        hearing = [one for index, one in enumerate(self.bundles) if self.physiology_of(index) == stream]
        recalls = [one.pipeline.start(one.signal).recalls for one in own]
        recalls += [
            math.ceil(one.pipeline.start(one.signal).recalls / one.signal.rate * rate) for one in hearing
        ]
        return max(recalls, default=0)

    def data_age_limit(self, stream: int) -> float | None:
        """Return after how long without data a stream counts as stalled; the default where nothing is shown of it."""
        shown = [index for index in self.config.feeds if self.config.decoded_by(index) == stream]
        if not shown and (self.bundles or stream != self.config.shown_stream):
            return None
        # Volumes come seconds apart: what is late for an amplifier is in time for a scanner.
        rate = self.bundles[shown[0]].signal.rate if shown else self.info(stream).signal.rate
        if not rate:
            return None
        return self.config.display.data_age_seconds_at(1 / (rate * self.info(stream).speed))

    def _require_one_size(self) -> None:
        """Refuse bundles that cannot take turns on one screen."""
        feeds = [self.bundles[index] for index in self.config.feeds]
        for first, other in itertools.pairwise(feeds):
            if (other.image_size, other.latent_size) != (first.image_size, first.latent_size):
                raise ConfigError(
                    "[display.decoders]: decoders that take turns on the screen make pictures and latents of one size; "
                    f"bundle {first.name!r} makes {first.image_size[1]} × {first.image_size[0]} pixels of "
                    f"{first.latent_size} values, {other.name!r} {other.image_size[1]} × {other.image_size[0]} of "
                    f"{other.latent_size}. Leave one of them out, or train both on one generator."
                )

    @property
    def palette(self) -> dict[str, Any]:
        """What stimuli can be made of: the fields of `stimuli.trials.Palette`."""
        latent, second = (
            0 if artist is None else artist.palette["latent"] for artist in (self.artist, self.second_artist)
        )
        return {
            "size": self.image_size,
            "latent": latent,
            "second_latent": second,
            "reading": self.latent_size,
        }

    def _image_size(self) -> tuple[int, int]:
        """Return height and width of the pictures on the screen; refuse what draws or asks for another size."""
        asked = self.config.display.picture_px
        fixed = self.driver or self.artist
        if fixed is None:
            width, height = asked or (PICTURE_PX, PICTURE_PX)
            return height, width
        if asked is not None and asked != fixed.image_size[::-1]:
            raise ConfigError(
                f"[display] picture_px: expected {fixed.image_size[1]} × {fixed.image_size[0]}, the size of the "
                f"pictures of bundle {fixed.name!r}, came {asked[0]} × {asked[1]}. Leave it out: the bundle says it."
            )
        self._require_drawable()
        return fixed.image_size

    def _require_drawable(self) -> None:
        """Refuse bundles that draw stimuli of another size than the display shows."""
        first = self.driver or self.artist
        for key, artist in (("drawn_by", self.artist), ("also_drawn_by", self.second_artist)):
            if first is not None and artist is not None and artist.image_size != first.image_size:
                raise ConfigError(
                    f"[experiment] {key}: expected a bundle that draws pictures of {first.image_size[1]} × "
                    f"{first.image_size[0]} pixels, as {first.name!r} has, came {artist.name!r} with "
                    f"{artist.image_size[1]} × {artist.image_size[0]}. Name another one."
                )

    def speed(self, stream: int) -> float:
        """Return how fast a stream is played; a participant in silico has its screen before it has its stream."""
        source = self.config.source_of(stream)
        if source is not None and source.kind == "insilico":
            return float(source.speed)
        return self.info(stream).speed


def own_markers(source_id: str) -> str:
    """Return the source id of the markers that a source of ours sends beside its stream.

    >>> own_markers("demo")
    'demo-markers'
    """
    return f"{source_id}-markers"

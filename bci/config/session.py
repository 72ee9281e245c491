"""A session file: what one experiment runs, in TOML, frozen and checked before anything starts.

Paths are relative to the file. A key that does not exist is an error that names it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_serializer, model_validator

from bci.config.collecting import require_collectable
from bci.config.control import ControlSettings
from bci.config.display import DisplaySettings
from bci.config.experiment import ExperimentSettings
from bci.config.limits import Limits
from bci.config.numbers import Lasting
from bci.config.on_the_network import of_others, require_apart
from bci.config.page import PageSettings
from bci.config.programs import (
    DecoderSettings,
    PreviewSettings,
    PublishSettings,
    RecordingSettings,
    SessionSection,
    SubjectSettings,
    SupervisionSettings,
)
from bci.config.run import RunSettings
from bci.config.sources import (
    InSilicoSettings,
    MadeSettings,
    ReplaySettings,
    SourceSettings,
)
from bci.config.stream import StreamSettings
from bci.config.toml import check_settings, read_toml
from bci.errors import ConfigError
from bci.io.files.folder import NAME
from bci.io.lsl.address import Address
from bci.io.shipped import locate

SafeName = Annotated[str, Field(pattern=NAME)]

_Item = TypeVar("_Item")


def _listed(value: Any) -> Any:
    """Return one section as a list of one, none as an empty one."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


#: One section, or a list of them.
Several = Annotated[tuple[_Item, ...], BeforeValidator(_listed)]


class SessionConfig(SessionSection):
    """One experiment.

    A section of which there may be several is written ``[stream]`` where there is one and ``[[stream]]`` where there
    are more; here it is always a tuple, and a file that is written again says it as it was said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, serialize_by_alias=True)

    name: SafeName
    """Letters, digits, - and _; the session's folder is named after it."""
    subject: SubjectSettings | None = None
    network: Literal["machine", "lab"] = "lab"
    """Whether its streams are looked for on this machine alone or in the laboratory's network."""
    seconds: Lasting | None = None
    """How long to run; absent means until stopped or the recording ends."""
    sources: Several[SourceSettings] = Field((), alias="source")
    """Who makes the streams; for a stream that no source feeds an amplifier's own program does."""
    streams: Several[StreamSettings] = Field((StreamSettings(),), alias="stream")
    decoders: Several[DecoderSettings] = Field((), alias="decoder")
    """What reads the streams; a session without any collects: it shows an experiment's stimuli and records."""
    display: DisplaySettings = DisplaySettings()
    publications: Several[PublishSettings] = Field((), alias="publish")
    experiment: ExperimentSettings | None = None
    preview: PreviewSettings | None = None
    run: RunSettings | None = None
    """What the session fixes beyond its bundles: design, reference volume, masks, labels of channels."""
    recording: RecordingSettings = RecordingSettings()
    supervision: SupervisionSettings = SupervisionSettings()
    control: ControlSettings = ControlSettings()
    page: PageSettings | None = None
    limits: Limits = Limits()

    @field_serializer("sources", "streams", "decoders", "publications")
    def _as_it_was_said(self, sections: tuple[BaseModel, ...]) -> Any:
        return None if not sections else sections[0] if len(sections) == 1 else sections

    @model_validator(mode="after")
    def _something_to_do(self) -> "SessionConfig":
        if not self.decoders:
            require_collectable(self)
        return self

    @model_validator(mode="after")
    def _trials_are_independent(self) -> "SessionConfig":
        if getattr(self.experiment, "protocol", "") == "expected_information" and any(
            decoder.repeats == "mean" for decoder in self.decoders
        ):
            raise ValueError(
                'protocol "expected_information" adds up trials itself, and [decoder] repeats = "mean" would count '
                "those before again with each. Leave repeats out"
            )
        return self

    @model_validator(mode="after")
    def _something_to_preview(self) -> "SessionConfig":
        if self.preview is not None and self.experiment is None:
            raise ValueError(
                "[preview] shows stimuli beside what was read of them, and there is no [experiment]"
            )
        return self

    @model_validator(mode="after")
    def _everything_has_its_name(self) -> "SessionConfig":
        self._streams_are_called()
        for kind, sections in (("stream", self.streams), ("decoder", self.decoders)):
            if not sections and kind == "stream":
                raise ValueError("a session has at least one [stream], and this one's list is empty")
            names = [section.name for section in sections]
            if len(names) > 1 and None in names:
                raise ValueError(f"there are {len(names)} [[{kind}]]: each needs a name, to be told apart by")
            if taken := [name for name in names if name in _TAKEN]:
                raise ValueError(
                    f"a [[{kind}]] cannot be called so: {taken[0]!r} is taken" + _NETWORK_NAME[kind]
                )
            if len(set(names)) < len(names):
                raise ValueError(f"two [[{kind}]] have one name: {', '.join(map(str, names))}")
        for what, named, kind, sections in (
            ("[source] feeds", [s.feeds for s in self.sources], "stream", self.streams),
            ("[decoder] stream", [d.stream for d in self.decoders], "stream", self.streams),
            ("[decoder] physiology", [d.physiology for d in self.decoders], "stream", self.streams),
            ("[publish] decoder", [p.decoder for p in self.publications], "decoder", self.decoders),
            ("[display] decoder", [self.display.decoder], "decoder", self.decoders),
            ("[display.decoders]", list(self.display.decoders.values()), "decoder", self.decoders),
        ):
            known = [section.name for section in sections]
            for name in named:
                if name is not None and name not in known:
                    raise ValueError(
                        f"{what} names {name!r}; there are the {kind}s {', '.join(map(str, known)) or 'none'}"
                    )
        for what, places in (
            ("[source] feed the stream", [self.stream_index(s.feeds) for s in self.sources]),
            ("[publish] belong to the decoder", [self.decoder_index(p.decoder) for p in self.publications]),
        ):
            if len(set(places)) < len(places):
                raise ValueError(f"two {what} of one place; each has at most one")
        return self

    @property
    def _named_by_network(self) -> bool:
        """Whether the name of its stream is that on the network: one alone, of another program."""
        return len(self.streams) == 1 and self.source_of(0) is None

    def _streams_are_called(self) -> None:
        """Refuse what a stream cannot be called in a session; of one stream alone, `name` is that on the network."""
        if self._named_by_network:
            return
        for stream in self.streams:
            if stream.name is not None and stream.part is None:
                raise ValueError(
                    "[[stream]] name is what it is called in this session: a lower-case letter, then up to 19 of "
                    f"lower-case letters, digits and _; came {stream.name!r}. Its name on the network is lsl_name"
                )

    @model_validator(mode="after")
    def _phases_are_there(self) -> "SessionConfig":
        phases = self.experiment.phases if self.experiment is not None else ()
        for phase in self.display.decoders:
            if phase not in phases:
                raise ValueError(
                    f"[display.decoders] names the phase {phase!r}; [experiment] phases has "
                    f"{', '.join(phases) or 'none'}"
                )
        return self

    @model_validator(mode="after")
    def _some_stream(self) -> "SessionConfig":
        for index, stream in enumerate(self.streams):
            if self.source_of(index) is not None:
                try:
                    stream.require_made()
                except ConfigError as error:
                    raise ValueError(str(error)) from None
            elif self.address_of(index) is None:
                which = f" {stream.name!r}" if stream.name else ""
                raise ValueError(
                    f"which stream{which}? Give [stream] source_id, or lsl_name, type or host (bci streams lists what "
                    "is there), or a [source] that makes one"
                )
        return self

    @model_validator(mode="after")
    def _each_source_id_is_of_one_stream(self) -> "SessionConfig":
        require_apart(self)
        return self

    # -- one of several ----------------------------------------------------------------------------------

    @property
    def stream(self) -> StreamSettings:
        """The first stream, or the only one."""
        return self.streams[0]

    @property
    def decoder(self) -> DecoderSettings:
        """The first decoder, or the only one; a session that collects has none (`decoders` is empty)."""
        return self.decoders[0]

    @property
    def source(self) -> "SourceSettings | None":
        """Who makes the first stream; None where an amplifier does."""
        return self.source_of(0)

    @property
    def driver(self) -> int:
        """Which decoder drives the display where no phase has another: its place among `decoders`, if there are any."""
        return self.decoder_index(self.display.decoder)

    @property
    def shown_stream(self) -> int:
        """The stream that the screen rests on: that of the `driver`, of a session without a decoder the first."""
        return self.decoded_by(self.driver) if self.decoders else 0

    def address_of(self, stream: int) -> Address | None:
        """Return what a stream of another program is found by; None where nothing says."""
        return self.streams[stream].address(alone=self._named_by_network)

    @property
    def feeds(self) -> tuple[int, ...]:
        """The decoders whose pictures are shown in some phase, the `driver` first: their places among `decoders`."""
        if not self.decoders:
            return ()
        others = [self.decoder_index(name) for name in self.display.decoders.values()]
        return tuple(dict.fromkeys([self.driver, *others]))

    @property
    def feed_of_phase(self) -> dict[str, int]:
        """The place among `feeds` of the decoder that each phase of the experiment shows; none without a decoder."""
        if not self.decoders:
            return {}
        phases = self.experiment.phases if self.experiment is not None else ()
        names = {phase: self.display.decoders.get(phase, self.display.decoder) for phase in phases}
        return {phase: self.feeds.index(self.decoder_index(name)) for phase, name in names.items()}

    @property
    def of_others(self) -> tuple[Address, ...]:
        """What the streams, and the streams of markers, of other programs are found by."""
        return of_others(self)

    def stream_index(self, name: str | None) -> int:
        """Return the place of a stream among `streams`; without a name that of the first."""
        return _place(self.streams, name)

    def decoder_index(self, name: str | None) -> int:
        """Return the place of a decoder among `decoders`; without a name that of the first."""
        return _place(self.decoders, name)

    def decoded_by(self, decoder: int) -> int:
        """Return the place of the stream that a decoder decodes."""
        return self.stream_index(self.decoders[decoder].stream)

    def source_of(self, stream: int) -> "SourceSettings | None":
        """Return who makes a stream; None where an amplifier's own program does."""
        return next((s for s in self.sources if self.stream_index(s.feeds) == stream), None)

    def with_sections(self, **sections: Any) -> "SessionConfig":
        """Return this session with other sections, by field name; what does not fit together is refused.

        Raises
        ------
        ConfigError
            As `parse_session`.
        """
        changed = self.model_copy(update=sections)
        return check_settings(changed.model_dump(mode="python"), SessionConfig, f"session {self.name!r}")


#: What a name that is refused may have been meant to be.
_NETWORK_NAME = {"stream": "; if that is its name on the network, say so with lsl_name", "decoder": ""}

#: What other things of a recording are called.
_TAKEN = frozenset({"stream", "markers", "decode", "record", "rig", "engine", "responses"})


def _place(sections: Sequence[Any], name: str | None) -> int:
    if name is None:
        return 0
    return next(index for index, section in enumerate(sections) if section.name == name)


def load_session(path: Path) -> SessionConfig:
    """Read a session file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return parse_session(read_toml(path, "session"), path.resolve().parent, str(path))


def parse_session(values: dict[str, Any], folder: Path, name: str) -> SessionConfig:
    """Check the values of a session file; paths in it are relative to `folder`, `name` is said in errors.

    Bundles, stimuli and recordings that are not there are looked for elsewhere (`bci.io.shipped.locate`).
    """
    try:
        config = check_settings(values, SessionConfig, name)
    except ConfigError as error:
        raise ConfigError(_as_written(str(error), values)) from None
    decoders = tuple(decoder.placed(folder) for decoder in config.decoders)
    sources = tuple(_beside(source, folder) for source in config.sources)
    experiment, run = config.experiment, config.run
    return config.model_copy(
        update={
            "decoders": decoders,
            "sources": sources,
            "experiment": experiment and experiment.placed(folder),
            "run": run and run.placed(folder),
            "control": config.control.placed(folder),
            "page": config.page and config.page.placed(folder),
        }
    )


def _beside(source: Any, folder: Path) -> Any:
    """Return a source whose files are looked for in `folder`."""
    if isinstance(source, ReplaySettings):
        events = source.events and locate(source.events, folder)
        return source.model_copy(update={"file": locate(source.file, folder), "events": events})
    if isinstance(source, MadeSettings):
        return source.model_copy(update={"model": locate(source.model, folder, "bundles")})
    if isinstance(source, InSilicoSettings):
        reference, scanner = source.reference, source.scanner
        if scanner is not None and scanner.folder is not None:
            scanner = scanner.model_copy(update={"folder": folder / scanner.folder})
        reference = reference and locate(reference, folder, "stimuli")
        return source.model_copy(update={"reference": reference, "scanner": scanner})
    return source


def _as_written(text: str, values: dict[str, Any]) -> str:
    """Return the text of an error with the keys as the file has them: a section that is no list has no number.

    >>> _as_written("stream.0.source_idd: there is no such key", {"stream": {}})
    'stream.source_idd: there is no such key'
    """
    for key, value in values.items():
        if not isinstance(value, list):
            text = re.sub(rf"(?m)\b{re.escape(key)}\.0\b", key, text)
    return text

"""A Rig is what is certified: a session file, with a source whose samples are known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from bci.config.programs import DecoderSettings
from bci.config.session import SessionConfig
from bci.config.sources import MadeSettings, ReplaySettings, SimulateSettings, SinesSettings
from bci.config.stream import StreamSettings
from bci.control.line import Line
from bci.control.session_plan import SessionPlan
from bci.decoder.bundle import Bundle
from bci.errors import BundleMismatch, ConfigError
from bci.sim.eeg import AlphaSimulator

#: Samples per second below which nothing is simulated.
_SLOWEST = 4.0


@dataclass(frozen=True)
class Rig:
    """A Rig is the session that is certified, with its differences from the session file.

    Attributes
    ----------
    config : SessionConfig
        As it is run.
    bundles : tuple of Bundle
        The decoders.
    line : Line
        The programs that run, each of which can be broken.
    hop_seconds : float
        The longest time between two reconstructions of a decoder.
    source : str
        Where the samples come from, a sentence.
    simulated : bool
        Whether they are simulated.
    notes : tuple of str
        What differs from the session file, and what a page about it must therefore say.
    """

    config: SessionConfig
    bundles: tuple[Bundle, ...]
    line: Line
    hop_seconds: float
    source: str
    simulated: bool
    notes: tuple[str, ...]

    @property
    def bundle(self) -> Bundle:
        """The decoder that the screen shows."""
        return self.bundles[self.config.driver]

    def speed(self, stream: int) -> float:
        """Return how many times faster than real time a stream comes."""
        return _speed(self.config, stream)

    @property
    def sample_seconds(self) -> float:
        """Seconds between two samples of the stream that the screen shows something of, as they come."""
        return 1 / (self.bundle.signal.rate * self.speed(self.config.decoded_by(self.config.driver)))

    @property
    def external(self) -> bool:
        """Whether other programs than ours make samples, which are then not ours to break."""
        return any(self.config.source_of(index) is None for index in range(len(self.config.streams)))


def prepare(
    config: SessionConfig, *, headless: bool = False, source: Literal["known", "rig"] = "known"
) -> Rig:
    """Return the rig that a session file describes, ready to be certified.

    Parameters
    ----------
    config : SessionConfig
        The session file.
    headless : bool
        Without a screen, whatever the file says.
    source : "known" or "rig"
        Whether samples come from a simulator, or from what the file names: an amplifier, or a recording.

    Raises
    ------
    BciError
        If a bundle cannot be loaded or decodes epochs, or nothing simulates what it expects.
    """
    if not config.decoders:
        raise ConfigError(
            f"session {config.name!r} has no [decoder]: what is certified is the way from a sample to the picture that "
            "is read of it. Name a session file with a decoder of sliding windows."
        )
    notes: list[str] = []
    bundles = tuple(Bundle.load(decoder.bundle) for decoder in config.decoders)
    for bundle in bundles:
        if bundle.cut.needs_markers:
            raise ConfigError(
                f"bundle {bundle.name!r} decodes epochs around markers; what is certified here are rigs that decode "
                "without pause. Certify with a bundle of sliding windows: all but the decoder's cut is the same."
            )
    if config.experiment is not None:
        config = config.with_sections(experiment=None, preview=None)
        notes.append("The experiment's protocol was left out: reconstructions were shown all the time.")
    if headless and config.display.kind != "headless":
        config = config.model_copy(update={"display": config.display.model_copy(update={"kind": "headless"})})
        notes.append("The session file asks for a window; it was certified without a screen.")
    if config.display.kind == "headless":
        notes.append(
            f"No screen: the display ran the same program against a clock of {config.display.refresh_hz:g} Hz, so "
            "nothing here speaks of a monitor."
        )
    words, simulated, known = [], True, set[int]()
    for index in range(len(config.streams)):
        said, config, real = _known(config, index, bundles, notes, own=source == "rig")
        words.append(f"{config.streams[index].name}: {said}" if len(config.streams) > 1 else said)
        simulated &= not real
        if not real:
            known.add(index)
    if any(bundle.spec.novelty and config.decoded_by(i) in known for i, bundle in enumerate(bundles)):
        config = config.with_sections(decoders=_keeping(config, known))
        notes.append(
            "What is unlike training was decoded all the same: a simulated source is no participant."
        )
    for decoder in config.decoders:
        if decoder.provider != "cpu":
            notes.append(f"Decoded with {decoder.provider}.")
    plan = SessionPlan(config)
    hops = [
        plan.roster.seconds_per_hop(i) / _speed(config, config.decoded_by(i)) for i in range(len(bundles))
    ]
    return Rig(config, bundles, plan.line, max(hops), "; ".join(words), simulated, tuple(notes))


def _keeping(config: SessionConfig, known: Collection[int]) -> tuple[DecoderSettings, ...]:
    """Return the decoders; those of simulated streams refuse nothing as unlike training, which is no fault of a rig."""
    return tuple(
        decoder.model_copy(update={"unlike": "keep"}) if config.decoded_by(i) in known else decoder
        for i, decoder in enumerate(config.decoders)
    )


def _speed(config: SessionConfig, stream: int) -> float:
    source = config.source_of(stream)
    return 1.0 if source is None else float(source.speed)


def _known(
    config: SessionConfig, stream: int, bundles: Sequence[Bundle], notes: list[str], *, own: bool
) -> tuple[str, SessionConfig, bool]:
    """Return where the samples of a stream come from, the session that has them so, and whether they are real."""
    source, settings = config.source_of(stream), config.streams[stream]
    if isinstance(source, SimulateSettings):
        return f"the session file's own simulated participant, seed {source.seed}", config, False
    if isinstance(source, SinesSettings):
        return "the session file's own source, a sine in every channel", config, False
    if isinstance(source, MadeSettings):
        return f"what the network of {source.model.name} makes, seed {source.seed}", config, False
    if own:
        return _own(config, stream)
    named = source.file.name if isinstance(source, ReplaySettings) else config.address_of(stream)
    bundle = next((b for i, b in enumerate(bundles) if config.decoded_by(i) == stream), None)
    if bundle is None:
        raise ConfigError(
            f"no decoder says what the stream {settings.name!r} is, so nothing can be simulated in its place. Give it "
            "a [[source]] of kind sines, or certify with --source rig, on the device itself."
        )
    words, simulator = _simulated(bundle)
    notes.append(
        f"The session file's source, {named}, was replaced by a simulated one of the same rate, channels and unit."
    )
    replaced = StreamSettings(
        name=settings.part,
        timeout_s=settings.timeout_s,
        buffer_s=settings.buffer_s,
        buffer_mb=settings.buffer_mb,
    )
    sources = [s for s in config.sources if s is not source]
    changed = config.with_sections(
        sources=(*sources, simulator.model_copy(update={"feeds": settings.part})),
        streams=tuple(replaced if i == stream else s for i, s in enumerate(config.streams)),
        network="machine",
    )
    return words, changed, False


def _own(config: SessionConfig, stream: int) -> tuple[str, SessionConfig, bool]:
    """Return what the session file's own source of a stream is, and how it is run."""
    source = config.source_of(stream)
    if isinstance(source, ReplaySettings):
        # A certification lasts longer than some recordings; a seam is a gap of one second, and marked as such.
        speed = 1.0 if source.speed == "max" else source.speed
        played = source.model_copy(update={"loop": True, "speed": speed})
        words = f"the recording {source.file.name}, played in a loop"
        sources = tuple(played if s is source else s for s in config.sources)
        return words, config.with_sections(sources=sources), True
    return f"the amplifier's own stream {config.address_of(stream)}", config, True


def _simulated(bundle: Bundle) -> tuple[str, SimulateSettings | SinesSettings]:
    """Return a source of the rate, channels and unit that a bundle expects, and what it is."""
    try:
        bundle.check(AlphaSimulator().signal)
    except BundleMismatch:
        signal = bundle.signal
        if signal.rate < _SLOWEST:
            raise ConfigError(
                f"nothing simulates a signal of {signal.rate:g} Hz, which this bundle expects. Certify with "
                "--source rig, on the device itself."
            ) from None
        sines = SinesSettings(
            kind="sines", rate=signal.rate, shape=signal.shape, channels=signal.channels, unit=signal.unit
        )
        return "a sine in every channel", sines
    return "a simulated participant", SimulateSettings(kind="simulate")

"""A Rig is what is certified: a session file, with a source whose samples are known."""

from dataclasses import dataclass
from typing import Literal

from bci.config.session import SessionConfig
from bci.config.sources import ReplaySettings, SimulateSettings, SinesSettings
from bci.decoder.bundle import Bundle
from bci.errors import BundleMismatch, ConfigError
from bci.sim.eeg import AlphaSimulator

#: Samples per second below which nothing is simulated.
_SLOWEST = 4.0


@dataclass(frozen=True)
class Rig:
    """What is certified, and what of it differs from the session file.

    Attributes
    ----------
    config : SessionConfig
        As it is run.
    bundle : Bundle
        The decoder.
    hop_seconds : float
        Between two reconstructions.
    source : str
        Where the samples come from, a sentence.
    simulated : bool
        Whether they are simulated.
    notes : tuple of str
        What differs from the session file, and what a page about it must therefore say.
    """

    config: SessionConfig
    bundle: Bundle
    hop_seconds: float
    source: str
    simulated: bool
    notes: tuple[str, ...]

    @property
    def sample_seconds(self) -> float:
        """Seconds between two samples, as they come."""
        speed = self.config.source.speed if self.config.source is not None else 1.0
        return 1 / (self.bundle.signal.rate * float(speed))

    @property
    def external(self) -> bool:
        """Whether a program outside this rig makes the samples, which is then not broken."""
        return self.config.source is None


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
        If the bundle cannot be loaded or decodes epochs, or nothing simulates what it expects.
    """
    notes: list[str] = []
    bundle = Bundle.load(config.decoder.bundle)
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
    words, simulated = "", True
    if isinstance(config.source, SimulateSettings):
        words = f"the session file's own simulated participant, seed {config.source.seed}"
    elif isinstance(config.source, SinesSettings):
        words = "the session file's own source, a sine in every channel"
    elif source == "rig":
        words, simulated, config = _own(config)
    else:
        replay = config.source
        named = replay.file.name if isinstance(replay, ReplaySettings) else config.stream.source_id
        words, simulator = _simulated(bundle)
        stream = config.stream.model_copy(update={"source_id": None, "markers": None})
        config = config.with_sections(sources=(simulator,), streams=(stream,), network="machine")
        notes.append(
            f"The session file's source, {named}, was replaced by a simulated one of the same rate, channels and unit."
        )
    if config.decoder.provider != "cpu":
        notes.append(f"Decoded with {config.decoder.provider}.")
    speed = config.source.speed if config.source is not None else 1.0
    hop = bundle.hop * bundle.pipeline.ratio(bundle.signal) / bundle.signal.rate
    return Rig(config, bundle, hop / float(speed), words, simulated, tuple(notes))


def _own(config: SessionConfig) -> tuple[str, bool, SessionConfig]:
    """Return what the session file's own source is, and how it is run."""
    if isinstance(config.source, ReplaySettings):
        # A certification lasts longer than some recordings; a seam is a gap of one second, and marked as such.
        speed = 1.0 if config.source.speed == "max" else config.source.speed
        played = config.source.model_copy(update={"loop": True, "speed": speed})
        words = f"the recording {config.source.file.name}, played in a loop"
        return words, False, config.with_sections(sources=(played,))
    return f"the amplifier's own stream {config.stream.source_id}", False, config


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

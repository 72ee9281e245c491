"""Sections of a training file that describe a simulated experiment: participant, timing of trials, epochs."""

from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Field, JsonValue, model_validator

from bci.config.sources import Position, ScanSettings
from bci.errors import ConfigError
from models.settings import Section


class TrainingScan(ScanSettings):
    """TrainingScan says how the head of a simulated participant is scanned, and where it lies in training runs."""

    positions: Annotated[tuple[Position, ...], Field(max_length=1000)] = ()
    """Where the head lies in the runs of training, which take turns, each as in `position`. Each has a reference volume
    of its own, registered to that of `position`, as sessions on several days would. Absent: `position` in all."""

    @property
    def at_rest(self) -> dict[str, Any]:
        """What a `bci.sim.scanner.scanned.ScannedParticipant` takes."""
        return self.model_dump(exclude={"positions"})


class Participant(Section):
    """Participant describes the simulated participant; see ``[source]`` of a session file."""

    modality: Literal["eeg", "lfp", "fmri"] = "eeg"
    """What is recorded of the participant."""
    subject: Annotated[int, Field(ge=0, lt=2**31)] = 1
    """Whose anatomy, tuning and noise."""
    snr: Annotated[float, Field(gt=0, le=1e6)]
    """Signal-to-noise ratio of single trials, a ratio of variances."""
    units: Annotated[int, Field(ge=16, le=100_000)] | None = None
    """Early and higher units, or voxels."""
    tr: Annotated[float, Field(ge=0.2, le=10)] = 1.5
    """Seconds from volume to volume, of fMRI."""
    scanner: TrainingScan | None = None
    """Of fMRI: volumes of the head are scanned, run by run; absent means rows of voxels, in one run."""


#: Seconds in which nothing is shown.
Blank = Annotated[float, Field(gt=0, le=600)]


class Timing(Section):
    """Timing describes the trials, seconds."""

    train: Annotated[int, Field(ge=100, le=100_000)]
    """Pictures shown once each, to fit the readout."""
    test: Annotated[int, Field(ge=10, le=10_000)]
    """Other pictures, to score it; these are also written out as the stimuli of live sessions."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often each test picture is shown, single trials all the same."""
    runs: Annotated[int, Field(ge=2, le=1000)] = 6
    """How many runs the trials are divided into."""
    stimulus_s: Annotated[float, Field(gt=0, le=600)]
    """How long a picture is shown."""
    blank_s: Blank | Annotated[tuple[Blank, ...], Field(min_length=1, max_length=100)]
    """How long nothing is shown after it; several, of a participant in a scanner: runs take turns."""
    lead_in_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """Beside one blank, how long nothing is shown before the first picture: filters settle. Trials whose epoch comes
    before that are left out, as they are live."""

    @property
    def of_run(self) -> int:
        """How many trials a run of a scanner has."""
        return -(-self.train // self.runs)

    @property
    def every(self) -> float:
        """Seconds from flip to flip, which are the same in all runs.

        Raises
        ------
        ConfigError
            If they are not.
        """
        if isinstance(self.blank_s, tuple):
            raise ConfigError(
                f"[trials] blank_s: expected one, came {len(self.blank_s)}; only runs of a [participant.scanner] take "
                "turns. Choose one."
            )
        return self.every_of(0)

    def every_of(self, run: int) -> float:
        """Return the seconds from flip to flip in a run.

        >>> timing = Timing(train=100, test=10, stimulus_s=1.5, blank_s=(4.5, 13))
        >>> [timing.every_of(run) for run in range(3)]
        [6.0, 14.5, 6.0]
        """
        blanks = self.blank_s if isinstance(self.blank_s, tuple) else (self.blank_s,)
        return self.stimulus_s + blanks[run % len(blanks)]


class Cut(Section):
    """Cut describes the decoded part of a trial, seconds from the flip."""

    start: Annotated[float, Field(ge=-600, le=600)]
    """Begin of the epoch, from the flip."""
    stop: Annotated[float, Field(ge=-600, le=600)]
    """Its end."""
    mean: bool = False
    """Whether the samples of an epoch are averaged, channel by channel: for volumes around a response's peak."""

    @model_validator(mode="after")
    def _goes_on(self) -> Self:
        if not self.start < self.stop:
            raise ValueError(
                f"an epoch goes from start to a later stop; got {self.start:g} to {self.stop:g} s"
            )
        return self


class InSilico(Protocol):
    """An InSilico holds the sections of a training file that describe a simulated experiment."""

    @property
    def participant(self) -> Participant:
        """Who looks."""
        ...

    @property
    def trials(self) -> Timing:
        """How trials follow each other."""
        ...

    @property
    def pipeline(self) -> tuple[dict[str, JsonValue], ...]:
        """Steps from signal to epoch, as a bundle holds them."""
        ...

    @property
    def epoch(self) -> Cut:
        """What is cut around a flip."""
        ...

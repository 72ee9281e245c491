"""A System is one kind of decoder: its training, held-out trials, oracle and report.

Each lies in a folder of its own, ``models/systems/<name>/``, whose ``system.py`` holds its description under the name
``SYSTEM``. `models.systems.registry` finds it; commands and reports know systems by these promises alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from bci.config.display import DisplaySettings
from bci.decoder.bundle import Bundle
from bci.errors import AtChance
from bci.signal.types import Event, Signal
from models.datasets.comparable import ComparableTrials
from models.datasets.reader_trials import ReaderTrials
from models.reports.decoded import Decoded
from models.systems.reader import PictureReader

#: The kind of a training file or a bundle that names none.
UNNAMED = "decoder"

#: Takes the share done, 0 to 1, and a line of text.
Progress = Callable[[float, str], None]


class Train(Protocol):
    """A Train trains the decoder that a file describes, writes its bundle, and returns the scores.

    Raises
    ------
    ConfigError
        If the file cannot be used.
    BundleError
        If `out` holds something else than a bundle.
    AtChance
        If the decoder is no better than chance; see `check_worth`.
    """

    def __call__(
        self, path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool
    ) -> dict[str, Any]:
        """Train the file at `path` into the folder `out`; recordings' paths start from `data_root`."""
        ...


def check_worth(informed: bool, finding: str, even_at_chance: bool) -> dict[str, bool]:
    """Return what a bundle's scores say of chance, once it is known that the bundle may be written.

    Parameters
    ----------
    informed : bool
        Whether the decoder beats chance on what it was not trained on.
    finding : str
        The score beside chance, in words.
    even_at_chance : bool
        Whether a bundle is wanted all the same; it then says what it is, see `bci.decoder.spec.BundleSpec.at_chance`.

    Raises
    ------
    AtChance
        If it does not beat chance, and is not wanted all the same.
    """
    if not informed and not even_at_chance:
        raise AtChance(
            f"{finding}. That is no better than chance, so no bundle is written: it would draw pictures all the same. "
            "Look at the recordings (bci quality), train on more trials, or take --even-at-chance: the bundle then "
            "says so wherever it is used."
        )
    return {"beats_chance": informed}


class HeldOut(Protocol):
    """A HeldOut decodes the held-out trials of a bundle as a live session would.

    Raises
    ------
    BundleError
        If the bundle does not say what was held out.
    """

    def __call__(self, bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
        """Return the held-out trials of a bundle, and what it reads of each."""
        ...


class Oracle(Protocol):
    """An Oracle identifies the held-out trials by the model that generated them: a bound for every decoder.

    Raises
    ------
    BundleError
        If the trials cannot be made again.
    """

    def __call__(self, bundle: Bundle, *, snr: float | None = None) -> dict[str, dict[str, Any]]:
        """Return ``two_way``, ``n_way`` and ``candidates``, by what was averaged; at `snr` where it is given."""
        ...


class Report(Protocol):
    """A Report scores a bundle and writes its page, where a system adds to `models.reports.bundle`."""

    def __call__(
        self, bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
    ) -> dict[str, Any]:
        """Return what the page in the folder `out` says; `weights` holds networks that some metrics need."""
        ...


class Check(Protocol):
    """A Check opens what a training file names, as training will.

    Raises
    ------
    BciError
        If it cannot be used.
    """

    def __call__(self, path: Path, *, data_root: Path | None) -> list[str]:
        """Return what is not there yet, a line each; recordings' paths start from `data_root`."""
        ...


@dataclass(frozen=True, slots=True)
class FoundData:
    """A FoundData is what a training file's recordings hold.

    Attributes
    ----------
    columns : tuple of str
        Of the table: the recording, what is counted of it.
    rows : tuple of tuple
        A recording each, and their sum.
    left_out : mapping of str to int
        What is not used, by its reason.
    defects : tuple of str
        What the recordings say of themselves, a sentence each.
    figure : str
        HTML: the mean response of each class, or the course of a number.
    repeats : str
        How often each stimulus was shown, in words; empty where the recordings do not tell stimuli apart.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    left_out: Mapping[str, int]
    defects: tuple[str, ...]
    figure: str
    repeats: str = ""


def repeats_of(shown: NDArray[np.integer[Any]]) -> str:
    """Return how often each stimulus was shown, in words; `shown`, (n,), is the stimulus of each trial, from 0.

    >>> repeats_of(np.array([0, 1, 0, 2, 1, 0]))
    '3 stimuli, each shown 1 to 3 times'
    >>> repeats_of(np.array([1, 0]))
    '2 stimuli, each shown once'
    """
    counts = np.bincount(shown)
    counts = counts[counts > 0]
    low, high = int(counts.min()), int(counts.max())
    often = "once" if high == 1 else f"{high} times" if low == high else f"{low} to {high} times"
    return f"{len(counts)} stimuli, each shown {often}"


class FindData(Protocol):
    """A FindData opens what a training file names, as training will, and says what it found.

    Raises
    ------
    BciError
        If it cannot be used.
    """

    def __call__(self, path: Path, *, data_root: Path | None) -> FoundData:
        """Return what the recordings of the training file at `path` hold."""
        ...


class Comparable(Protocol):
    """A Comparable gives the training trials of a file, for a comparison of readouts."""

    def __call__(self, path: Path) -> ComparableTrials:
        """Return the training trials that the training file at `path` describes."""
        ...


class Shown(Protocol):
    """A Shown gives the trials of a file that systems are compared on: some to learn from, others to read.

    Raises
    ------
    BciError
        If the file or what it names cannot be used.
    """

    def __call__(self, path: Path, *, data_root: Path | None) -> ReaderTrials:
        """Return the trials that the training file at `path` describes, with pictures."""
        ...


class CalibrationFile(Protocol):
    """A CalibrationFile names the stream, the cued blocks, and the bundle that is fitted to them."""

    name: str
    network: str
    base: Path
    stream: Any
    blocks: Any
    states: Any

    @property
    def screen(self) -> DisplaySettings | None:
        """The window in which the participant is told what to do; None where the terminal is enough."""
        ...

    @property
    def seconds(self) -> float:
        """Seconds from the first cue to the last."""
        ...

    def cues(self) -> tuple[Event, ...]:
        """Return the cues in order, seconds after the first one."""
        ...


@dataclass(frozen=True, slots=True)
class Calibrating:
    """Calibrating is how a system fits one of its bundles to a participant who follows cues.

    Attributes
    ----------
    settings : callable
        Returns the model of a calibration file.
    load : callable
        Reads a calibration file.
    plan : callable
        Takes file, base bundle and signal; raises ConfigError or BundleError where they do not fit.
    fitter : callable
        Returns the function that takes file, base bundle, recording and progress, and returns the calibration with its
        scores, to be written; ModuleNotFoundError where a package of the system's extra is missing.
    """

    settings: Callable[[], type[BaseModel]]
    load: Callable[[Path], CalibrationFile]
    plan: Callable[[Any, Bundle, Signal], object]
    fitter: Callable[[], Callable[[Any, Bundle, Path, Progress], Any]]


@dataclass(frozen=True, slots=True)
class System:
    """A System describes one kind of decoder.

    Attributes
    ----------
    kind : str
        Name of the kind in training files and in the provenance of bundles.
    about : str
        Description in a few words.
    train : Train
    held_out : HeldOut
    oracle : Oracle, optional
        None where nothing knows the truth behind the trials.
    own_report : Report, optional
        None where the report on held-out trials and oracle says it all.
    check : Check
        How a training file is tried without training.
    settings : callable, optional
        Returns the model of its training file, for the reference of keys.
    find_data : FindData, optional
        None where training data are not read from recordings with markers or numbers.
    class_of : callable, optional
        Returns the class that a marker is of, as one of its bundles was trained; empty for none. None where the system
        reads no classes of events.
    comparable : Comparable, optional
        None where its training trials are not in runs, or have no latents.
    shown : Shown, optional
        None where its trials show no pictures that other systems could read.
    readers : callable, optional
        Returns its rows of the table of all brain readers; None where it takes no part.
    calibrating : Calibrating, optional
        None where its bundles cannot be fitted again to a participant.
    compares_pictures : bool
        Whether its latents are its own, and those of the pictures that were shown say nothing of them: what it read is
        compared as pictures, in `held_out` and after a session.
    extra : str
        The extra of this distribution that training needs.
    """

    kind: str
    about: str
    train: Train
    held_out: HeldOut
    check: Check
    oracle: Oracle | None = None
    own_report: Report | None = None
    settings: Callable[[], type[BaseModel]] | None = None
    find_data: FindData | None = None
    class_of: Callable[[Bundle, str], str] | None = None
    comparable: Comparable | None = None
    shown: Shown | None = None
    readers: Callable[[], tuple[PictureReader, ...]] | None = None
    calibrating: Calibrating | None = None
    compares_pictures: bool = False
    extra: str = "train"

    def report(
        self,
        bundle: Bundle,
        out: Path,
        *,
        data_root: Path | None = None,
        weights: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Score a bundle of this system on what it was not trained on, and write the page.

        Parameters
        ----------
        bundle : Bundle
            Of this system.
        out : Path
            Folder of ``index.html`` and ``report.json``.
        data_root : Path, optional
            Folder that recordings' paths start from; see `models.settings.find_data_root`.
        weights : Path, optional
            Folder of the networks that some metrics need.
        progress : callable, optional
            Takes the share done, 0 to 1, and a line of text.

        Raises
        ------
        BundleError
            If the bundle does not say what was held out.
        """
        say = progress or (lambda done, text: None)
        if self.own_report is not None:
            return self.own_report(bundle, out, data_root=data_root, weights=weights, progress=say)
        from models.reports.bundle import report_bundle

        decoded = self.held_out(
            bundle, data_root=data_root, progress=lambda done, text: say(0.4 * done, text)
        )
        say(0.4, "asking the oracle")
        return report_bundle(
            bundle,
            decoded,
            out,
            oracle=self.oracle(bundle) if self.oracle else None,
            weights=weights,
            progress=lambda done, text: say(0.5 + 0.5 * done, text),
        )

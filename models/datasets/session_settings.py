"""The ``[data]`` section of a training file: sessions of one's own, and what of them is which class."""

from pathlib import PurePath
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from models.settings import Positive, Section

#: Classes are the folders that the pictures lie in.
FOLDERS = "folders"


class BidsSettings(Section):
    """BidsSettings names recordings of a BIDS data set; the rows of events.tsv are markers (needs the extra bids)."""

    folder: Annotated[str, Field(min_length=1)]
    """The data set, below the data root, else below the folder in which the command runs."""
    subject: str | None = None
    """Whose recordings, without ``sub-``; needed where the data set has several participants."""
    session: str | None = None
    """Of which visit; absent means all."""
    task: str | None = None
    """Of which task; absent means all."""
    runs: tuple[str, ...] = ()
    """Which runs; absent means all."""
    files: tuple[str, ...] = ()
    """The recordings, by their paths in the data set, as they were found. Not to be written."""


class ArraySettings(Section):
    """ArraySettings names trials that were cut elsewhere: NumPy arrays ``X`` and ``y``, and ``runs`` and ``onsets``.

    ``X`` is (trials, channels, samples), or (trials, features), of which a decoder can only be evaluated; ``y`` has the
    class or the number of each trial, (trials,), or its latent, (trials, latent). ``runs``, (trials,), tells recordings
    apart; ``onsets``, (trials,), is where in its run each trial was cut, counted in samples after the pipeline: trials
    that overlap a scored one are then not fitted on. Without it no two overlap.
    """

    files: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, max_length=1000)]
    """Archives (.npz), or folders that hold X.npy, y.npy and the like, below the data root, else below the folder in
    which the command runs. Each is a run, unless its trials say their runs."""
    X: str = "X"
    """What the array of trials is called."""
    y: str = "y"
    """What the array is called that says what each trial is."""
    runs: str | None = None
    """What the array of runs is called; absent means runs, where there is one."""
    onsets: str | None = None
    """What the array of onsets is called; absent means onsets, where there is one."""
    rate: Positive | None = None
    """Samples per second of the stream from which trials were cut, before [[pipeline]], which says through which steps
    they went. Absent, a decoder of them can be evaluated, not run live."""

    @field_validator("files")
    @classmethod
    def _no_way_up(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        return _below(files, "a file of arrays")


class SessionsSettings(Section):
    """SessionsSettings names what was recorded: sessions of ours that `bci run` left; or BIDS; or arrays of trials.

    Each session is a path, or a pattern such as ``sessions/*-collect``, below the data root, else below the folder in
    which the command runs, as ``bci run --out`` is. Trials that were aborted are left out and counted.
    """

    sessions: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    """Folders of sessions, in order of time; each is a run. All of one participant."""
    bids: BidsSettings | None = None
    """Recordings of a BIDS data set, in place of sessions; [classes] says what `trial_type` is of which class."""
    arrays: ArraySettings | None = None
    """Trials that were cut elsewhere, as NumPy arrays, in place of sessions; [classes] says what `y` is of which class,
    without it each value of `y` is a class."""
    stream: str | None = None
    """Which stream of theirs, by role or source id, where they have several; absent means the first."""
    classes: Annotated[str, Field(min_length=1)] = FOLDERS
    """Where the training file has no [classes]: "folders", each picture is of the class that its folder is called like;
    or the path of a table (.csv, .tsv) with the columns picture and class."""
    kinds: tuple[str, ...] = ()
    """Which trials, by what `type` is in trials.csv: stimulus, cue, imagine … Absent means those of pictures that are
    no repeats to be answered, and with [classes] all whose marker matches."""

    @field_validator("sessions")
    @classmethod
    def _no_way_up(cls, sessions: tuple[str, ...]) -> tuple[str, ...]:
        return _below(sessions, "a session")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = {
            "sessions": bool(self.sessions),
            "bids": self.bids is not None,
            "arrays": self.arrays is not None,
        }
        came = [name for name, is_given in given.items() if is_given]
        if len(came) != 1:
            raise ValueError(
                f"expected sessions, or bids, or arrays, came {' and '.join(came) or 'none'}: name what was recorded"
            )
        return self

    @model_validator(mode="after")
    def _a_table_or_folders(self) -> Self:
        if self.classes != FOLDERS and PurePath(self.classes).suffix.lower() not in (".csv", ".tsv"):
            raise ValueError(f'classes: expected "{FOLDERS}" or a table (.csv, .tsv), came {self.classes!r}')
        return self


def _below(paths: tuple[str, ...], what: str) -> tuple[str, ...]:
    for path in paths:
        if not path or ".." in PurePath(path).parts:
            raise ValueError(f"{what} is named by its path, without ..; came {path!r}")
    return paths

"""The ``[data]`` section of a training file: sessions of one's own, and what of them is which class."""

from pathlib import PurePath
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from models.settings import Section

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


class SessionsSettings(Section):
    """SessionsSettings names sessions of ours: what `bci run` left, with a decoder or without; or a BIDS data set.

    Each session is a path, or a pattern such as ``sessions/*-collect``, below the data root, else below the folder in
    which the command runs, as ``bci run --out`` is. Trials that were aborted are left out and counted.
    """

    sessions: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    """Folders of sessions, in order of time; each is a run. All of one participant."""
    bids: BidsSettings | None = None
    """Recordings of a BIDS data set, in place of sessions; [classes] says what `trial_type` is of which class."""
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
        for path in sessions:
            if not path or ".." in PurePath(path).parts:
                raise ValueError(f"a session is named by its path, without ..; came {path!r}")
        return sessions

    @model_validator(mode="after")
    def _sessions_or_a_data_set(self) -> Self:
        if bool(self.sessions) == (self.bids is not None):
            raise ValueError(
                f"expected sessions, or bids, came {'both' if self.sessions else 'neither'}: name what was recorded"
            )
        return self

    @model_validator(mode="after")
    def _a_table_or_folders(self) -> Self:
        if self.classes != FOLDERS and PurePath(self.classes).suffix.lower() not in (".csv", ".tsv"):
            raise ValueError(f'classes: expected "{FOLDERS}" or a table (.csv, .tsv), came {self.classes!r}')
        return self

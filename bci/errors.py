"""Everything this system expects to go wrong, as one tree.

::

    BciError                    exit status 2: the message says what was expected, what came, what to do
    ├── ConfigError             a session file, an option or a path cannot be used
    │   └── StimulationRefused  phosphenes: charges that do not cancel, or currents above an electrode's limit
    ├── StreamError             a Lab Streaming Layer stream cannot be used
    │   ├── StreamNotFound      nothing with that source id is on the network
    │   ├── StreamMismatch      another rate, channel count, unit or type than the session or bundle expects
    │   ├── StreamTimeError     stamps of another clock or unit of time, another rate than stated: no restart helps
    │   └── DuplicateStream     two outlets claim one source id
    ├── RecordingError          a file cannot be read as a recording
    │   └── DiskError           a recording cannot be written on: the disk is full or fails
    ├── DataError               trials, latents, masks or weights do not fit each other or the model
    ├── AtChance                a decoder was trained and is no better than chance: exit status 3
    ├── BundleError             a bundle is damaged, incomplete, hostile or of an unknown version
    │   └── BundleMismatch      a sound bundle that does not fit this stream
    ├── ProviderError           the compute provider asked for is not available or not exact enough
    ├── RingError               shared memory is missing, too small or of another layout
    │   └── Overrun             the writer has overtaken a reader
    ├── MalformedCommand        a message to the control plane is no command
    ├── DisplayError            no such monitor, or the screen could not be opened
    └── ProgramError            a program of the line did not start, died or hung

Expected failures descend from `BciError`; everything else travels to the top unhidden. An error about a name that
is not known says which known one is `nearest`.
"""

import difflib
import errno
from collections.abc import Iterable, Mapping


class BciError(Exception):
    """An expected failure; its message says what was expected, what came and what to do.

    Attributes
    ----------
    restart_helps : bool
        Whether a program that failed with it may work when it is started again.
    """

    restart_helps = True


class ConfigError(BciError):
    """A session file, an option or a path cannot be used."""


class StimulationRefused(ConfigError):
    """A stimulation whose charges do not cancel, or that is above the limits of an electrode."""


class StreamError(BciError):
    """A Lab Streaming Layer stream cannot be used."""


class StreamNotFound(StreamError):
    """Nothing with that source id is on the network."""


class StreamMismatch(StreamError):
    """A stream has another rate, channel count, unit or type than expected."""


class StreamTimeError(StreamError):
    """A stream's stamps are of another clock or unit of time, or its samples come at another rate than it states."""

    restart_helps = False


class DuplicateStream(StreamError):
    """Two outlets claim one source id."""


class RecordingError(BciError):
    """A file cannot be read as a recording."""


class DiskError(RecordingError):
    """A file cannot be written on: the disk is full or fails. Of a recording the message says what is safe on disk."""

    #: Errors of the operating system that are the disk's, not the program's: full, over quota, read-only, broken.
    NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})

    #: Those of a place that may not be written to, which no free space helps.
    FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

    @classmethod
    def of(cls, path: object, error: OSError) -> "DiskError":
        """Return the error that says which file the disk did not take, and why."""
        why = error.strerror or str(error)
        do = (
            "Change the permissions of its folder, or work on a copy elsewhere."
            if error.errno in cls.FORBIDDEN
            else "Free space, or name a folder on another disk with --out."
        )
        return cls(f"{path} cannot be written: {why}. {do}")


class DataError(BciError):
    """Trials, latents, masks or weights do not fit each other or the model; the message names both sides."""


class AtChance(BciError):
    """A decoder was trained and is no better than chance, so that no bundle of it is written."""


class BundleError(BciError):
    """A bundle is damaged, incomplete, hostile or of an unknown version."""


class BundleMismatch(BundleError):
    """A sound bundle that does not fit this stream."""


class ProviderError(BciError):
    """The compute provider asked for is not available or not exact enough."""


class RingError(BciError):
    """Shared memory is missing, too small or of another layout."""


class Overrun(RingError):
    """The writer has overtaken a reader; `lost` samples from `first` on are gone.

    Parameters
    ----------
    first : int
        Absolute count of the first sample that is gone.
    lost : int
        How many samples are gone.
    """

    def __init__(self, message: str, first: int, lost: int) -> None:
        super().__init__(message)
        self.first = first
        self.lost = lost


class MalformedCommand(BciError):
    """A message to the control plane is no command.

    Parameters
    ----------
    id, kind : str
        What could be read of it; empty where nothing could.
    """

    def __init__(self, message: str, id: str = "", kind: str = "") -> None:
        super().__init__(message)
        self.id, self.kind = id, kind


class DisplayError(BciError):
    """No such monitor, or the screen could not be opened."""


class ProgramError(BciError):
    """A program of the line did not start, died or hung."""


def counted(counts: Mapping[str, int]) -> str:
    """Return what was counted, in words.

    >>> counted({"gap": 3, "settling": 1}), counted({})
    ('3 gap, 1 settling', 'none')
    """
    return ", ".join(f"{count} {what}" for what, count in counts.items()) or "none"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return in brackets a question that names the known word nearest to `word`; nothing where none is near.

    Of two that are as near, one with the same letters in another order goes first.

    >>> nearest("spede", ["speed", "loop"]), nearest("moon", ["speed", "loop"]), nearest("sede", ["side", "seed"])
    (" (did you mean 'speed'?)", '', " (did you mean 'seed'?)")
    """
    by_letters, written = {one.casefold(): one for one in known}, word.casefold()[:200]
    close = difflib.get_close_matches(written, by_letters, n=3, cutoff=0.7)
    close.sort(key=lambda one: sorted(one) != sorted(written))
    return f" (did you mean {by_letters[close[0]]!r}?)" if close else ""

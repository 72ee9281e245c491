"""The table of feedback: what was read, and what the participant was shown for it, time by time.

``feedback.csv`` unblinds control runs: in a real run the two are the same value. A restarted engine writes
``feedback-2.csv`` and so on.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from bci.errors import ConfigError
from stimuli.part_table import PartTable, read_parts

_NAME = "feedback"


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """One picture of feedback.

    Attributes
    ----------
    trial : int
        Whose.
    time : float
        When the display was asked for it, session seconds; it flips with the next refresh.
    since : float
        The same, seconds from when the trial was due.
    frame : int
        The reconstruction that was newest then; -1 for none that is fresh and valid.
    read, shown : float
        The value of that reconstruction, and the value that the picture stands for; NaN for none.
    """

    trial: int
    time: float
    since: float
    frame: int
    read: float
    shown: float


class FeedbackTable:
    """The table that one engine writes.

    Parameters
    ----------
    folder : Path
        The session's; the file is there with its first row.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._table: PartTable | None = None

    def write(self, row: FeedbackRow) -> None:
        """Append a row; it is on the disk when the table is closed, and soon in any case."""
        if self._table is None:
            self._table = PartTable(self._folder, _NAME, [field.name for field in fields(FeedbackRow)])
        self._table.append([astuple(row)], sync=False)

    def close(self) -> None:
        """Close the file."""
        if self._table is not None:
            self._table.close()


def read_feedback(folder: Path) -> Iterator[FeedbackRow]:
    """Yield the rows of a session's feedback, over all its parts; none where it showed none.

    Raises
    ------
    ConfigError
        If a row is not whole.
    """
    for row in read_parts(folder, _NAME):
        try:
            yield FeedbackRow(
                int(row["trial"]),
                float(row["time"]),
                float(row["since"]),
                int(row["frame"]),
                float(row["read"]),
                float(row["shown"]),
            )
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"{folder}, feedback.csv: expected rows of feedback, came one without {error}. Was it edited?"
            ) from None

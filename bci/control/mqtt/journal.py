"""The CommandJournal is ``control.csv``: every command of a session with its time, id, kind, payload and answer."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

from bci.control.mqtt.commands import CommandAnswer, CommandVerdict
from bci.control.mqtt.gate import Judgement
from bci.io.files.cells import read_rows, write_rows

JOURNAL_FIELDS = ("time", "node", "id", "kind", "payload", "verdict", "detail", "acted", "at", "repeated")

#: A flood fills no disk: after so many rows only what was let in gets one. The counts on the board go on.
MOST_ROWS = 100_000

#: Of a payload that is no command so much is kept, bytes.
_KEPT = 200


class CommandJournal:
    """The journal of one session; a successor of a killed program goes on in the same file.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        fresh = not path.exists()
        self.unwritten = 0
        """Rows that the disk did not take."""
        self._path = path
        self._file = path.open("a", newline="", encoding="utf-8")
        self._rows = 0
        if fresh:
            write_rows(self._file, [JOURNAL_FIELDS])
            self._file.flush()

    def answers(self) -> Iterator[CommandAnswer]:
        """Yield what the supervisor had answered before this journal was opened again; damaged rows are left out."""
        for row in read_rows(self._path.read_text(encoding="utf-8", errors="replace")):
            try:
                if not row["payload"] and row["verdict"]:
                    yield CommandAnswer(
                        id=row["id"],
                        kind=row["kind"],
                        verdict=CommandVerdict(row["verdict"]),
                        detail=row["detail"],
                        at=float(row["at"]),
                        acted=float(row["acted"]) if row["acted"] else None,
                    )
            except (KeyError, TypeError, ValueError):
                continue

    def heard(self, time: float, judgement: Judgement, payload: bytes) -> None:
        """Write down a message: with its answer, or open where the supervisor has still to give it.

        Parameters
        ----------
        time : float
            When it came, session seconds.
        judgement : Judgement
            What became of it.
        payload : bytes
            What it held.
        """
        self._rows += 1
        if self._rows > MOST_ROWS and not judgement.let_in:
            return
        command, answer = judgement.command, judgement.answer
        text = command.model_dump_json() if command is not None else repr(payload[:_KEPT])
        id = command.id if command is not None else answer.id if answer is not None else ""
        kind = command.kind if command is not None else answer.kind if answer is not None else ""
        self._write(time, judgement.node, id, kind, text, answer, judgement.repeated)

    def answered(self, time: float, node: str, answer: CommandAnswer) -> None:
        """Write down the supervisor's answer, in a row of its own without a payload."""
        self._write(time, node, answer.id, answer.kind, "", answer, False)

    def _write(
        self,
        time: float,
        node: str,
        id: str,
        kind: str,
        text: str,
        answer: CommandAnswer | None,
        repeated: bool,
    ) -> None:
        verdict, detail = (answer.verdict, answer.detail) if answer is not None else ("", "")
        acted = (
            ""
            if answer is None or answer.acted is None or math.isnan(answer.acted)
            else f"{answer.acted:.6f}"
        )
        at = "" if answer is None else f"{answer.at:.6f}"
        row = (f"{time:.6f}", node, id, kind, text, str(verdict), detail, acted, at, int(repeated))
        try:
            write_rows(self._file, [row])
            self._file.flush()
        except OSError:
            self.unwritten += 1

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()

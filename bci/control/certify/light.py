"""A Light records the photodiode's own stream beside the session that is certified, where there is one."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bci.control.certify.rig import Rig
from bci.errors import RecordingError
from bci.session.onset import true_onset
from bci.session.photodiode import Onset

#: How long `bci record` may take to finish its file, seconds.
_FINISH_S = 30.0


class Light:
    """A Light records the photodiode's stream until stopped; it does nothing where the session file names none.

    A photodiode that is plugged into the amplifier is in the session's own recording and needs nothing either.

    Parameters
    ----------
    rig : Rig
        The certified rig.
    folder : Path
        Folder of the recording.
    """

    def __init__(self, rig: Rig, folder: Path) -> None:
        stream = rig.config.display.photodiode_stream
        self._words = folder / "light.txt"
        self._process: psutil.Popen | None = None
        own = {said for s in rig.config.streams for said in (s.source_id, s.name, s.lsl_name)}
        if stream is not None and stream not in own:
            command = [
                sys.executable,
                "-m",
                "bci",
                "record",
                stream,
                "--out",
                str(folder / "light"),
                "--json",
            ]
            with self._words.open("w", encoding="utf-8") as words:
                self._process = psutil.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.DEVNULL
                )

    def onset(self, session: Path) -> Onset:
        """Stop recording, and return the measured onset of light in a session."""
        try:
            return true_onset(session, self._finish())
        except RecordingError as error:
            return Onset.unknown(str(error))

    def _finish(self) -> Path | None:
        """Return the file, None where none was needed.

        Raises
        ------
        RecordingError
            If it could not be recorded.
        """
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.terminate()
        with contextlib.suppress(psutil.TimeoutExpired):
            self._process.wait(_FINISH_S)
        lines = self._words.read_text(encoding="utf-8").splitlines()
        result = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        if result.get("status") != "done":
            raise RecordingError(result.get("message") or "the photodiode's stream could not be recorded")
        return Path(result["recording"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

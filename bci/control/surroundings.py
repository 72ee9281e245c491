"""A NetworkSnapshot keeps in a session's folder how the network stood when a stream was missing."""

import logging
import subprocess
import sys
from pathlib import Path

#: In the session's folder.
NETWORK = "network.json"

#: Seconds that are waited for it when the session ends.
_PATIENCE_S = 5.0

log = logging.getLogger(__name__)


class NetworkSnapshot:
    """A NetworkSnapshot is taken once, by a process of its own: looking around takes seconds.

    Parameters
    ----------
    folder : Path
        The session's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / NETWORK
        self._child: subprocess.Popen[bytes] | None = None

    def take(self, why: str) -> None:
        """Begin to look around, unless that was done; returns at once."""
        if self._child is not None:
            return
        log.info("%s: how the network stands is kept in %s", why, NETWORK)
        command = [sys.executable, "-P", "-m", "bci.io.lsl.surroundings", str(self._file)]
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        """Wait a little for one that was begun."""
        if self._child is None:
            return
        try:
            status = self._child.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        if status:
            log.warning("how the network stood could not be written to %s", self._file)

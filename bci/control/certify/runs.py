"""A CertifiedRun runs one session of a certification from outside: starts, follows, freezes or kills it, and reads it.

Its supervisor is a process of its own, with programs of its own: nothing here shares memory with it.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from bci.config.session import SessionConfig
from bci.control.certify.breaking import Fault, read_journal
from bci.signal.clock import Clock

_LOOK_EVERY = 0.1
_SEGMENTS = Path("/dev/shm")

#: Called with a run's state: seconds since it runs, and the last event.
Observe = Callable[[float, str], None]


class CertifiedRun:
    """A CertifiedRun is one started session; it is a context manager that leaves no process behind.

    Parameters
    ----------
    name : str
        Name of its files in `folder`.
    config : SessionConfig
        Settings of the session.
    folder : Path
        The certificate's folder.
    clock : Clock
        The session clock.
    hop_seconds : float
        Seconds between two reconstructions.
    faults, exhaust, hold
        As `bci.control.certify.breaking.Breaker` takes them.

    Attributes
    ----------
    journal : list of dict
        Events so far.
    """

    def __init__(
        self,
        name: str,
        config: SessionConfig,
        folder: Path,
        clock: Clock,
        hop_seconds: float,
        *,
        faults: Sequence[Fault] = (),
        exhaust: str | None = None,
        hold: bool = False,
    ) -> None:
        self.name, self.config = name, config
        self.journal: list[dict[str, Any]] = []
        self._clock = clock
        self._path = folder / f"{name}.journal"
        plan = folder / f"{name}.plan.json"
        plan.write_text(
            json.dumps(
                {
                    "config": config.model_dump(mode="json"),
                    "out": str(folder / "sessions"),
                    "journal": str(self._path),
                    "parent": os.getpid(),
                    "hop_seconds": hop_seconds,
                    "faults": [(fault.program, fault.how) for fault in faults],
                    "exhaust": exhaust,
                    "hold": hold,
                },
                indent=1,
            ),
            encoding="utf-8",
        )
        self._words = folder / f"{name}.txt"
        with self._words.open("w", encoding="utf-8") as words:
            self.process = psutil.Popen(
                [sys.executable, "-m", "bci.control.certify.session", str(plan)],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
            )

    # -- following ---------------------------------------------------------------------------------------

    def follow(self, observe: Observe, until: Callable[["CertifiedRun"], bool] | None = None) -> None:
        """Return when the session has ended, or `until` holds."""
        while True:
            ended = self.process.poll() is not None
            self.journal = read_journal(self._path)
            observe(*self._stand())
            if ended or (until is not None and until(self)):
                return
            self._clock.sleep_until(self._clock.now() + _LOOK_EVERY)

    def happened(self, event: str) -> list[dict[str, Any]]:
        """Return every line of the journal with this event."""
        return [line for line in self.journal if line["event"] == event]

    @property
    def session(self) -> Path | None:
        """The session's folder, or None where none was made."""
        begun = self.happened("session")
        return Path(begun[0]["folder"]) if begun else None

    @property
    def summary(self) -> dict[str, Any] | None:
        """The session's own summary, or None where it wrote none."""
        ended = self.happened("ended")
        return dict(ended[-1]["summary"]) if ended else None

    @property
    def trouble(self) -> str:
        """Why there is no summary; empty where there is one."""
        if self.summary is not None:
            return ""
        failed = self.happened("failed")
        if failed:
            return f"{failed[-1]['error']}: {failed[-1]['message']}"
        if self.happened("never well"):
            return "it showed no pictures for so long that nothing was done to it"
        words = self._words.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return words[-1] if words else f"it ended with status {self.process.poll()}"

    def _stand(self) -> tuple[float, str]:
        times = self.happened("time")
        broken = self.happened("broken")
        last = f"{broken[-1]['program']} {broken[-1]['how']}" if broken else ""
        return float(times[-1]["elapsed"]) if times else 0.0, last

    # -- the supervisor itself ---------------------------------------------------------------------------

    def freeze(self, seconds: float) -> dict[str, Any]:
        """Freeze the supervisor for so long; return when it was, as the journal tells of a fault."""
        at, wall = self._clock.now(), time.time()
        self.process.suspend()
        try:
            self._clock.sleep_until(at + seconds)
        finally:
            self.process.resume()
        return {"program": "supervisor", "how": "frozen", "at": at, "wall": wall, "until": self._clock.now()}

    def kill(self, patience: float) -> dict[str, Any]:
        """Kill the supervisor; return when, and how long each of its programs lived on (None: longer)."""
        names = self._names()
        # Python's own resource tracker outlives them all and clears the shared memory away: it has no name here.
        programs = {child: names.get(child.pid, "") for child in self.process.children(recursive=True)}
        lived: dict[str, float | None] = {name: None for name in programs.values() if name}
        at, wall = self._clock.now(), time.time()
        self.process.kill()
        self.process.wait()
        while programs and self._clock.now() - at < patience:
            for child, name in list(programs.items()):
                if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
                    del programs[child]
                    if name:
                        lived[name] = self._clock.now() - at
            self._clock.sleep_until(self._clock.now() + 0.02)
        for child in programs:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        return {"program": "supervisor", "how": "killed", "at": at, "wall": wall, "lived_s": lived}

    def _names(self) -> dict[int, str]:
        """Return the session's programs by process id, as its log tells."""
        started = re.findall(r"([\w:]+) started as process (\d+)", self._log())
        return {int(pid): name for name, pid in started}

    def _log(self) -> str:
        if self.session is None:
            return ""
        return (self.session / "log.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def segments(self) -> list[str] | None:
        """Segments of the session that remain in shared memory; None where the system does not list them."""
        if not _SEGMENTS.is_dir() or self.session is None:
            return None
        key = re.search(r"shared memory (\w+)", self._log())
        return sorted(p.name for p in _SEGMENTS.iterdir() if key and p.name.startswith(key[1]))

    # -- the end -----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let the session end; kill what does not."""
        with contextlib.suppress(psutil.NoSuchProcess):
            family = self.process.children(recursive=True)
            with contextlib.suppress(psutil.TimeoutExpired):
                self.process.terminate()
                self.process.wait(30)
            for process in (self.process, *family):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def __enter__(self) -> "CertifiedRun":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.close()

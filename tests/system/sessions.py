"""Sessions: how system tests run the real command and read what it left."""

import atexit
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from commands import COLUMNS, Done

LONGEST = 120.0

#: Lines of ``[display]``: neutral for what is broken, not for a machine that has other things to do for some seconds.
PATIENT_SCREEN = "fresh_for = 4\ndata_age_limit = 4\nheartbeat_limit = 4"


def start(*words: object) -> subprocess.Popen[str]:
    """Start `bci` as a person would, in a process group of its own, of which nothing is left when tests end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bci", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | COLUMNS,
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finish(process: subprocess.Popen[str]) -> Done:
    """Wait for the end of a command; its last line of output is the result, where it gave one."""
    try:
        out, err = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"the command did not end within {LONGEST} s\n{out}\n{err}") from None
    return Done.of(process.returncode, out, err)


def bci(*words: object) -> Done:
    """Run `bci` with these words to its end."""
    return finish(start(*words))


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as `condition` holds; fail with `what` when it never does."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"within {LONGEST} s: {what} never happened")


def only_folder(out: Path) -> Path | None:
    """Return the one session's folder under `out`, or None before it is there."""
    found = sorted(out.iterdir()) if out.is_dir() else []
    return found[0] if found else None


def rows_in(path: Path) -> int:
    """Return how many rows a table that is being written has so far."""
    return max(0, path.read_text(encoding="utf-8").count("\n") - 1) if path.exists() else 0


def segments_of(folder: Path) -> set[str]:
    """Return what is left in shared memory of the session that wrote this folder (Linux)."""
    found = re.search(r"shared memory (\w+)", (folder / "log.txt").read_text(encoding="utf-8"))
    assert found, "the log does not name the session's shared memory"
    memory = Path("/dev/shm")
    return {p.name for p in memory.iterdir() if p.name.startswith(found[1])} if memory.is_dir() else set()

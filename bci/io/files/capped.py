"""A capped child is a process with limited memory and time that parses a file of unknown origin.

A hundred bytes of ONNX can ask for 64 GiB, and a small .fif.gz can unpack to terabytes. So files from elsewhere are
first read by a child process within limits of memory and time, called a sandbox run: ``RLIMIT_AS`` bounds its memory
on Linux, and on all systems the parent checks it every few milliseconds and kills it beyond its limits.

::

    parent  ask(module, request, limits …) ──> python -m module:  answer(handle)
                answer, or a refusal      <──       handle(request)
"""

import contextlib
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bci.errors import BciError
from bci.io.files.scratch import scratch_file

#: Seconds of wall time for each of processor time that a child may use.
PATIENCE = 5.0

_LOOK_EVERY_S = 0.01

#: Seconds that are given to the end of a child that was killed.
_ENDS_WITHIN_S = 10.0

#: Bytes that are read of a child's answer and of its last log line.
_LONGEST_ANSWER = 16 << 20

#: Devices that a library may open for its own purposes.
_HARMLESS = frozenset({os.devnull, "/dev/urandom", "/dev/random"})

#: Bytes that a child may write to files; it has no reason to write any but its answer.
_MOST_WRITTEN = 64 << 20


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """A ChildLimits holds what a capped child may use, and the words of the error if it exceeds that.

    Attributes
    ----------
    memory : int
        Bytes of memory.
    seconds : float
        Seconds of processor time; of wall time `PATIENCE` times as many, since the machine may be busy.
    expected : str
        What was expected of the file: "graphs that load and run".
    advice : str
        What to do otherwise, a sentence.
    """

    memory: int
    seconds: float
    expected: str
    advice: str


def nothing() -> None:
    """Do nothing while a child process works: the default of `meanwhile`."""


def ask(
    module: str,
    request: Mapping[str, Any],
    limits: ChildLimits,
    refuse: Callable[[str], BciError],
    meanwhile: Callable[[], None] = nothing,
) -> dict[str, Any]:
    """Start a capped child process, send it a request, and return its answer.

    Parameters
    ----------
    module : str
        The child is ``python -m module``, which calls `answer`.
    request : mapping
        Plain values, as JSON holds them.
    limits : ChildLimits
        What the child may use.
    refuse : callable
        Makes the error to raise when the child refuses, dies or exceeds its limits, from the error's words.
    meanwhile : callable
        Called once while the child works; the child's deadline starts after it.
    """
    message = {"memory": limits.memory, "seconds": limits.seconds, "request": request}
    # Files, not pipes: this process does not read while the child works, and a full pipe would stop the child.
    with scratch_file() as question, scratch_file() as reply_file, scratch_file() as log:
        question.write(json.dumps(message).encode())
        question.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=question,
            stdout=reply_file,
            stderr=log,
            env=child_environment(),
        )
        try:
            meanwhile()
            wait_within(child, limits, refuse)
        finally:
            child.kill()
            # A child that hangs in a driver outlives even that: then it is left behind, and the caller goes on.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_ENDS_WITHIN_S)
        answer = _last_line(reply_file)
        if child.returncode != 0 or not answer:
            raise refuse(
                f"expected {limits.expected}, but the process that tried it ended with exit status "
                f"{child.returncode} ({_last_line(log) or 'no message'}). {limits.advice}"
            )
    reply: dict[str, Any] = json.loads(answer)
    if "refused" in reply:
        raise refuse(reply["refused"])
    if "answer" not in reply:
        raise refuse(_too_much(limits))
    content: dict[str, Any] = reply["answer"]
    return content


def answer(handle: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Answer one request in the child process, with the return value of `handle` or the text of its `BciError`."""
    message = json.loads(sys.stdin.buffer.read())
    if sys.platform == "linux":
        import resource

        limits = {
            resource.RLIMIT_AS: message["memory"],
            resource.RLIMIT_FSIZE: _MOST_WRITTEN,
            # The parent's limit is reached first; this one ends a child whose parent has died.
            resource.RLIMIT_CPU: int(2 * message["seconds"]) + 10,
        }
        for kind, limit in limits.items():
            _, most = resource.getrlimit(kind)
            limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
            resource.setrlimit(kind, (limit, limit))
    sys.addaudithook(_open_only_files)
    reply: dict[str, Any]
    try:
        reply = {"answer": handle(message["request"])}
    except BciError as refusal:
        reply = {"refused": str(refusal)}
    except MemoryError:
        reply = {}
    sys.stdout.write("\n" + json.dumps(reply) + "\n")


def _open_only_files(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse, in the child, to open what a file of unknown origin names and what would hang: a pipe, a device."""
    if event != "open" or not isinstance(arguments[0], str | bytes) or arguments[0] in _HARMLESS:
        return
    try:
        mode = os.stat(arguments[0]).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(f"{os.fsdecode(arguments[0])}: expected a regular file, came a pipe or a device")


def wait_within(
    child: "subprocess.Popen[bytes]", limits: ChildLimits, refuse: Callable[[str], BciError]
) -> None:
    """Wait for the child to end; raise `refuse`'s error when it exceeds its memory or time."""
    import psutil  # only here: the child imports this module, too, and its start should be fast

    deadline = time.monotonic() + PATIENCE * limits.seconds
    process = psutil.Process(child.pid)
    while True:
        try:
            child.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        try:
            rss, spent = process.memory_info().rss, sum(process.cpu_times()[:2])
        except psutil.Error:
            continue  # the child ended between the wait and this check
        if rss > limits.memory:
            raise refuse(_too_much(limits))
        if spent > limits.seconds or time.monotonic() > deadline:
            raise refuse(
                f"expected {limits.expected} within {limits.seconds:g} s, and it had not ended then. {limits.advice}"
            )


def printable(error: BaseException) -> str:
    """Return an error's text on one line of at most 300 characters; names out of a file may hold anything."""
    text = "".join(c if c.isprintable() else " " for c in f"{type(error).__name__}: {error}")
    return text if len(text) <= 300 else f"{text[:150]} … {text[-149:]}"


def _too_much(limits: ChildLimits) -> str:
    return f"expected {limits.expected} in {limits.memory / 2**30:.3g} GiB, came more. {limits.advice}"


def child_environment() -> dict[str, str]:
    """Return the child's environment: it finds this package, and its libraries start no threads of their own."""
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, "PYTHONPATH": path, **alone}


def _last_line(file: IO[bytes]) -> str:
    """Return the last line that is not empty."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LONGEST_ANSWER))
    lines = file.read().decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "")

"""A capped child parses what nobody knows yet, in a process of its own where it can neither fill memory nor hang.

A hundred bytes of ONNX can ask for 64 GiB, a small .fif.gz can unpack to terabytes, and whoever loads them pays. So
files from elsewhere are first read by a child that may use so much memory and so many seconds and no more:
``RLIMIT_AS`` bounds it on Linux, and everywhere the parent looks at its memory every few milliseconds and kills it.

::

    parent  ask(module, request, limits …) ──> python -m module:  answer(handle)
                answer, or a refusal      <──       handle(request)
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bci.errors import BciError

#: Seconds of wall time for each of processor time that a child may use.
PATIENCE = 5.0

_LOOK_EVERY_S = 0.01

#: What is read of a child's answer and of its last words, bytes.
_LONGEST_ANSWER = 16 << 20

#: Files that a child may write, bytes; it has no reason to write any but its answer.
_MOST_WRITTEN = 64 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use, and the words for one that wants more.

    Attributes
    ----------
    memory : int
        Bytes.
    seconds : float
        Of processor time; of wall time `PATIENCE` times as many, on a machine that has other things to do.
    expected : str
        What was expected of it: "graphs that load and run".
    advice : str
        What to do when it is not so, a sentence.
    """

    memory: int
    seconds: float
    expected: str
    advice: str


def nothing() -> None:
    """Do nothing while a child works."""


def ask(
    module: str,
    request: Mapping[str, Any],
    limits: Limits,
    refuse: Callable[[str], BciError],
    meanwhile: Callable[[], None] = nothing,
) -> dict[str, Any]:
    """Have a module's `answer` to a request, from a capped child process.

    Parameters
    ----------
    module : str
        Run as ``python -m module``; calls `answer`.
    request : mapping
        Plain values, as JSON holds them.
    limits : Limits
        What the child may use.
    refuse : callable
        Makes the error of a refusal, or of a child that wanted too much or died, out of its words.
    meanwhile : callable
        Called while the child works; its time is not the child's.
    """
    told = {"memory": limits.memory, "seconds": limits.seconds, "request": request}
    # Files, not pipes: nobody reads while the child works, and a full pipe would stop it.
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as log:
        asked.write(json.dumps(told).encode())
        asked.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", module], stdin=asked, stdout=said, stderr=log, env=_environment()
        )
        try:
            meanwhile()
            watch(child, limits, refuse)
        finally:
            child.kill()
            child.wait()
        answer = _last_line(said)
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
    found: dict[str, Any] = reply["answer"]
    return found


def answer(handle: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Answer one request in the child: what `handle` returns, or the words of the `BciError` it raises."""
    told = json.loads(sys.stdin.buffer.read())
    if sys.platform == "linux":
        import resource

        limits = {
            resource.RLIMIT_AS: told["memory"],
            resource.RLIMIT_FSIZE: _MOST_WRITTEN,
            # The parent's clock comes first; this one ends a child whose parent is gone.
            resource.RLIMIT_CPU: int(2 * told["seconds"]) + 10,
        }
        for kind, limit in limits.items():
            _, most = resource.getrlimit(kind)
            limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
            resource.setrlimit(kind, (limit, limit))
    reply: dict[str, Any]
    try:
        reply = {"answer": handle(told["request"])}
    except BciError as refusal:
        reply = {"refused": str(refusal)}
    except MemoryError:
        reply = {}
    sys.stdout.write("\n" + json.dumps(reply) + "\n")


def watch(child: "subprocess.Popen[bytes]", limits: Limits, refuse: Callable[[str], BciError]) -> None:
    """Wait for the child to end; raise what `refuse` makes when it takes more memory or time than it may."""
    import psutil  # only here: the child imports this module too, and its start is what asking costs

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
            held, spent = process.memory_info().rss, sum(process.cpu_times()[:2])
        except psutil.Error:
            continue  # it ended between the wait and the look
        if held > limits.memory:
            raise refuse(_too_much(limits))
        if spent > limits.seconds or time.monotonic() > deadline:
            raise refuse(
                f"expected {limits.expected} within {limits.seconds:g} s, and it had not ended then. {limits.advice}"
            )


def printable(error: BaseException) -> str:
    """Return an error's text on one line of at most 300 characters; names out of a file may hold anything."""
    text = "".join(c if c.isprintable() else " " for c in f"{type(error).__name__}: {error}")
    return text if len(text) <= 300 else f"{text[:150]} … {text[-149:]}"


def _too_much(limits: Limits) -> str:
    return f"expected {limits.expected} in {limits.memory / 2**30:.3g} GiB, came more. {limits.advice}"


def _environment() -> dict[str, str]:
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

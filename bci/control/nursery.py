"""A nursery is the process that the programs of sessions are forked from, with what they import already loaded.

Importing is what a program's start cost: NumPy, liblsl and the house's own modules, once for each of them. Where the
system lets one process be forked from another safely (Linux), a process that has imported all that and holds nothing
else is started once (`open_nursery`), and every program after it is a copy that begins where the imports end; what
it does not write to it shares with the others. Elsewhere, or where `METHOD` says so, each program is spawned anew.

Nothing but imports happens in the nursery: no thread, no stream, no setting of liblsl. See
``docs/decisions/0043-start-up.md``.
"""

import contextlib
import multiprocessing
import multiprocessing.context
import os
import select
import signal
import sys
from collections.abc import Iterator, Mapping

from bci.memory.ending import ENDING

#: What the environment may say: ``spawn`` starts each program anew, also where it could be forked.
METHOD = "BCI_START_METHOD"

#: What programs of most sessions import; whatever else one needs it imports itself. By name: the supervisor imports
#: none of them.
PRELOADED = (
    "bci.control.nursery",
    "bci.memory.program",
    "bci.live.acquire",
    "bci.live.record",
    "bci.live.decode",
    "bci.live.source",
    "stimuli.display.headless",
    "bci.control.frozen",  # the last: it freezes what the others brought
)


#: How long a nursery that was killed may take to end, seconds.
_DYING_S = 5.0


def forks() -> bool:
    """Whether programs are forked from a nursery here."""
    return sys.platform.startswith("linux") and os.environ.get(METHOD) != "spawn"


def open_nursery() -> None:
    """Begin to load what programs need, side by side with this process; later calls do nothing."""
    if not forks():
        return
    from multiprocessing import forkserver, resource_tracker

    # It would let the signals through again that are held back for the nursery.
    resource_tracker.ensure_running()
    forkserver.set_forkserver_preload(list(PRELOADED))
    with signals_held_back(), _found_again():
        forkserver.ensure_running()


def context() -> multiprocessing.context.BaseContext:
    """Return how programs are started here."""
    if not forks():
        return multiprocessing.get_context("spawn")
    open_nursery()
    return multiprocessing.get_context("forkserver")


def await_end() -> None:
    """Wait until a nursery that takes no more requests has ended; the next program is then forked from a new one.

    For some seconds at most: one that lives on after all is asked again.
    """
    from multiprocessing import forkserver

    # Its own look does not wait, and takes one that is dying for alive. It reaps; here it is only waited for.
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001 (told nowhere else)
    if pid is not None:
        with os.fdopen(os.pidfd_open(pid), "rb", buffering=0) as ending:
            select.select([ending], [], [], _DYING_S)


def surroundings() -> Mapping[str, str] | None:
    """Return what a program must be told of this process, whose own environment a nursery does not pass on."""
    return dict(os.environ) if forks() else None


def take_on(environment: Mapping[str, str] | None) -> None:
    """Give this process the environment of the one that asked for it, see `surroundings`."""
    if environment is None:
        return
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a process that no signal to end reaches before it knows what to do with it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _found_again() -> Iterator[None]:
    """Let a new interpreter look for modules where this one does, and not in the folder that it is called from."""
    told = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path), "PYTHONSAFEPATH": "1"}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

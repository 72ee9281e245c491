"""An interrupt is Ctrl-C; where Python or a library drops it, it is delivered again.

Python prints and drops what is raised in a finaliser, in the callback of a weak reference (each import has one) and in
a callback from C. NumPy's C interface prints what is raised while it is imported and raises an ImportError in its
place, which many libraries take as an optional package that is not there. A command would go on after either.
"""

import signal
import sys
import threading
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

#: After how many seconds a dropped interrupt comes again: when what dropped it has returned.
_AGAIN_S = 0.05


class Interrupts:
    """Interrupts that were dropped and have not come again; a context manager's value."""

    def __init__(self) -> None:
        self._due: threading.Timer | None = None
        # Reentrant: a finaliser may run, and drop one, while it is held.
        self._lock = threading.RLock()

    def drop(self) -> None:
        """Note that one was dropped, and deliver it again in a moment."""
        with self._lock:
            if self._due is None:
                self._due = threading.Timer(_AGAIN_S, self._deliver)
                self._due.daemon = True
                self._due.start()

    def end(self) -> None:
        """Deliver what is due now.

        Raises
        ------
        KeyboardInterrupt
            If one was dropped that has not come again.
        """
        with self._lock:
            if self._due is not None:
                self._due.cancel()
                self._due = None
                raise KeyboardInterrupt

    def _deliver(self) -> None:
        with self._lock:
            if self._due is not None:
                self._due = None
                _interrupt()


def _interrupt() -> None:
    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        interrupt_main()
    else:
        signal.pthread_kill(main, signal.SIGINT)  # a signal wakes what waits, too


@contextmanager
def redelivered() -> Iterator[Interrupts]:
    """Deliver each interrupt that is dropped inside again, and print nothing of it.

    Raises
    ------
    KeyboardInterrupt
        At the latest at the end, whatever else was raised, if one was dropped.
    """
    interrupts = Interrupts()
    unraisable, uncaught = sys.unraisablehook, sys.excepthook

    def not_raised(what: "sys.UnraisableHookArgs") -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            interrupts.drop()
        else:
            unraisable(what)

    def printed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # What this command does not catch itself comes here only after the end.
        if issubclass(kind, KeyboardInterrupt):
            interrupts.drop()
        else:
            uncaught(kind, error, trace)

    sys.unraisablehook, sys.excepthook = not_raised, printed
    try:
        yield interrupts
    finally:
        sys.unraisablehook, sys.excepthook = unraisable, uncaught
        interrupts.end()

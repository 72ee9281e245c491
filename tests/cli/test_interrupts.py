"""Ctrl-C ends a command wherever it falls: what Python and libraries drop of it comes again."""

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from commands import call

from bci.errors import ConfigError

#: How long a command would go on that no interrupt wakes.
LONG_S = 20.0


class Finalised:
    """Something at whose end Ctrl-C is pressed."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def in_a_finaliser() -> None:
    """Press Ctrl-C where Python drops every exception."""
    Finalised()


def in_a_callback_from_c() -> None:
    """Press Ctrl-C in a function that C calls."""
    ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))()


def in_an_import_of_c() -> None:
    """Print it and raise another in its place, as NumPy's C interface does."""
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    raise ImportError("numpy._core.multiarray failed to import")


def taken_as_missing() -> None:
    """Go on after that, as after an optional package that is not there."""
    try:
        in_an_import_of_c()
    except ImportError:
        pass


def refused_after() -> None:
    """Refuse after that, in words that are not the reason."""
    try:
        in_an_import_of_c()
    except ImportError:
        raise ConfigError("training needs a package that is not installed.") from None


@pytest.mark.parametrize(
    "drop",
    [in_a_finaliser, in_a_callback_from_c, in_an_import_of_c, taken_as_missing, refused_after],
)
def test_an_interrupt_that_is_dropped_on_the_way_ends_the_command_without_a_word(
    drop: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []

    def work(*_: Any, **__: Any) -> None:
        drop()
        began = time.monotonic()
        try:
            threading.Event().wait(LONG_S)
        finally:
            waited.append(time.monotonic() - began)

    monkeypatch.setattr("bci.cli.app.app", work)
    done = call("evaluate")
    assert (done.status, done.words) == (130, "")
    assert not waited or waited[0] < LONG_S, "it did not wake what waits"
    assert capfd.readouterr() == ("", "")


def test_a_command_that_ends_before_an_interrupt_comes_again_is_interrupted_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bci.cli.app.app", in_a_finaliser)
    assert call("evaluate").status == 130


def test_other_exceptions_that_are_dropped_are_shown_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: shown.append(what.exc_type))
    given = SimpleNamespace(
        exc_type=ValueError, exc_value=ValueError(), exc_traceback=None, err_msg="", object=1
    )
    monkeypatch.setattr("bci.cli.app.app", lambda: sys.unraisablehook(given))
    assert call("evaluate").status == 0
    assert shown == [ValueError]

"""A window is taken in alike by compiled code and by NumPy; what may not be decoded is refused for the same reason."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bci.decoder.intake import WindowIntake
from bci.memory import hot
from bci.signal.types import Signal, Window

SIGNAL = Signal("EEG", 100.0, (5,), ("a", "b", "c", "d", "e"), "uV")
SHAPE, LIMIT = (8, 5), 0.25


@pytest.fixture(params=["python", "compiled"])
def intake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> WindowIntake:
    """Give an intake of either kind."""
    found = request.getfixturevalue("compiled_library") if request.param == "compiled" else None
    monkeypatch.setattr(hot, "find_compiled", lambda: (found, "planted"))
    intake = WindowIntake(SHAPE, LIMIT)
    assert (intake._take is None) == (found is None)
    return intake


def window(
    samples: NDArray[np.floating], bad: int = 0, settled: bool = True, flags: NDArray[np.bool_] | None = None
) -> Window:
    marked = np.arange(40).reshape(SHAPE) < bad if flags is None else flags
    return Window(SIGNAL, 3, samples, np.arange(8) / 100, marked, 10, settled=settled)


NUMBERS = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)


@pytest.mark.parametrize(
    "arranged",
    [
        lambda values: values,
        np.asfortranarray,
        lambda values: np.repeat(values, 2, axis=1)[:, ::2],
        lambda values: values.astype(np.float64),
    ],
    ids=["plain", "columns first", "strided", "double"],
)
def test_a_window_is_copied_and_its_bad_values_counted(
    intake: WindowIntake, arranged: Callable[[NDArray[np.float32]], NDArray[np.floating]]
) -> None:
    samples = arranged(NUMBERS)
    assert intake(window(samples, bad=10)) == (0.25, "")
    assert intake.window.tobytes() == NUMBERS.tobytes()
    assert intake(window(-samples)) == (0.0, "")
    assert intake.window.tobytes() == (-NUMBERS).tobytes()


def test_flags_of_rows_count_as_rows(intake: WindowIntake) -> None:
    assert intake(window(NUMBERS, flags=np.arange(8) == 2)) == (0.125, "")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 17, 39])
def test_a_value_that_is_no_number_is_seen_wherever_it_stands(
    intake: WindowIntake, value: float, place: int
) -> None:
    samples = NUMBERS.copy()
    samples.flat[place] = value
    assert intake(window(samples)) == (0.0, "window not finite")


def test_the_first_reason_is_given(intake: WindowIntake) -> None:
    samples = np.full(SHAPE, np.nan, np.float32)
    assert intake(window(samples, bad=40, settled=False))[1] == "settling"
    assert intake(window(samples, bad=12)) == (0.3, "masked 30 % > 25 %")
    assert intake(window(samples, bad=10)) == (0.25, "window not finite")

import dataclasses
import logging

import numpy as np
import pytest

from bci.io.volumes.gate import PlacedVolume, VolumeStatus
from bci.io.volumes.outlet import _slice_times_of, describe, record_of
from bci.io.volumes.volume import ImagingSeries, Volume
from bci.live.slice_times import SliceTimes
from bci.sim.scanner.phantom import phantom, phantom_series

RIGHT = dataclasses.replace(phantom_series((4, 4, 3), tr=1.0), slice_times=(0.0, 0.333, 0.667))
SINGLE_BAND = dataclasses.replace(RIGHT, slice_times=(0.0, 0.33, 0.86))
LOG = logging.getLogger("slice times")


def record(series: ImagingSeries, seq: int, first: ImagingSeries) -> np.ndarray:
    """Return the record of a volume of a run that `first` described."""
    volume = Volume(series, seq, phantom(series, seq), str(seq))
    placed = PlacedVolume(first, seq, seq, VolumeStatus.OK, volume, 10.0 + seq, 10.0 + seq)
    return np.concatenate([record_of(placed), _slice_times_of(placed, first)])


@pytest.mark.parametrize(
    ("first", "held", "stated_ms", "held_ms"),
    [
        (RIGHT, RIGHT.slice_times, 0, 0),
        (SINGLE_BAND, RIGHT.slice_times, 193, 0),  # the first volume lies, the bundle does not
        (SINGLE_BAND, SINGLE_BAND.slice_times, 193, 193),  # the bundle was told what the first volume says
        (RIGHT, (0.0, 0.3, 0.6), 0, 67),
        (RIGHT, (), 0, 0),
    ],
)
def test_slice_times_are_compared_with_those_of_the_second_volume(
    first: ImagingSeries,
    held: tuple[float, ...],
    stated_ms: int,
    held_ms: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = SliceTimes({"step slice_timing": held}, LOG)
    times.begin(describe(first)["slice_times"])
    times.take(np.array([record(first, 0, first)]))
    assert (times.stated_ms, times.held_ms) == (0, 0), "one volume cannot tell"
    times.take(np.array([record(RIGHT, seq, first) for seq in (1, 2)]))
    assert (times.stated_ms, times.held_ms) == (stated_ms, held_ms)
    assert len(caplog.records) == bool(stated_ms) + bool(held_ms), "said once"
    times.begin(describe(RIGHT)["slice_times"])
    assert (times.stated_ms, times.held_ms) == (0, 0), "another run has volumes of its own"


def test_a_run_whose_volumes_say_nothing_of_slices_is_not_judged() -> None:
    silent = dataclasses.replace(RIGHT, slice_times=())
    times = SliceTimes({"step slice_timing": (0.0, 0.1, 0.2)}, LOG)
    times.begin(describe(silent)["slice_times"])
    times.take(np.array([record(silent, seq, silent) for seq in range(3)]))
    times.begin(describe(RIGHT)["slice_times"])
    times.take(np.array([record(one, seq, RIGHT) for seq, one in enumerate((RIGHT, silent, silent))]))
    assert (times.stated_ms, times.held_ms) == (0, 0)

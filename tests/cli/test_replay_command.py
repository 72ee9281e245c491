"""What `bci replay` says of a recording that it cannot play whole."""

from pathlib import Path

import made_files as made
import numpy as np
import pytest
from commands import call

#: Seconds from the clock of the samples to that of the markers, as Unix time is from the time since the start.
OTHER_CLOCK = 1.7e9


@pytest.mark.parametrize(
    ("markers_at", "sent", "left_out"),
    [
        ([50.1, 50.2], 2, 0),
        ([50.1, 50.2 + OTHER_CLOCK], 1, 1),
        ([50.1 + OTHER_CLOCK, 50.2 + OTHER_CLOCK], 0, 2),
    ],
)
def test_markers_that_are_not_played_are_counted_in_the_last_line_and_the_result(
    tmp_path: Path, markers_at: list[float], sent: int, left_out: int
) -> None:
    values = np.zeros((40, 1), np.float32)
    desc = "<channels><channel><label>Cz</label><unit>uV</unit></channel></channels>"
    parts = [made.header(1, "amp", 1, 100.0, desc=desc), made.samples(1, values, 50 + np.arange(40) / 100)]
    parts += [made.header(2, "marks", 1, 0.0, kind="string"), made.texts(2, ["a", "b"], markers_at)]
    (tmp_path / "a.xdf").write_bytes(made.xdf(*parts))
    done = call("replay", tmp_path / "a.xdf", "--json")
    assert done.status == 0
    assert (done.result["markers"], done.result["markers_left_out"]) == (sent, left_out)
    assert ("not played" in done.words) == bool(left_out)
    assert (f"{sent} of 2 markers sent" in done.words) == bool(left_out)

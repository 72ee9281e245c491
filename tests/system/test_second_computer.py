"""Markers of a second computer: a process with a name and a clock of its own, and how wrong the comparison may be.

Linux gives a process another clock and another host name (time and UTS namespaces), where the user may ask for them.
"""

import shutil
import subprocess
import uuid

import pytest
from peers import peer

from bci.io.lsl.markers import MarkerSource
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Event, MarkKind

pytestmark = pytest.mark.system

#: How far the other computer's clock is ahead, seconds.
AHEAD = 1000

ELSEWHERE = (
    "unshare", "--time", "--monotonic", str(AHEAD), "--uts", "--fork", "--kill-child",
    "sh", "-c", 'echo other-computer > /proc/sys/kernel/hostname; exec "$@"', "sh",
)  # fmt: skip


def may_be_elsewhere() -> bool:
    return (
        shutil.which("unshare") is not None
        and subprocess.run([*ELSEWHERE, "true"], capture_output=True, check=False).returncode == 0
    )


def test_markers_of_another_clock_are_right_within_what_is_said_and_marked_beyond_the_limit() -> None:
    if not may_be_elsewhere():
        pytest.skip("NO SECOND COMPUTER IS TESTED: this user may not give a process another clock (unshare)")
    name = f"keys-{uuid.uuid4().hex[:8]}"
    events: list[Event] = []
    with (
        peer("keyboard", name, before=ELSEWHERE),
        MarkerSource(name, LslClock(), timeout=30.0, uncertainty_limit=1e-9) as source,
    ):
        assert source.info.host == "other-computer"
        while len(events) < 2:
            events += source.pull(1.0)
        notes = source.take_notes()
    for event in events:
        # The trip of the packet that compared the clocks took so long: the offset cannot be further off.
        assert 0 < event.uncertainty < 1
        assert event.raw - event.time == pytest.approx(AHEAD, abs=event.uncertainty)
    offsets = [note.value for note in notes if note.kind is MarkKind.MARKER_OFFSET]
    assert offsets[0] == pytest.approx(-AHEAD, abs=1)
    marked = [note for note in notes if note.kind is MarkKind.UNCERTAIN]
    assert [note.time for note in marked] == [event.time for event in events]
    assert source.uncertain == len(events)

"""The numbers that a session shows of itself: one table for health messages and Prometheus."""

import math
import re
from dataclasses import replace

from bci.control.health import SESSION_NODE, health, measures
from bci.control.posts import COUNTERS, GAUGES
from bci.control.silences import Silence
from bci.control.snapshot import ProgramSnapshot, ReconstructionSnapshot, SessionSnapshot, SessionState
from bci.memory.alarms import Alarm

NEWEST = ReconstructionSnapshot(7, True, "", 0.75, (0.1,), 900, arrived=99.5, published=99.6)


def snapshot() -> SessionSnapshot:
    programs = {
        name: ProgramSnapshot(
            "running", 1, 0.01, dict.fromkeys(COUNTERS[name.partition(":")[0]], 3), 2, 1, ""
        )
        for name in ("acquire", "decode", "decode:arms", "display", "engine", "record")
    }
    return SessionSnapshot(
        "demo",
        SessionState.LATCHED,
        since=90.0,
        at=100.0,
        elapsed=42.0,
        programs=programs,
        newest={"decode:arms": NEWEST},
        latched="decode died",
        alarms=(Alarm("a", "l", "w", "d"), Alarm("b", "l", "w", "d", urgent=False)),
        silences={"acquire": Silence(1, 2.5, 2.5, False, False)},
    )


def test_every_number_stands_in_the_health_message_of_its_node() -> None:
    nodes = health(snapshot())
    assert set(nodes) == {SESSION_NODE, *snapshot().programs}
    assert nodes[SESSION_NODE] == {
        "bci_session_state": 3.0,
        "bci_session_elapsed_seconds": 42.0,
        "bci_session_latched": 1.0,
        "bci_session_alarms": 2.0,
        "bci_session_urgent_alarms": 1.0,
    }
    assert nodes["decode:arms"]["bci_decode_windows_total"] == 3
    assert nodes["decode:arms"]["bci_reconstruction_age_seconds"] == 0.5
    assert "bci_reconstruction_age_seconds" not in nodes["decode"]
    assert nodes["acquire"]["bci_acquire_silent_seconds_total"] == 2.5


def test_names_are_such_as_prometheus_takes_and_each_stands_once_a_node() -> None:
    table = measures(snapshot())
    assert all(re.fullmatch(r"bci_[a-z][a-z0-9_]*", measure.name) for measure in table)
    assert all(measure.name.endswith("_total") == (measure.kind == "counter") for measure in table)
    places = [(measure.node, measure.name) for measure in table]
    assert len(set(places)) == len(places)
    by_name = {measure.name: (measure.kind, measure.meaning) for measure in table}
    assert all(by_name[measure.name] == (measure.kind, measure.meaning) for measure in table)


def test_every_counter_of_every_program_is_shown_and_those_of_now_are_known() -> None:
    assert {counter for own in COUNTERS.values() for counter in own} > GAUGES
    nodes = health(snapshot())
    for program in ("acquire", "decode", "display", "engine", "record"):
        for counter in COUNTERS[program]:
            assert f"bci_{program}_{counter}" + "_total" * (counter not in GAUGES) in nodes[program]


def test_the_heart_of_a_program_that_does_not_run_has_no_age() -> None:
    stopped = replace(snapshot().programs["decode"], state="stopped")
    after = replace(snapshot(), programs={"decode": stopped})
    assert math.isnan(health(after)["decode"]["bci_program_heart_age_seconds"])
    assert health(after)["decode"]["bci_program_up"] == 0

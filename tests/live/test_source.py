"""What a source's spec means, and whom its player follows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from bci.config.sources import (
    InSilicoSettings,
    InSilicoSpec,
    MadeSettings,
    MadeSpec,
    ReplaySettings,
    ReplaySpec,
    SimulateSettings,
    SimulateSpec,
    SinesSettings,
    SinesSpec,
)
from bci.control.posts import COUNTERS
from bci.errors import ConfigError
from bci.live.insilico import _FIGURES
from bci.live.source import _decoded, open_replay, open_source, read_spec
from bci.memory.board import Board, State
from bci.memory.program import Launch, Program
from bci.signal.clock import ManualClock


@pytest.fixture
def board() -> Iterator[Board]:
    with Board.private({"source": COUNTERS["source"], "decode": COUNTERS["decode"]}) as found:
        yield found


def test_every_setting_of_a_session_file_is_understood(eegmmidb: Path) -> None:
    settings = ReplaySettings(kind="replay", file=eegmmidb / "S001R03.edf", speed=2.0, rate=160.0, unit="uV")
    added = {"source_id": "a", "ring": "b", "marker_consumer": True}
    spec = read_spec(settings.model_dump() | added)
    assert ReplaySettings(**spec.model_dump(include=set(ReplaySettings.model_fields))) == settings
    assert (spec.source_id, spec.ring, spec.marker_consumer) == ("a", "b", True)
    assert open_source(spec).n == 20_000
    assert open_replay(settings).name == "S001R03.edf"
    simulated = open_source(read_spec(SimulateSettings(kind="simulate", seed=5).model_dump() | added))
    assert simulated.simulated
    assert simulated.n is None
    assert simulated.name.endswith("seed 5")


def test_a_key_that_no_source_has_is_named(eegmmidb: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"a source of kind 'replay' cannot be used:\n  sped: there is no such"
    ):
        read_spec({"kind": "replay", "file": eegmmidb / "S001R03.edf", "source_id": "a", "sped": 2})


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        (SimulateSettings, SimulateSpec),
        (SinesSettings, SinesSpec),
        (ReplaySettings, ReplaySpec),
        (MadeSettings, MadeSpec),
        (InSilicoSettings, InSilicoSpec),
    ],
)
def test_whatever_a_session_file_may_say_its_program_understands(
    settings: type[BaseModel], spec: type[BaseModel]
) -> None:
    assert set(settings.model_fields) < set(spec.model_fields)


def test_every_figure_of_a_participant_can_be_said_in_its_spec() -> None:
    assert set(InSilicoSpec.model_fields) >= _FIGURES
    assert {"subject", "snr", "lapse_rate"} < _FIGURES


def test_the_player_follows_a_running_decoder_and_nobody_else(board: Board) -> None:
    launch = Launch("source", "bci.live.source", {}, ".", "none")
    program = Program(launch, None, board, ManualClock())
    board.row("decode")["samples"] = 640
    for state, limit in ((State.LOADING, 1 << 62), (State.RUNNING, 640), (State.FAILED, 1 << 62)):
        board.row("decode")["state"] = state
        assert _decoded(program) == limit
    with Board.private({"source": COUNTERS["source"]}) as alone:
        assert _decoded(Program(launch, None, alone, ManualClock())) == 1 << 62

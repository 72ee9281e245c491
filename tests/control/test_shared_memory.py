"""How much of a session's stream is held follows from its rate, its speed, the memory allowed and the decoder."""

import json
from pathlib import Path

import pytest
from tiny_bundle import tiny_bundle
from typer.testing import CliRunner

from bci.cli.app import app
from bci.config.stream import StreamSettings
from bci.control.shared_memory import plan_buffer
from bci.decoder.bundle import Bundle
from bci.decoder.spec import EpochSpec
from bci.signal.types import Signal

FAST = Signal("probe", 30_000.0, (1024,))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path / "bundle")


def test_an_ordinary_stream_is_held_for_the_seconds_that_a_session_says(bundle: Bundle) -> None:
    held = plan_buffer(bundle.signal, 1.0, StreamSettings(), bundle.cut.held)
    assert (held.seconds, held.shortened) == (12.0, False)
    assert plan_buffer(bundle.signal, 1.0, StreamSettings(buffer_s=30), bundle.cut.held).seconds == 30.0
    # Played faster, it is the same real time.
    assert plan_buffer(bundle.signal, 4.0, StreamSettings(), bundle.cut.held).seconds == 48.0


def test_a_session_bounds_the_memory_of_its_stream(bundle: Bundle) -> None:
    for allowed in (512.0, 1000.0):
        held = plan_buffer(FAST, 1.0, StreamSettings(buffer_mb=allowed), bundle.cut.held)
        assert held.shortened
        assert 0.99 * allowed < held.nbytes / 1e6 <= allowed
    assert plan_buffer(FAST, 1.0, StreamSettings(buffer_mb=2000), bundle.cut.held).seconds == 12.0
    # However fast it plays, and however little is allowed, 2 s are held and no byte more.
    assert plan_buffer(FAST, 50.0, StreamSettings(buffer_mb=1), bundle.cut.held).seconds == 2.0


def test_a_run_that_a_decoder_learns_is_held_as_far_as_memory_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    volumes, usual = Signal("BOLD-raw", 0.5, (64, 64, 20)), StreamSettings()
    assert plan_buffer(volumes, 1.0, usual, 1).samples == 64
    whole = plan_buffer(volumes, 1.0, usual, 1, recalled=400)
    assert (whole.samples, whole.shortened) == (400, False)
    part = plan_buffer(volumes, 1.0, StreamSettings(buffer_mb=100), 1, recalled=400)
    assert part.shortened
    assert 64 < part.samples < 400
    monkeypatch.setattr("bci.control.shared_memory.free_bytes", lambda: 64e6)
    assert plan_buffer(volumes, 1.0, usual, 1, recalled=400).samples == 64


def test_a_window_and_its_hop_are_held_and_an_epoch_is_not(tmp_path: Path) -> None:
    long = tiny_bundle(tmp_path / "windows", length=90_000, hop=30_000)
    held = plan_buffer(FAST, 1.0, StreamSettings(buffer_mb=1), long.cut.held)
    assert held.samples == 120_000
    around = tiny_bundle(tmp_path / "epochs", length=90_000, window=EpochSpec(start=0.0, stop=900.0))
    assert plan_buffer(FAST, 1.0, StreamSettings(buffer_mb=1), around.cut.held).seconds == 2.0


def test_check_says_what_will_be_held(bundle: Bundle, tmp_path: Path) -> None:
    session = tmp_path / "session.toml"
    session.write_text(
        f"""name = "held"
network = "machine"
stream = {{ buffer_s = 600, buffer_mb = 1 }}
decoder = {{ bundle = "bundle" }}
[source]
kind = "sines"
rate = {bundle.signal.rate}
shape = {list(bundle.signal.shape)}
unit = "uV"
channels = {list(bundle.signal.channels)}
""",
    )
    done = CliRunner().invoke(app, ["check", str(session), "--json"])
    assert done.exit_code == 0, done.output
    buffer = json.loads(done.output.splitlines()[-1])["buffer"]
    assert buffer["shortened"] == (buffer["seconds"] < 600)
    assert buffer["megabytes"] <= 1
    said = CliRunner().invoke(app, ["check", str(session)]).output
    assert f"{buffer['samples']} samples" in said


def test_check_says_how_long_the_disk_lasts_and_refuses_one_without_room(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from bci.io.files import space

    session = tmp_path / "session.toml"
    session.write_text(
        f'name = "room"\nnetwork = "machine"\nseconds = 7200\ndecoder = {{ bundle = "bundle" }}\n[source]\n'
        f'kind = "sines"\nrate = {bundle.signal.rate}\nshape = {list(bundle.signal.shape)}\nunit = "uV"\n'
        f"channels = {json.dumps(list(bundle.signal.channels))}\n"
    )

    def checked(free: float) -> tuple[int, dict[str, object]]:
        monkeypatch.setattr(space.shutil, "disk_usage", lambda folder: SimpleNamespace(free=int(free)))
        done = CliRunner().invoke(app, ["check", str(session), "--out", str(tmp_path), "--json"])
        error = {"error": str(done.exception), "kind": type(done.exception).__name__}
        return done.exit_code, json.loads(done.output.splitlines()[-1]) if not done.exit_code else error

    status, result = checked(10e9)
    assert status == 0
    assert result["disk"]["free"] == 10**10  # type: ignore[index]
    assert result["disk"]["seconds"] > 7200  # type: ignore[index]
    status, result = checked(50e6)
    assert status != 0
    assert result["kind"] == "DiskError"
    assert "free disk space" in str(result["error"])

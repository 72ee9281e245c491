"""The command as it is installed: its own process, its exit status, its last line."""

from pathlib import Path

import pytest
from commands import call
from sessions import bci

pytestmark = pytest.mark.system


def test_help_is_status_0_and_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    monkeypatch.chdir(tmp_path)
    done = bci("--help")
    assert done.status == 0
    assert "demo" in done.words


def test_a_bundle_for_another_montage_is_refused_before_anything_starts(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "s.toml"
    bundle = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"
    recording = data / "lfp_ca1_ec3" / "ca1.npy"
    path.write_text(
        f'name = "s"\nnetwork = "machine"\n[source]\nkind = "replay"\nfile = "{recording}"\nrate = 1250\nunit = "mV"\n'
        f'[decoder]\nbundle = "{bundle}"\n[display]\nkind = "headless"\n'
    )
    for begin, command in ((call, ["check", path]), (bci, ["run", path, "--out", tmp_path / "out"])):
        done = begin(*command, "--json")
        assert done.status == 2, done.words
        assert "Traceback" not in done.words
        assert done.result["error"] == "BundleMismatch"
        assert "1250" in done.result["message"]
        assert "160" in done.result["message"]


def test_doctor_says_what_this_machine_has() -> None:
    done = bci("doctor", "--json")
    assert done.status == 0, done.words
    assert done.result["findings"]["ONNX Runtime"]["ok"] is True

"""The doctor names what is missing and the line that mends it."""

import pytest

from bci.control import doctor


def test_this_machine_is_fit_to_run_sessions() -> None:
    findings = doctor.examine()
    assert {f.what for f in findings} >= {
        "Python",
        "Lab Streaming Layer",
        "ONNX Runtime",
        "Screen",
        "Training",
    }
    assert [f for f in findings if f.needed and not f.ok] == []


def test_two_onnx_runtimes_in_one_folder_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name.startswith("onnxruntime"))
    (finding,) = [f for f in doctor.examine() if f.what == "ONNX Runtime"]
    assert not finding.ok
    assert "pip uninstall" in finding.fix


def test_a_missing_onnx_runtime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: False)
    (finding,) = [f for f in doctor.examine() if f.what == "ONNX Runtime"]
    assert (finding.ok, finding.needed) == (False, True)
    assert "[cpu]" in finding.fix


def test_turns_are_said_as_the_kernel_granted_them(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[float | None, str] = {}
    for granted in (1e-4, None):
        monkeypatch.setattr(doctor, "take_short_turns", lambda granted=granted: granted)
        (said[granted],) = [f.seen for f in doctor.examine() if f.what == "Turns on a core"]
    assert said[1e-4].startswith("of 0.1 ms: ")
    assert said[None].startswith("as long as other programs'")

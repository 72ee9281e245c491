"""`run.py test` sums its two parts in one line, and fails when one of them did or said nothing."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent

PLANTED = """
import pytest

def test_that_passes(): pass
@pytest.mark.parametrize("k", range(3))
def test_that_fails(k): assert k
@pytest.fixture
def broken(): raise OSError
def test_with_an_error(broken): pass
@pytest.mark.skip(reason="PLANTED")
def test_that_is_skipped(): pass
@pytest.mark.system
def test_of_the_system(): pass
"""
INI = "[pytest]\nmarkers = system\naddopts = -p no:randomly -p no:cacheprovider\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load run.py, with this interpreter in place of the one in its `.venv`."""
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(module, "setup", lambda extras, gpu: None)
    monkeypatch.setattr(module, "install_debian_packages", lambda: None)
    return module


@pytest.fixture
def project(run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give what puts a suite of tests in the place of this project's."""
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "PARTS", {"system": ["-m", "system"], "others": ["-m", "not system"]})
    (tmp_path / "pytest.ini").write_text(INI)
    return lambda text: (tmp_path / "test_planted.py").write_text(text) and None


def last_lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().out.splitlines()


def test_both_parts_run_and_their_sum_is_the_last_line(
    run: ModuleType, project: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    project(PLANTED)
    assert run.main(["test"]) == 1
    lines = last_lines(capfd)
    assert lines[-1] == "4 passed, 2 failed, 1 skipped"
    assert any(line.startswith("system | ") and "1 passed" in line for line in lines)
    assert any(line.startswith("others | ") and "3 passed" in line for line in lines)
    # What is not passed is said again below both parts.
    assert lines[-5:-2] == [
        "FAILED test_planted::test_that_fails[0]",
        "FAILED test_planted::test_with_an_error",
        "SKIPPED test_planted::test_that_is_skipped: PLANTED",
    ]


def test_all_passed_is_status_0(
    run: ModuleType, project: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    project("import pytest\ndef test_a(): pass\n@pytest.mark.system\ndef test_b(): pass\n")
    assert run.main(["test"]) == 0
    assert last_lines(capfd)[-1] == "2 passed, 0 failed"


def test_a_part_that_breaks_before_its_report_has_failed(
    run: ModuleType, project: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    project("import os, pytest\n@pytest.mark.system\ndef test_b(): os._exit(0)\ndef test_a(): pass\n")
    assert run.main(["test"]) == 1
    assert last_lines(capfd)[-1] == "1 passed, 1 failed"


def test_the_part_of_the_system_imports_only_files_that_name_the_mark(
    run: ModuleType, project: Callable[[str], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_marked.py").write_text(PLANTED)
    log = (
        "from pathlib import Path\nwith Path('imported.txt').open('a') as file: print(__name__, file=file)\n"
    )
    (folder / "test_without.py").write_text(f"{log}def test_that_is_no_system_test(): pass\n")
    assert run.main(["test"]) == 1
    assert last_lines(capfd)[-1] == "5 passed, 2 failed, 1 skipped"
    assert (tmp_path / "imported.txt").read_text() == "test_without\n"


def test_words_behind_it_go_to_pytest_alone(
    run: ModuleType, project: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    project(PLANTED)
    assert run.main(["test", "-k", "passes or system", "-q"]) == 0
    assert "2 passed, 5 deselected" in last_lines(capfd)[-1]


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Give what calls run.py's own `setup` and returns the commands that it would run."""
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    called: list[str] = []
    for name in module.SOURCES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path)
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module, "call", lambda *words: called.append(" ".join(map(str, words[1:]))) or 0)

    def install(*words: str) -> list[str]:
        called.clear()
        assert module.main([*words]) == 0
        return [line.replace(str(tmp_path), "HERE") for line in called if "-m pip" in line]

    return install


def test_what_was_installed_for_a_card_is_not_overwritten_with_what_is_for_processors(
    installs: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert [line.split()[-1] for line in installs("setup")] == ["HERE[cpu]"]
    assert installs("setup") == []
    removed, installed = installs("--gpu", "setup")
    assert removed == "-m pip uninstall -y --quiet onnxruntime"
    assert installed.endswith("--constraint HERE/constraints.txt --editable HERE[gpu]")
    assert installs("setup") == []  # no cpu in its place
    assert installs("setup", "--gpu") == []
    (tmp_path / "pyproject.toml").write_text("2")  # nor after the project has changed
    assert [line.split()[-1] for line in installs("demo", "--headless")] == ["HERE[gpu]"]

"""The line that installs what is missing fits how the project was installed, and keeps its brackets."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bci.control import doctor
from bci.io import installation

ROOT = Path(__file__).resolve().parents[2]


def test_of_a_checkout_the_line_names_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    assert installation.install_line("train") == "pip install -e '.[train]'"
    monkeypatch.chdir(tmp_path)
    assert installation.install_line("train", "bids") == f"pip install -e '{ROOT}[train,bids]'"


class Wheel:
    """What a wheel from an index, or one from a file, says of its origin."""

    def __init__(self, origin: object) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        return None if self.origin is None else json.dumps(self.origin)


@pytest.mark.parametrize(
    "origin", [None, {"url": "file:///tmp/w.whl", "archive_info": {}}, {"dir_info": {}, "url": "file:///src"}]
)
def test_of_a_wheel_the_line_names_the_project(
    origin: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "bci" / "io" / "installation.py"))
    monkeypatch.setattr(installation, "distribution", lambda name: Wheel(origin))
    assert installation.install_line("bids") == "pip install 'closed-loop-bci[bids]'"
    editable = {"dir_info": {"editable": True}, "url": "file:///home/a%20b/src"}
    monkeypatch.setattr(installation, "distribution", lambda name: Wheel(editable))
    assert installation.install_line("bids") == "pip install -e '/home/a b/src[bids]'"


def test_the_extras_that_are_named_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for _, extra, package, _ in doctor.OPTIONAL:
        assert any(requirement.startswith(package) for requirement in extras[extra]), extra
    imported = "panel", "bokeh"
    code = "\n".join(
        path.read_text("utf-8")
        for room in ("bci", "models", "stimuli")
        for path in (ROOT / room).rglob("*.py")
    )
    # An extra that no module uses yet is nothing to send anyone to.
    assert not [name for name in imported if f"import {name}" in code]


def test_the_doctor_names_every_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: False)
    fixes = " ".join(finding.fix for finding in doctor.examine())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for extra in set(extras) - {"dev", "peers"}:  # what tests and benchmarks need
        assert f"[{extra}]" in fixes, extra


def test_no_repair_line_is_written_for_one_kind_of_installation_alone() -> None:
    """A line that installs extras is `install_line`'s: it knows whether a wheel or a checkout is there."""
    fixed = re.compile(r"(closed-loop-bci|['\" ]\.)\[[a-z]")
    found = {
        path.relative_to(ROOT).as_posix(): [
            node.value
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and fixed.search(node.value)
        ]
        for room in ("bci", "models", "stimuli")
        for path in (ROOT / room).rglob("*.py")
        if path != Path(installation.__file__)
    }
    assert not {name: texts for name, texts in found.items() if texts}


def test_importing_it_needs_no_package_of_an_extra() -> None:
    code = "import sys, bci.io.installation; assert not {'torch', 'mne_bids'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

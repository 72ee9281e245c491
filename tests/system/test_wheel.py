"""An installed wheel holds all that the first commands need: examples, bundles and pictures, found from anywhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, and install it, alone, into a folder of its own."""
    setuptools = pytest.importorskip(
        "setuptools", "77", reason="THE WHEEL IS NOT TRIED: setuptools builds it"
    )
    assert setuptools
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    for name in ("bci", "configs", "models", "stimuli"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "_hot.*.so"))
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    build = (*pip, "wheel", str(source), "--no-deps", "--no-build-isolation", "--no-index", "-w", str(place))
    subprocess.run(build, check=True, capture_output=True, timeout=200)
    (wheel,) = place.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = [p for p in (ROOT / "configs").iterdir() if p.suffix == ".toml"]
    shipped += [
        p for kind in ("bundles", "stimuli") for p in (ROOT / "models" / kind).rglob("*") if p.is_file()
    ]
    missing = {p.relative_to(ROOT).as_posix() for p in shipped} - names
    assert not missing, f"not in the wheel: {sorted(missing)}"
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    compiles = sys.platform.startswith("linux") and shutil.which("cc") and headers.is_file()
    assert not compiles or "bci/_hot.abi3.so" in names, "the hot path is not compiled"
    install = (*pip, "install", str(wheel), "--no-deps", "--no-index", "--target", str(place / "site"))
    subprocess.run(install, check=True, capture_output=True, timeout=200)
    return place / "site"


def bci(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed `bci` in a folder that holds nothing."""
    return subprocess.run(
        [sys.executable, "-m", "bci", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_an_installed_wheel_runs_its_examples_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [sys.executable, "-c", "import bci, models, stimuli; print(bci.__path__, models.__path__, stimuli.__path__)"],
        env=os.environ | {"PYTHONPATH": str(installed)}, cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert where.count(str(installed)) == 3, "the wheel is tried, not the checkout"
    checked = bci(installed, tmp_path, "check", "hyper-insilico")
    assert checked.returncode == 0, checked.stderr + checked.stdout
    ran = bci(installed, tmp_path, "run", "demo", "--headless", "--seconds", "2")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert len(list((tmp_path / "sessions").iterdir())) == 1
    assert bci(installed, tmp_path, "latency", "last").returncode == 0

"""What every test shares: an LSL network of its own, the sample recordings, and no screen."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import hypothesis
import pytest

from bci.io.lsl.network import isolated_config
from bci.memory import hot

# A property holds or it does not: how long an example takes says how busy the machine is. The same examples each time,
# so that a change is not blamed for what was there before it; `HYPOTHESIS_PROFILE=search` looks for new ones.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))

# Before anything imports pylsl: a session id of our own keeps parallel runs and other people's streams apart.
_LSL_CONFIG = Path(tempfile.mkdtemp(prefix="bci-tests-")) / "lsl_api.cfg"
_LSL_CONFIG.write_text(isolated_config(f"test-{uuid.uuid4()}"))
os.environ["LSLAPICFG"] = str(_LSL_CONFIG)
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_unconfigure() -> None:
    """Leave nothing behind: each process that runs tests, several at a time, has a network of its own."""
    shutil.rmtree(_LSL_CONFIG.parent, ignore_errors=True)


ROOT = Path(__file__).resolve().parent.parent

# Doctests are looked for in every module; two folders' conftest.py would be one module to them.
collect_ignore_glob = ["**/conftest.py"]


def find_data() -> Path | None:
    """Return the folder of sample recordings: $BCI_DATA, or ../shared/data beside the checkout."""
    for folder in (os.environ.get("BCI_DATA"), ROOT.parent / "shared" / "data"):
        if folder and (Path(folder) / "SHA256SUMS").is_file():
            return Path(folder)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a system test in a file that does not name the mark: `run.py test` would never collect it."""
    for file in {item.path for item in items if item.get_closest_marker("system")}:
        if "mark.system" not in file.read_text(encoding="utf-8"):
            raise pytest.UsageError(
                f"{file}: write `pytest.mark.system` in this file; run.py looks for it there"
            )


#: Of each module with tests: the random generators that it holds, and their states before its first test.
_GENERATORS: dict[str, list[tuple[Any, Any]]] = {}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a module's random generators anew for each test: what a test draws does not hang on those before it."""
    module = getattr(item, "module", None)
    if module is None:
        return
    if module.__name__ not in _GENERATORS:
        held = [value for value in vars(module).values() if type(value).__name__ == "Generator"]
        _GENERATORS[module.__name__] = [(one.bit_generator, one.bit_generator.state) for one in held]
    for generator, state in _GENERATORS[module.__name__]:
        generator.state = state


@pytest.fixture(scope="session")
def data() -> Path:
    """Give the folder of sample recordings, or skip loudly."""
    folder = find_data()
    if folder is None:
        pytest.skip("SAMPLE RECORDINGS MISSING: set BCI_DATA to their folder to run this test")
    return folder


@pytest.fixture(scope="session")
def eegmmidb(data: Path) -> Path:
    """Give the folder with S001R01.edf to S001R04.edf."""
    return data / "eegmmidb_S001"


@pytest.fixture
def segment_name() -> Iterator[str]:
    """Give a name for shared memory that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def compiled_library(tmp_path_factory: pytest.TempPathFactory) -> hot.Compiled:
    """Give the hot path compiled from this very source, or skip loudly."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("NO C COMPILER: the compiled hot path is not tested")
    library = tmp_path_factory.mktemp("hot") / "_hot.abi3.so"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC"]
    links = ["-I", sysconfig.get_paths()["include"], "-o", str(library), "-lm", "-lpthread"]
    sources = sorted(map(str, (ROOT / "bci").glob("_hot*.c")))
    subprocess.run([compiler, *flags, *sources, *links], check=True, timeout=60)
    spec = importlib.util.spec_from_file_location("_hot", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("hot.Compiled", module)

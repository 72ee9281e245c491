"""Units of long analyses: a killed run goes on with what is missing; a cluster gives the same numbers."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("joblib")

from bci.errors import ConfigError, DataError
from models.clusters import load_cluster
from models.units import Unit, run_units

UNITS = [Unit(f"square of {k}", {"number": k}) for k in range(6)]

#: A program that is killed, without a word, in its fourth unit.
KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import test_units
def compute(number):
    if number == 3:
        os._exit(9)
    return test_units.square(number)
test_units.run_units(test_units.UNITS, compute, Path({folder!r}))
"""


def require_jobqueue() -> None:
    """Skip where dask-jobqueue is missing, without importing it: what that does is under test."""
    # The demo's installation has no cluster; run.py test installs it, so this speaks where tests run without.
    if importlib.util.find_spec("dask_jobqueue") is None:
        pytest.skip("DASK-JOBQUEUE IS MISSING: pip install 'closed-loop-bci[cluster]'")


def square(number: int, log: Path | None = None) -> dict[str, Any]:
    if log is not None:
        with log.open("a") as file:
            file.write(f"{number}\n")
    return {"square": number**2, "third": number / 3}


def test_a_killed_run_goes_on_with_the_missing_units_alone(tmp_path: Path) -> None:
    folder, log = tmp_path / "units", tmp_path / "log"
    program = KILLED.format(here=str(Path(__file__).parent), folder=str(folder))
    killed = subprocess.run([sys.executable, "-c", program], check=False, timeout=120)
    assert killed.returncode == 9
    assert len(list(folder.glob("*.json"))) == 3
    found = run_units(UNITS, square, folder, given={"log": log})
    assert [result["square"] for result in found] == [0, 1, 4, 9, 16, 25]
    assert sorted(log.read_text().split()) == ["3", "4", "5"]
    assert found == run_units(UNITS, square, folder, given={"log": log})
    assert len(log.read_text().split()) == 3


def test_a_file_that_was_cut_off_is_computed_again_and_another_input_is_another_unit(tmp_path: Path) -> None:
    run_units(UNITS[:2], square, tmp_path)
    place = tmp_path / f"{UNITS[1].key}.json"
    place.write_text(place.read_text()[:20])
    log = tmp_path / "log"
    run_units(UNITS[:2], square, tmp_path, given={"log": log})
    assert log.read_text().split() == ["1"]
    assert json.loads(place.read_text())["result"]["square"] == 1
    assert Unit("", {"number": 1, "seed": 2}).key != Unit("", {"number": 1, "seed": 3}).key
    assert Unit("a", {"number": 1}).key == Unit("b", {"number": 1}).key


def test_progress_counts_what_was_there(tmp_path: Path) -> None:
    run_units(UNITS[:3], square, tmp_path)
    told: list[tuple[float, str]] = []
    run_units(UNITS, square, tmp_path, progress=lambda done, text: told.append((done, text)))
    assert told[0] == (0.5, "3 of 6 units were there")
    assert [done for done, _ in told[1:]] == pytest.approx([4 / 6, 5 / 6, 1.0])


def killing(number: int, folder: Path, deadly: int = 1) -> dict[str, Any]:
    """Say that a unit began; the third kills its process, by its id, so many times."""
    with (folder / "begun").open("a") as file:
        file.write(f"{number}\n")
    if number == 2 and (folder / "begun").read_text().split().count("2") <= deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return divide(number)


@pytest.mark.system
def test_a_worker_killed_in_the_middle_costs_its_unit_and_nothing_else(tmp_path: Path) -> None:
    """Two workers of a real cluster on this machine; one is killed while it computes."""
    pytest.importorskip("distributed")
    given = {"folder": tmp_path}
    found = run_units(UNITS, killing, tmp_path / "units", given=given, jobs=2, cluster="local")
    assert found == [divide(k) for k in range(6)]
    assert sorted((tmp_path / "begun").read_text().split()) == ["0", "1", "2", "2", "3", "4", "5"]


@pytest.mark.system
def test_a_process_killed_on_this_machine_is_replaced(tmp_path: Path) -> None:
    found = run_units(UNITS, killing, tmp_path / "units", given={"folder": tmp_path}, jobs=2)
    assert found == [divide(k) for k in range(6)]
    assert (tmp_path / "begun").read_text().split().count("2") == 2


CLUSTER = """
kind = "cluster"
jobqueue = "{kind}Cluster"
jobs = 2
wait_s = 60
memory = "1GB"
walltime = "00:10:00"
[options]
scheduler_options = {{ host = "127.0.0.1" }}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for SLURM is a script for Linux")
@pytest.mark.system
def test_jobs_of_a_queue_compute_units_and_a_deadly_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script in SLURM's place runs what would be submitted, as processes of this machine."""
    require_jobqueue()
    for name, body in {
        # As SLURM does, it keeps the script: what was submitted is removed at once.
        "sbatch": 'cp "$1" "$0.$$" && { setsid bash "$0.$$" >/dev/null 2>&1 & echo "Submitted batch job $!"; }',
        "scancel": "kill -TERM -- -$1 2>/dev/null; true",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{Path(__file__).parents[2]}")
    (tmp_path / "slurm.toml").write_text(CLUSTER.format(kind="SLURM"))
    given = {"folder": tmp_path, "deadly": 9}
    # What is set is taken back whole: before distributed has set its own defaults these would go with it.
    pytest.importorskip("distributed")
    with (
        pytest.importorskip("dask").config.set({"distributed.scheduler.allowed-failures": 1}),
        pytest.raises(DataError, match="square of 2"),
    ):
        run_units(UNITS, killing, tmp_path / "units", given=given, cluster=str(tmp_path / "slurm.toml"))
    assert len(list((tmp_path / "units").glob("*.json"))) == 5


@pytest.mark.parametrize("kind", ["SLURM", "SGE", "PBS"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("walltime =", "wall_time ="), "wall_time"),
        (("scheduler_options", "local_direktory"), "local_directory"),
        (('memory = "1GB"', 'memory = "lots"'), "lots"),
        (("jobs = 2", "jobs = 0"), "jobs"),
        (("Cluster", "Custer"), "jobqueue"),
    ],
)
def test_a_cluster_file_that_its_queue_cannot_use_is_refused_by_name(
    tmp_path: Path, kind: str, change: tuple[str, str], words: str
) -> None:
    require_jobqueue()
    path = tmp_path / "cluster.toml"
    path.write_text(CLUSTER.format(kind=kind))
    assert load_cluster(path).jobqueue == f"{kind}Cluster"
    path.write_text(CLUSTER.format(kind=kind).replace(*change))
    with pytest.raises(ConfigError, match=words):
        load_cluster(path)


def test_ctrl_c_is_an_interrupt_as_before_when_a_cluster_file_has_been_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_jobqueue()
    for name in [name for name in sys.modules if name.split(".")[0] == "dask_jobqueue"]:
        monkeypatch.delitem(sys.modules, name)
    before = signal.getsignal(signal.SIGINT)
    path = tmp_path / "cluster.toml"
    path.write_text(CLUSTER.format(kind="SLURM"))
    load_cluster(path)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_queue_that_is_not_on_this_machine_is_named(tmp_path: Path) -> None:
    require_jobqueue()
    path = tmp_path / "cluster.toml"
    path.write_text(CLUSTER.format(kind="LSF"))
    with pytest.raises(ConfigError, match="bsub"):
        run_units(UNITS, square, tmp_path / "units", cluster=str(path))


@pytest.mark.system
def test_a_local_cluster_gives_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    here = run_units(UNITS, divide, tmp_path / "here")
    there = run_units(UNITS, divide, tmp_path / "there", jobs=2, cluster="local")
    assert here == there
    assert {p.name for p in (tmp_path / "here").iterdir()} == {p.name for p in (tmp_path / "there").iterdir()}


def divide(number: int) -> dict[str, Any]:
    return {"third": number / 3, "seventh": (number + 0.1) / 7}


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(ConfigError, match="Dask scheduler at nonsense"):
        run_units(UNITS, square, tmp_path, cluster="nonsense://nowhere:1")

"""Units of long analyses: a killed run goes on with what is missing; a cluster gives the same numbers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("joblib")

from bci.errors import ConfigError
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

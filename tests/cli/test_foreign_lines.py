"""What libraries print past Python tears nothing, and is seen where a command fails for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys
from bci.cli.foreign_lines import held_back
with held_back():
    os.write(2, b"2026-01-01 10:00:00.000 (   0.100s) [R_amp-1  ]  data_receiver.cpp:344   ERR| Stream broke off\\n")
    os.write(2, b"libfoo: cannot open the card\\n")
    sys.stderr.write("ours\\n")
    {end}
"""


def run(end: str) -> "subprocess.CompletedProcess[str]":
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.run(
        [sys.executable, "-c", CODE.format(end=end)], env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "sys.exit(130)", "raise KeyboardInterrupt"])
def test_lines_of_libraries_are_not_shown_where_all_went_well_or_was_stopped(end: str) -> None:
    done = run(end)
    assert "ours" in done.stderr
    assert "libfoo" not in done.stderr
    assert "broke off" not in done.stderr


@pytest.mark.parametrize("end", ["sys.exit(2)", "raise ValueError('x')"])
def test_where_a_command_fails_they_are_shown_but_for_liblsl_s_log(end: str) -> None:
    done = run(end)
    assert "libfoo: cannot open the card" in done.stderr
    assert "broke off" not in done.stderr
    assert done.returncode != 0

"""A capped child answers, refuses, dies or wants too much, and none of it reaches the process that asked."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bci.errors import ConfigError
from bci.io.files.capped import ChildLimits, ask, wait_within

LIMITS = ChildLimits(1 << 30, 30.0, "a good answer", "Ask another.")

CHILD = """
import os, sys, time
from bci.errors import BciError
from bci.io.files.capped import answer

def handle(request):
    if request["do"] == "refuse":
        raise BciError("not this one")
    if request["do"] == "grow":
        held = bytearray(1 << 40)
    if request["do"] == "die":
        sys.stderr.write("last words\\n")
        sys.stderr.flush()
        os._exit(7)
    while request["do"] == "hang":
        time.sleep(0.01)
    return {"double": 2 * request["value"]}

answer(handle)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the name of a module that answers."""
    (tmp_path / "planted_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "planted_child"


def refusal(child: str, do: str, limits: ChildLimits = LIMITS) -> str:
    before = {process.pid for process in psutil.Process().children()}
    with pytest.raises(ConfigError) as caught:
        ask(child, {"do": do}, limits, ConfigError)
    assert {process.pid for process in psutil.Process().children()} == before
    return str(caught.value)


def test_an_answer_comes_back_and_what_is_done_meanwhile_is_done(child: str) -> None:
    done: list[int] = []
    assert ask(child, {"do": "answer", "value": 21}, LIMITS, ConfigError, lambda: done.append(1)) == {
        "double": 42
    }
    assert done == [1]


def test_a_refusal_keeps_its_words(child: str) -> None:
    assert refusal(child, "refuse") == "not this one"


def test_a_child_that_dies_is_told_with_its_last_words(child: str) -> None:
    assert refusal(child, "die") == (
        "expected a good answer, but the process that tried it ended with exit status 7 (last words). Ask another."
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MEMORY LIMIT NOT TESTED: needs Linux")
def test_a_child_that_asks_for_a_terabyte_does_not_get_it(child: str) -> None:
    assert refusal(child, "grow") == "expected a good answer in 1 GiB, came more. Ask another."


def test_a_child_that_never_ends_is_stopped(child: str) -> None:
    limits = ChildLimits(1 << 30, 0.5, "a good answer", "Ask another.")
    assert refusal(child, "hang", limits).startswith("expected a good answer within 0.5 s, and it had not")


def test_the_parent_alone_bounds_memory_where_the_platform_does_not() -> None:
    greedy = subprocess.Popen([sys.executable, "-c", "held = bytearray(2**28)\nwhile True: pass"])
    try:
        with pytest.raises(ConfigError, match="came more"):
            wait_within(greedy, ChildLimits(2**27, 60.0, "little", "Take less."), ConfigError)
    finally:
        greedy.kill()
        greedy.wait()


def test_a_child_that_outlives_its_kill_is_left_behind(child: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = subprocess.Popen.wait
    waited: list[tuple[subprocess.Popen[bytes], float | None]] = []

    def never(process: "subprocess.Popen[bytes]", timeout: float | None = None) -> int:
        waited.append((process, timeout))
        raise subprocess.TimeoutExpired(process.args, timeout or 0.0)

    monkeypatch.setattr(subprocess.Popen, "wait", never)
    limits = ChildLimits(LIMITS.memory, 0.0, LIMITS.expected, LIMITS.advice)
    with pytest.raises(ConfigError, match="within 0 s"):
        ask(child, {"do": "hang"}, limits, ConfigError)
    assert all(timeout is not None for _, timeout in waited)  # no wait without an end
    ends(waited[-1][0])

"""A person at a terminal of 80 columns pulls plugs, closes windows and presses Ctrl-C, and is told what happened."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import call
from sessions import only_folder, segments_of, wait_for
from terminals import Terminal
from tiny_bundle import CHANNELS, tiny_bundle

from bci.control import doctor
from bci.control.conclusion import EXIT_STATUS
from bci.memory.leftovers import Leftover, hold, remove_leftovers

ROOT = Path(__file__).resolve().parents[2]
ENV = os.environ | {"PYTHONPATH": str(ROOT)}

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not hasattr(os, "posix_openpt") and sys.platform == "win32", reason="no pseudo-terminal"
    ),
]

RATE = 100.0

CONFIG = """
name = "plug"
[stream]
source_id = "{source_id}"
timeout_s = 20
[decoder]
bundle = "bundle"
[display]
kind = "headless"
max_png = 0
contact_sheet = 0
"""

#: An amplifier: sends its own counts, stamped exactly, until it is killed; or only says that it is there.
AMPLIFIER = """
import json, sys, time
import numpy as np
from bci.io.lsl.source import LslOutlet
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Signal
facts = json.loads(sys.argv[1])
labels = tuple(facts["labels"])
signal = Signal("amp", facts["rate"], (len(labels),), labels, "uV")
clock = LslClock()
outlet = LslOutlet(signal, facts["source_id"], exact_stamps=True)
print("up", flush=True)
began, sent, hop = clock.now(), 0, 5
while True:
    clock.sleep_until(began + (sent + hop) / facts["rate"])
    if facts["sends"]:
        counts = np.arange(sent, sent + hop)
        outlet.push(np.repeat(counts[:, None] % 100, len(labels), 1).astype("f4"), began + (counts + 1) / facts["rate"])
    sent += hop
"""


class Amplifier:
    """A program that can be stopped and killed; a context manager."""

    def __init__(self, source_id: str, sends: bool = True) -> None:
        facts = {"source_id": source_id, "rate": RATE, "labels": CHANNELS, "sends": sends}
        self.source_id = source_id
        self.process = subprocess.Popen(
            [sys.executable, "-c", AMPLIFIER, json.dumps(facts)], stdout=subprocess.PIPE, text=True, env=ENV
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def __enter__(self) -> "Amplifier":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def amplifier() -> Iterator[Amplifier]:
    with Amplifier(f"plug-{os.getpid()}-{time.monotonic_ns()}") as amplifier:
        yield amplifier


def session_file(folder: Path, source_id: str) -> Path:
    tiny_bundle(folder / "bundle", rate=RATE)
    path = folder / "plug.toml"
    path.write_text(CONFIG.format(source_id=source_id))
    return path


def bci(*words: object, columns: int = 80) -> Terminal:
    return Terminal([sys.executable, "-m", "bci", *words], ENV, columns)


def last_live(text: str) -> str:
    """Return the live lines: what stands below the last line of what has happened."""
    return "\n".join(text.splitlines()[-4:])


def silence_in(text: str) -> float:
    """Return the seconds without data that the newest live line says, else 0; a busy screen skips some."""
    seconds = re.findall(r"NO DATA ([\d.]+) s, neutral", last_live(text))
    return float(seconds[-1]) if seconds else 0.0


def test_an_unplugged_amplifier_is_seen_at_once_and_the_session_ends_with_status_3(
    tmp_path: Path, amplifier: Amplifier
) -> None:
    config = session_file(tmp_path, amplifier.source_id)
    with bci("run", config, "--out", tmp_path / "out") as terminal:
        terminal.until(lambda text: "confidence" in text and "0:02" in text, "a picture")
        amplifier.process.send_signal(signal.SIGSTOP)
        seen_after = terminal.until(lambda text: "NO DATA" in text, "the silence")
        # The limit is 0.5 s; the screen is drawn ten times a second, on a machine that does other things too.
        assert seen_after < 2.0
        assert "41" in terminal.screen.style_of("NO DATA").split(";"), "not on red"
        terminal.until(lambda text: silence_in(text) >= 2.5, "the silence growing")
        live = last_live(terminal.screen.text)
        assert "confidence" not in live
        assert "nothing read for" in live
        words = " ".join(terminal.screen.text.split())
        assert "still announced, and sends nothing. The participant sees the neutral picture." in words
        assert "recording goes on. Look at the amplifier" in words
        amplifier.process.send_signal(signal.SIGCONT)
        terminal.until(lambda text: "data again" in text and "confidence" in last_live(text), "the return")
        amplifier.process.kill()
        terminal.until(lambda text: "gone from the network" in " ".join(text.split()), "the loss")
        terminal.until(lambda text: 1.5 <= silence_in(text) < 2.5, "the silence again")
        terminal.press_ctrl_c()
        assert terminal.end() == 3
        text = terminal.screen.text
    for line in text.splitlines():
        assert len(line) <= 80
        assert "ERR|" not in line, "liblsl's own line"
        assert "[/" not in line
    words = " ".join(text.split())
    assert f"No data from {amplifier.source_id} for " in words
    assert "in 2 stretches" in words
    assert "until the end. The participant saw the neutral picture meanwhile." in words
    folder = only_folder(tmp_path / "out")
    assert folder is not None
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "safe"
    assert summary["no_data"][amplifier.source_id]["now"] is True
    assert summary["no_data"][amplifier.source_id]["longest"] > 2.0
    # What liblsl prints by itself is kept, beside what the programs say.
    assert "Stream transmission broke off" in (folder / "log.txt").read_text()


def test_closing_the_terminal_ends_the_session_in_order(tmp_path: Path, amplifier: Amplifier) -> None:
    config = session_file(tmp_path, amplifier.source_id)
    with bci("run", config, "--out", tmp_path / "out") as terminal:
        terminal.until(lambda text: "confidence" in text, "a picture")
        terminal.hang_up()
        assert terminal.process.wait(60) == 0
    folder = only_folder(tmp_path / "out")
    assert folder is not None
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["ended_by"] == "stopped by the operator"
    assert (summary["failures"], summary["restarts"]) == ([], {})
    assert not list(folder.glob("*.partial"))
    assert call("verify", folder, "--json").status == 0
    assert segments_of(folder) == set()


def test_an_outlet_that_sends_nothing_is_no_success(tmp_path: Path) -> None:
    with Amplifier(f"mute-{os.getpid()}", sends=False) as mute:
        config = session_file(tmp_path, mute.source_id)
        with bci("run", config, "--seconds", 3, "--out", tmp_path / "out") as terminal:
            assert terminal.end() == 3
            words = " ".join(terminal.screen.text.split())
        assert f"No data from {mute.source_id}: the stream was there and sent nothing" in words
        session = only_folder(tmp_path / "out")
        assert session is not None
        assert "neutral picture: before the first frame" in (session / "log.txt").read_text()
        assert "Nothing was recorded" in words
        with bci("record", mute.source_id, "--seconds", 2, "--out", tmp_path / "kept") as terminal:
            terminal.until(lambda text: "NO DATA yet" in text, "the silence, while it records")
            assert "41" in terminal.screen.style_of("NO DATA yet").split(";"), "not on red"
            assert terminal.end() == 3
            words = " ".join(terminal.screen.text.split())
        assert (
            "No data. The stream is still announced, and sends nothing. What was received is recorded"
            in words
        )
        assert "sent nothing" in words
        assert "Nothing was recorded" in words


@pytest.mark.parametrize("after", [0.3, 1.2, 2.5, 4.0])
def test_ctrl_c_while_a_session_starts_ends_it_at_once(
    tmp_path: Path, amplifier: Amplifier, after: float
) -> None:
    config = session_file(tmp_path, amplifier.source_id)
    with bci("run", config, "--out", tmp_path / "out") as terminal:
        until = time.monotonic() + after
        while time.monotonic() < until:
            terminal.read(0.02)
        status = interrupted(terminal)
        words = " ".join(terminal.screen.text.split())
    folder = only_folder(tmp_path / "out")
    summary = None if folder is None else folder / "summary.json"
    if summary is not None and summary.exists():
        stated = json.loads(summary.read_text())
        assert (stated["ended_by"], EXIT_STATUS[stated["status"]]) == ("stopped by the operator", status)
    elif "stopped before everything was ready" in words:
        assert status == 2
    else:
        # Before Python has run a line of ours its own handler ends it; after that it is one of ours.
        assert status in (130, -signal.SIGINT), words
        assert folder is None or "started as process" not in (folder / "log.txt").read_text()
    if folder is not None:
        wait_for(lambda: segments_of(folder) == set(), "the end of the shared memory")


def test_ctrl_c_while_its_programs_load_is_status_2(tmp_path: Path, amplifier: Amplifier) -> None:
    config = session_file(tmp_path, amplifier.source_id)

    def loads(text: str) -> bool:
        folder = only_folder(tmp_path / "out")
        log = folder / "log.txt" if folder else None
        return log is not None and log.exists() and " started as process" in log.read_text()

    with bci("run", config, "--out", tmp_path / "out") as terminal:
        terminal.until(loads, "a program that loads")
        assert interrupted(terminal) == 2, terminal.screen.text
        assert "stopped before everything was ready" in " ".join(terminal.screen.text.split())
    folder = only_folder(tmp_path / "out")
    assert folder is not None
    assert not (folder / "summary.json").exists()
    wait_for(lambda: segments_of(folder) == set(), "the end of the shared memory")


def interrupted(terminal: Terminal) -> int:
    """Press Ctrl-C, and return the status; it ends soon, and the screen does not say where in the code it was."""
    terminal.press_ctrl_c()
    began = time.monotonic()
    status = terminal.end()
    assert time.monotonic() - began < 8.0
    # Until the first line of ours runs, the interpreter answers for itself.
    assert f"{ROOT}" not in terminal.screen.text, terminal.screen.text
    return status


@pytest.mark.parametrize(
    "words",
    [
        ("streams", "--wait", 60),
        ("record", "--out", "kept"),
        ("quality",),
        ("check", "plug.toml"),
        ("doctor",),
    ],
    ids=lambda words: words[0],
)
def test_ctrl_c_ends_what_waits_at_once(
    tmp_path: Path, words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    session_file(tmp_path, "nowhere-1")
    monkeypatch.chdir(tmp_path)
    with bci(*words) as terminal:
        until = time.monotonic() + 2.5
        while time.monotonic() < until and terminal.process.poll() is None:
            terminal.read(0.05)
        terminal.press_ctrl_c()
        began = time.monotonic()
        status = terminal.end()
        assert time.monotonic() - began < 4.0
        assert "Traceback" not in terminal.screen.text, terminal.screen.text
        # What is over already may be hit while the interpreter ends.
        assert status in (130, 0, 2, -signal.SIGINT), terminal.screen.text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="shared memory is listed on Linux alone")
def test_what_a_session_leaves_that_was_killed_with_everything_is_removed_by_the_doctor(
    tmp_path: Path, amplifier: Amplifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    config = session_file(tmp_path, amplifier.source_id)
    with bci("run", config, "--out", tmp_path / "out") as terminal:
        terminal.until(lambda text: "confidence" in text, "a picture")
        everything = psutil.Process(terminal.process.pid).children(recursive=True)
        folder = only_folder(tmp_path / "out")
        assert folder is not None
        call("doctor")
        assert segments_of(folder), "a session that lives lost its memory"
        # Sessions of other tests remove at their start what is dead: not before the doctor of this one looks.
        held = [hold(name) for name in segments_of(folder)]
        os.killpg(terminal.process.pid, signal.SIGSTOP)
        for process in (*everything, psutil.Process(terminal.process.pid)):
            process.kill()
        psutil.wait_procs(everything, 10)
        terminal.process.wait(10)
    assert segments_of(folder), "nothing was left: the test shows nothing"

    def let_go_and_remove() -> list[Leftover]:
        for descriptor in held:
            if descriptor is not None:
                os.close(descriptor)
        return remove_leftovers()

    monkeypatch.setattr(doctor, "remove_leftovers", let_go_and_remove)
    done = call("doctor", "--json")
    assert "removed" in done.result["findings"]["Killed sessions"]["seen"]
    assert segments_of(folder) == set()


def test_a_recording_that_plays_is_what_it_says(tmp_path: Path) -> None:
    """A file that ends is no source that was lost."""
    tiny_bundle(tmp_path / "bundle", rate=RATE)
    np.savez(tmp_path / "r.npz", data=np.zeros((500, 3), "f4") + np.arange(500)[:, None] % 7)
    (tmp_path / "s.toml").write_text(
        'name = "s"\nnetwork = "machine"\n[source]\nkind = "replay"\nfile = "r.npz"\nrate = 100\nunit = "uV"\n'
        'channels = ["O1", "Oz", "O2"]\n[decoder]\nbundle = "bundle"\n[display]\nkind = "headless"\nmax_png = 0\n'
    )
    with bci("run", tmp_path / "s.toml", "--out", tmp_path / "out") as terminal:
        assert terminal.end() == 0, terminal.screen.text
        assert "No data" not in terminal.screen.text

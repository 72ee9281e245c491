"""The table 'When things die', row by row: what the participant sees, what is recorded, what the operator is told."""

import json
import os
import re
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from commands import Done, call
from sessions import PATIENT_SCREEN, finish, only_folder, rows_in, segments_of, start, wait_for

from bci.control.mqtt.ports import free_port

pytestmark = pytest.mark.system

BUNDLE = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"
ROWS = ("source", "acquire", "decode", "display", "record")

CONFIG = """
name = "faults"
network = "machine"
[source]
kind = "simulate"
[decoder]
bundle = {bundle}
# The simulator is now and then unlike what was trained on: neutral pictures of that are no fault of a program's.
unlike = "keep"
[display]
kind = "headless"
max_png = 0
[supervision]
restarts = {restarts}
hung_after_s = {hung_after}
when_latched = "{when_latched}"
[recording]
if_lost = "safe"
"""


class Rig:
    """A session that is being broken."""

    def __init__(self, folder: Path, **supervision: object) -> None:
        self.out = folder / "out"
        config = folder / "faults.toml"
        config.write_text(CONFIG.format(bundle=json.dumps(str(BUNDLE)), **supervision))
        self.process = start("run", config, "--out", self.out, "--json")
        wait_for(lambda: bool(only_folder(self.out)) and self.rows("shown") > 5, "pictures")

    @property
    def folder(self) -> Path:
        folder = only_folder(self.out)
        assert folder is not None
        return folder

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    def rows(self, table: str) -> int:
        """Count the rows of a table in all its parts."""
        return sum(map(rows_in, self.folder.glob(f"{table}*.csv")))

    def pids(self, program: str) -> list[int]:
        """Return the processes that have played a program, oldest first."""
        return [int(pid) for pid in re.findall(rf" {program} started as process (\d+)", self.log)]

    def page_url(self) -> str:
        """Return where the operator's page is now."""
        return str(json.loads((self.folder / "page.json").read_text("utf-8"))["url"])

    def shown(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("shown*.csv")))

    def neutrals(self) -> int:
        """Count the changes of picture that led to the neutral one."""
        return self.shown().count(",neutral,")

    def break_and_wait(self, victim: str, fault: Callable[[int], None]) -> int:
        """Break a program, wait until pictures are back; return how often the screen went neutral."""
        before, neutrals = len(self.pids(victim)), self.neutrals()
        mended = self.log.count(f"{victim} works again")
        fault(self.pids(victim)[-1])
        wait_for(lambda: len(self.pids(victim)) > before, f"a restart of {victim}")
        wait_for(lambda: self.log.count(f"{victim} works again") > mended, f"{victim} working again")
        frames, shown = self.rows("frames"), self.rows("shown")
        wait_for(lambda: self.rows("frames") > frames + 5 and self.rows("shown") > shown + 5, "pictures")
        return self.neutrals() - neutrals

    def end(self) -> Done:
        self.process.send_signal(signal.SIGTERM)
        return finish(self.process)


@pytest.fixture
def rig_of(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Start sessions that end with the test, however it ends."""
    rigs: list[Rig] = []

    def begin(**supervision: object) -> Rig:
        rigs.append(Rig(tmp_path, **supervision))
        return rigs[-1]

    yield begin
    for rig in rigs:
        if rig.process.poll() is None:
            os.killpg(rig.process.pid, signal.SIGKILL)
        rig.process.communicate()


def kill(pid: int) -> None:
    psutil.Process(pid).kill()


def freeze(pid: int) -> None:
    psutil.Process(pid).suspend()


@pytest.mark.parametrize("fault", [kill, freeze])
def test_whoever_is_killed_or_frozen_is_started_again_and_the_pictures_come_back(
    rig_of: Callable[..., Rig], fault: Callable[[int], None]
) -> None:
    rig = rig_of(restarts=20, hung_after=2.0, when_latched="hold")
    # The participant: neutral while the data or the decoder were dead.
    for victim in ROWS:
        went_neutral = rig.break_and_wait(victim, fault)
        assert went_neutral or victim in ("display", "record"), victim
    done = rig.end()

    assert done.status == 4, done.words
    assert done.result["status"] == "recovered"
    assert set(done.result["restarts"]) == set(ROWS)
    assert done.result["latched"] == ""
    assert done.result["windows"] == done.result["reconstructions"] + done.result["skipped"]
    # The operator.
    for victim in ROWS:
        assert re.search(rf"ERROR {victim} .*restart 1 of 20", rig.log), victim
    # The recording: every sample that acquire had is in one of its parts, every restart is a mark.
    marks = "".join(path.read_text() for path in rig.folder.glob("marks*.csv"))
    for victim in ROWS:
        assert f"{victim} " in marks, victim
    for kind in ("RESTART", "RECONNECT", "PIPELINE_RESET"):
        assert kind.lower() in marks.lower(), kind
    assert done.result["programs"]["record"]["unrecorded"] == 0
    assert [path.name for path in rig.folder.glob("recording*.xdf")] == ["recording-2.xdf"]
    assert [path.name for path in rig.folder.glob("*.partial")] == ["recording.xdf.partial"]
    verified = call("verify", rig.folder, "--json")
    assert verified.result["damaged"] == 0
    assert [Path(part["recording"]).name for part in verified.result["parts"]] == [
        "recording.xdf.partial",
        "recording-2.xdf",
    ]
    assert segments_of(rig.folder) == set()


@pytest.mark.parametrize("victim", ["decode", "record"])
def test_after_the_last_restart_the_session_is_latched_safe_until_it_is_ended(
    rig_of: Callable[..., Rig], victim: str
) -> None:
    rig = rig_of(restarts=0, hung_after=10.0, when_latched="hold")
    kill(rig.pids(victim)[-1])
    wait_for(lambda: "latched safe" in rig.log, "the latch")
    wait_for(
        lambda: "the session is latched safe" in rig.log or "no heartbeat of decode" in rig.log, "neutral"
    )
    assert rig.process.poll() is None
    done = rig.end()
    assert done.status == 3, done.words
    assert done.result["status"] == "safe"
    assert victim in done.result["latched"]
    assert segments_of(rig.folder) == set()


def test_a_display_that_stays_dead_ends_the_session(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of(restarts=0, hung_after=10.0, when_latched="hold")
    kill(rig.pids("display")[-1])
    done = finish(rig.process)
    assert done.status == 3, done.words
    assert "nothing can be shown" in done.result["ended_by"]
    assert segments_of(rig.folder) == set()


def test_when_the_supervisor_is_killed_every_program_ends_and_the_recording_is_finished(
    rig_of: Callable[..., Rig],
) -> None:
    rig = rig_of(restarts=3, hung_after=10.0, when_latched="hold")
    programs = [psutil.Process(rig.pids(name)[-1]) for name in ROWS]
    os.kill(rig.process.pid, signal.SIGKILL)
    # As docs/failures.md says.
    gone, alive = psutil.wait_procs(programs, timeout=5.0)
    assert not alive
    assert len(gone) == len(ROWS)
    assert "neutral picture: the run is over" in rig.log or rig.shown().rstrip().endswith("the run is over")
    for name in ROWS[1:]:
        assert f" {name} WARNING the supervisor is gone: ending" in rig.log, name
    assert not (rig.folder / "summary.json").exists()
    assert [path.name for path in rig.folder.glob("recording*")] != []
    assert not list(rig.folder.glob("*.partial"))
    assert call("verify", rig.folder, "--json").result["damaged"] == 0
    if sys.platform.startswith("linux"):
        wait_for(lambda: segments_of(rig.folder) == set(), "the end of the shared memory")


def test_a_machine_that_shuts_down_ends_the_session_in_order(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of(restarts=3, hung_after=10.0, when_latched="hold")
    os.killpg(rig.process.pid, signal.SIGTERM)  # all processes at once, as init does
    done = finish(rig.process)
    assert done.status == 0, done.words
    assert done.result["ended_by"] == "stopped by the operator"
    assert done.result["restarts"] == {}
    assert done.result["failures"] == []
    assert "Traceback" not in done.words + rig.log
    assert " died " not in rig.log
    assert done.result["windows"] == done.result["reconstructions"] + done.result["skipped"]
    assert done.result["programs"]["record"]["unrecorded"] == 0
    verified = call("verify", rig.folder, "--json")
    assert verified.result["damaged"] == 0
    assert not list(rig.folder.glob("*.partial"))
    assert segments_of(rig.folder) == set()


def test_nothing_that_dies_or_hangs_beside_the_line_changes_what_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorder, publisher, page, supervisor: nothing in the line waits for any of them."""
    beside = f'[publish]\nsource_id = "faults-results"\n[page]\nport = {free_port()}\n'
    # A line that waited for a page that hangs would be neutral for longer than these limits, a busy machine is not.
    patient = CONFIG.replace("max_png = 0", f"max_png = 0\n{PATIENT_SCREEN}")
    monkeypatch.setattr(sys.modules[__name__], "CONFIG", patient + beside)
    rig = Rig(tmp_path, restarts=3, hung_after=6.0, when_latched="hold")
    try:
        assert rig.break_and_wait("record", kill) == 0
        assert rig.break_and_wait("publish", kill) == 0
        url = rig.page_url()
        for fault in (kill, freeze):
            assert rig.break_and_wait("page", fault) == 0
            assert rig.page_url() == url, "a browser that reloads finds it again"
            assert "bci_program_restarts_total" in numbers_at(url)
        before, neutrals = rig.rows("shown"), rig.neutrals()
        freeze(rig.process.pid)
        wait_for(lambda: rig.rows("shown") > before + 20, "pictures without a supervisor")
        psutil.Process(rig.process.pid).resume()
        assert rig.neutrals() == neutrals
        done = rig.end()
    finally:
        if rig.process.poll() is None:
            os.killpg(rig.process.pid, signal.SIGKILL)
    assert done.status == 4, done.words
    assert done.result["restarts"] == {"record": 1, "publish": 1, "page": 2}
    assert re.search(r"ERROR publish .*restart 1 of 3", rig.log)
    assert re.search(r"ERROR page died .*restart 1 of 3", rig.log)
    assert re.search(r"ERROR page hung: no heartbeat .*restart 2 of 3", rig.log)
    assert done.result["samples_lost"] == 0
    assert done.result["windows"] == done.result["reconstructions"] + done.result["skipped"]
    assert done.result["programs"]["record"]["unrecorded"] == 0
    assert call("verify", rig.folder, "--json").result["damaged"] == 0


def numbers_at(url: str) -> str:
    """Return what the page's program tells a collector."""
    with urllib.request.urlopen(f"{url}metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")

"""Two signals of different rates, two streams of markers, two decoders, one session: whole, and each program broken."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyxdf
from sessions import segments_of
from test_certify import PATIENT
from tiny_bundle import tiny_bundle

from bci.config.session import SessionConfig, load_session
from bci.control.certify.breaking import Fault
from bci.control.certify.certificate import broken_in
from bci.control.certify.faults import FaultRules, judge, planned
from bci.control.certify.figures import decode_again
from bci.control.certify.rig import prepare
from bci.control.certify.runs import CertifiedRun
from bci.control.certify.seeing import look
from bci.control.certify.traces import Traces
from bci.control.session_plan import supervise
from bci.control.supervisor import Supervisor
from bci.io.files.xdf.verify import verify
from bci.io.lsl.markers import MarkerOutlet
from bci.live.source import open_source
from bci.live.tables import image_digest
from bci.memory.lsl_clock import LslClock
from bci.session.reproduce import reproduce
from bci.signal.types import Event

pytestmark = pytest.mark.system

FAST, SLOW = ("O1", "Oz", "O2"), ("left", "right")


def session_file(folder: Path, **more: str) -> Path:
    """Write a session of two simulated signals, each with a stream of markers, and a decoder of each signal."""
    pipeline = [{"step": "band_pass", "low": 8.0, "high": 30.0, "order": 2}]
    tiny_bundle(folder / "eyes", rate=200.0, channels=FAST, length=40, hop=20, pipeline=pipeline)
    tiny_bundle(folder / "arms", rate=50.0, channels=SLOW, length=20, hop=10, height=4, width=4, latent=3)
    path = folder / "session.toml"
    path.write_text(
        f"""
name = "several"
network = "machine"
{more.get("top", "")}

[[stream]]
name = "eeg"
markers = "keys"

[[stream]]
name = "emg"
markers = ["buttons"]

[[source]]
kind = "sines"
rate = 200
shape = [3]
channels = ["O1", "Oz", "O2"]
unit = "uV"

[[source]]
feeds = "emg"
kind = "sines"
rate = 50
shape = [2]
channels = ["left", "right"]
unit = "uV"

[[decoder]]
name = "eyes"
bundle = "eyes"

[[decoder]]
name = "arms"
stream = "emg"
bundle = "arms"

[display]
kind = "headless"
max_png = 0
contact_sheet = 0
decoder = "arms"

[[publish]]
decoder = "arms"
source_id = "arms-out"
{more.get("end", "")}
"""
    )
    return path


class Keyboards:
    """Two senders of markers, which remember what they sent."""

    def __init__(self, outlets: dict[str, MarkerOutlet]) -> None:
        self.outlets = outlets
        self.sent: dict[str, list[tuple[float, str]]] = {name: [] for name in outlets}
        self._clock = LslClock()

    def press(self) -> None:
        for name, outlet in self.outlets.items():
            event = Event(self._clock.now(), f"{name} {len(self.sent[name])}")
            outlet.push(event)
            self.sent[name].append((event.time, event.text))


@pytest.fixture
def keyboards() -> Iterator[Keyboards]:
    with MarkerOutlet("keys", "keys") as keys, MarkerOutlet("buttons", "buttons") as buttons:
        yield Keyboards({"keys": keys, "buttons": buttons})


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def expected(config: SessionConfig, stream: int, n: int) -> np.ndarray:
    """Return the first samples that a source sends."""
    source = config.source_of(stream)
    assert source is not None
    return open_source(source).read(0, n)  # type: ignore[arg-type]


def test_all_of_it_is_decoded_recorded_whole_verified_and_reproduced(
    tmp_path: Path, keyboards: Keyboards
) -> None:
    config = load_session(session_file(tmp_path))

    def observe(supervisor: Supervisor) -> object:
        snapshot = supervisor.snapshot()
        if snapshot.elapsed < 3.0:
            keyboards.press()
        newest = snapshot.newest
        return snapshot.elapsed > 4.0 and {"decode", "decode:arms"} <= set(newest)

    summary = supervise(config, tmp_path / "out", observe).run()
    folder = Path(summary["session"])
    assert (summary["status"], summary["ended_by"]) == ("done", "its end"), summary["failures"]
    assert summary["samples_lost"] == 0

    # Each stream and each decoder counts for itself.
    eeg, emg = (summary["streams"][name]["samples"] for name in ("eeg", "emg"))
    assert eeg > 400
    assert emg > 100
    for name, samples, length, hop in (("eyes", eeg, 40, 20), ("arms", emg, 20, 10)):
        counted = summary["decoders"][name]
        assert counted["windows"] == counted["reconstructions"] + counted["skipped"]
        assert counted["windows"] == (samples - length) // hop + 1
    assert summary["programs"]["publish:arms"]["published"] == summary["decoders"]["arms"]["reconstructions"]

    # The tables: each decoder's own, and marks that say whose they are.
    frames = {name: rows(folder / f"{name}.csv") for name in ("frames", "frames.arms")}
    assert len(frames["frames"]) == summary["decoders"]["eyes"]["reconstructions"]
    assert len(frames["frames.arms"]) == summary["decoders"]["arms"]["reconstructions"]
    sources = {row["source"] for row in rows(folder / "marks.csv")}
    assert sources >= {"stream", "emg", "decode", "decode:arms"}
    pictures = {row["digest"] for row in frames["frames.arms"]}
    shown = [row["digest"] for row in rows(folder / "shown.csv") if row["kind"] == "frame"]
    assert shown
    assert set(shown) <= pictures, "the screen shows the decoder that the session file names"

    # The recording: every sample and every marker of all four streams.
    report = verify(folder / "recording.xdf")
    assert report.sound, report.notes
    streams, _ = pyxdf.load_xdf(folder / "recording.xdf", synchronize_clocks=False, dejitter_timestamps=False)
    by_id = {s["info"]["source_id"][0]: s for s in streams}
    for place, (name, n) in enumerate((("eeg", eeg), ("emg", emg))):
        held = by_id[summary["streams"][name]["source_id"]]["time_series"]
        assert np.array_equal(held, expected(config, place, n))
    for name, sent in keyboards.sent.items():
        assert [row[0] for row in by_id[name]["time_series"]] == [text for _, text in sent]
        assert np.array_equal(by_id[name]["time_stamps"], [time for time, _ in sent])
    assert {"bci-decisions", "bci-decisions:arms", "bci-latents:arms"} <= {
        s["info"]["name"][0] for s in streams
    }
    assert segments_of(folder) == set()

    # And again, offline.
    again = {name: reproduce(folder, decoder=name) for name in ("eyes", "arms")}
    for name, result in again.items():
        assert result["reproduced"], result
        assert result["equal"] == result["frames"] == summary["decoders"][name]["reconstructions"] > 0
    assert again["arms"]["shown_equal"] == again["arms"]["shown"] == len(shown)
    assert again["eyes"]["shown"] == 0


def test_each_program_of_it_is_broken_and_what_must_be_seen_is_seen(
    tmp_path: Path, keyboards: Keyboards
) -> None:
    limits = f"[supervision]\nhung_after_s = 30\n[limits]\n{PATIENT}"
    rig = prepare(load_session(session_file(tmp_path, end=limits)))
    programs = list(dict.fromkeys(program for program, _ in planned(rig.line)))
    assert programs == [
        "source", "source:emg", "acquire", "acquire:emg", "decode", "decode:arms", "display", "publish:arms", "record",
    ]  # fmt: skip
    assert set(programs) == {post.name for post in rig.line}
    faults = [Fault(program, "killed") for program in programs]
    with CertifiedRun("faults", rig.config, tmp_path, LslClock(), rig.hop_seconds, faults=faults) as run:
        run.follow(lambda elapsed, what: keyboards.press())
    assert run.session is not None, run.trouble
    grey = np.full((*rig.bundle.image_size, 3), rig.config.display.background, np.uint8)
    rules = FaultRules(rig.config, rig.hop_seconds, image_digest(grey), rig.sample_seconds)
    made = broken_in(run)
    assert [broken.program for broken in made] == programs, run.journal[-3:]
    assert {name: rules.watched(name) for name in programs if rules.watched(name)} == {
        "source:emg": True,
        "acquire:emg": True,
        "decode:arms": True,
    }
    traces = Traces(run.session)
    failed: dict[str, Any] = {}
    for broken in made:
        name = broken.program
        seen = look(traces, broken, decoder=rules.decoder_of(name), watched=rules.watched(name))
        report = judge(broken, seen, rules, 0.0)
        if not report.passed:
            failed[name] = [(c.what, c.figure_text) for c in report.checks if not c.passed]
    assert failed == {}
    assert traces.coverage.missing == 0
    assert decode_again(run.session)["wrong"] == 0

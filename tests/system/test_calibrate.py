"""`bci calibrate` from the first cue to the bundle, with a simulated participant: written when it beats chance only."""

import itertools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pygame
import pytest
from commands import call
from PIL import Image
from sessions import bci, only_folder

from bci.cli.calibrate import tools
from bci.control import record_streams
from bci.control.snapshot import SessionSnapshot
from bci.decoder.bundle import Bundle
from bci.errors import ConfigError
from bci.io.files.xdf.verify import verify
from bci.io.lsl.source import LslOutlet
from bci.memory.events import MARKER_UNCERTAINTY_LIMIT_S
from bci.signal.clock import Clock
from bci.signal.types import Signal

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]


def config(folder: Path) -> Path:
    """Write the shipped calibration file with short blocks."""
    text = (ROOT / "configs" / "alpha-calibrate.toml").read_text(encoding="utf-8")
    base = ROOT / "models" / "bundles" / "alpha"
    for old, new in (
        ('base = "alpha"', f'base = "{base.as_posix()}"'),
        ("pairs = 6 ", "pairs = 4 "),
        ("seconds = 20 ", "seconds = 10 "),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "calibrate.toml").write_text(text, encoding="utf-8")
    return folder / "calibrate.toml"


def test_who_heeds_the_cues_gets_a_bundle_and_who_does_not_gets_the_reason(tmp_path: Path) -> None:
    words = ("calibrate", config(tmp_path), "--simulate", "--json", "--recordings")
    heeding = bci(*words, tmp_path / "a", "--out", tmp_path / "mine")
    assert heeding.status == 0, heeding.words
    assert heeding.result["written"]
    assert heeding.result["simulated"]
    assert heeding.result["scores"]["auc"]["value"] > 0.9
    assert "SIMULATED EEG" in heeding.words
    assert "shuffled blocks" in heeding.words
    bundle = Bundle.load(tmp_path / "mine")
    assert bundle.hash == heeding.result["hash"]
    assert bundle.spec.title.startswith("SIMULATED")
    assert verify(Path(heeding.result["recording"])).sound

    heedless = bci(*words, tmp_path / "b", "--heedless", "--out", tmp_path / "none")
    assert heedless.status == 3, heedless.words
    assert (heedless.result["written"], heedless.result["beats_chance"]) == (False, False)
    assert "no better than chance" in heedless.result["reason"]
    assert not (tmp_path / "none").exists()
    kept = only_folder(tmp_path / "b")
    assert kept is not None
    assert verify(kept / "recording.xdf").sound


def test_a_stream_that_does_not_fit_is_refused_before_anybody_is_asked_to_sit_down(tmp_path: Path) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("my-amplifier", "another-amp"), encoding="utf-8")
    with LslOutlet(Signal("amp", 250.0, (2,), ("O1", "O2"), "uV"), "another-amp"):
        done = call("calibrate", path, "--out", tmp_path / "out", "--recordings", tmp_path / "r", "--json")
    assert done.status == 2
    assert "expected a stream of 160 Hz" in done.result["message"]
    assert "came 250 Hz" in done.result["message"]
    assert not (tmp_path / "r").exists()


def test_check_finds_the_stream_and_refuses_what_calibrating_refuses(tmp_path: Path) -> None:
    path = config(tmp_path)
    whole = path.read_text(encoding="utf-8").replace(
        'source_id = "my-amplifier"', 'name = "cap-7"\ntype = "EEG"'
    )
    whole = whole.replace("timeout_s = 10", "timeout_s = 1")
    labels = ("O1", "Oz", "O2", "PO7", "PO3", "POz", "PO4", "PO8")
    with LslOutlet(Signal("cap-7", 160.0, (8,), labels, "uV"), "serial", kind="EEG"):
        path.write_text(whole, encoding="utf-8")
        found = call("check", path, "--json")
        assert found.status == 0, found.words
        assert found.result["stream"] == "name=cap-7,type=EEG"
        for spoilt, words in (
            (whole.replace('# picture = "open.png"', 'picture = "none.png"'), "none.png"),
            (whole + "[display]\nmonitor = 7\n", "no monitor is called 7"),
            (whole.replace("cap-7", "cap-8"), "name 'cap-8'"),
            (
                whole.replace('network = "lab"', 'network = "machine"'),
                "gives the session a network of its own",
            ),
        ):
            path.write_text(spoilt, encoding="utf-8")
            with pytest.MonkeyPatch.context() as patch:
                if "machine" in spoilt:
                    patch.delenv("LSLAPICFG")
                checked = call("check", path, "--json")
                done = call(
                    "calibrate", path, "--out", tmp_path / "b", "--recordings", tmp_path / "r", "--json"
                )
            assert (checked.status, done.status) == (2, 2), spoilt
            assert checked.result == done.result
            assert words in checked.result["message"]
        assert not (tmp_path / "r").exists()


def test_cues_are_shown_while_a_stream_is_recorded_and_escape_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(tmp_path)
    Image.new("RGB", (20, 20), (200, 30, 60)).save(tmp_path / "open.png")
    text = path.read_text(encoding="utf-8").replace('# picture = "open.png"', 'picture = "open.png"')
    text = text.replace("my-amplifier", "escaped-amp").replace("ready_s = 5", "ready_s = 0")
    path.write_text(text, encoding="utf-8")
    labels = ("O1", "Oz", "O2", "PO7", "PO3", "POz", "PO4", "PO8")
    record, times = record_streams.record_streams, np.arange(16) / 160.0
    asked: dict[str, Any] = {}

    def seen() -> bool:
        surface = pygame.display.get_surface()
        return bool(surface and (pygame.surfarray.array3d(surface) == (200, 30, 60)).all(axis=2).any())

    def recorder(
        streams: list[str],
        out: Path,
        *,
        observe: Callable[..., object],
        watch: Callable[..., object],
        clock: Clock,
        **settings: Any,
    ) -> dict[str, Any]:
        asked.update(settings)
        began = clock.now()
        turns = itertools.count()
        alarms: list[str] = []

        def watched(session: SessionSnapshot) -> None:
            watch(session)
            alarms.extend(alarm.line for alarm in session.alarms)

        def turn(counts: Mapping[str, int]) -> object:
            """Send a tenth of a second, let the cues follow, and press Escape once one is seen."""
            if "NO DATA yet" in alarms:  # the amplifier is silent until that has been said
                amplifier.push(np.zeros((16, 8), "f4"), began + next(turns) / 10 + times)
            ended = observe(counts)
            assert seen() == (counts["received"] > 0)  # nothing is shown before there are samples
            if seen():
                pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, unicode=""))
            return ended

        return record(streams, out, observe=turn, watch=watched, clock=clock, **settings)

    monkeypatch.setattr(record_streams, "record_streams", recorder)
    with LslOutlet(Signal("amp", 160.0, (8,), labels, "uV"), "escaped-amp") as amplifier:
        done = call("calibrate", path, "--out", tmp_path / "out", "--recordings", tmp_path / "r", "--json")
    assert done.status == 3, done.words
    words = " ".join(done.words.split())
    assert "No data. The stream is still announced, and sends nothing." in words
    assert "Look at the amplifier" in words
    assert (asked["marker_uncertainty_limit_s"], asked["latency_s"]) == (MARKER_UNCERTAINTY_LIMIT_S, 0.0)
    assert "ended before the last block" in done.result["reason"]
    assert verify(Path(done.result["recording"])).sound
    assert not (tmp_path / "out").exists()
    assert not pygame.display.get_init()


def test_without_the_extra_the_line_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("models.systems.alpha.calibrate", "models.systems.alpha.export", "models.export", "onnx"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"needs the package 'onnx', .* pip install .*\[train\]'"):
        tools(config(tmp_path))

"""`bci new` writes a file that `bci check` takes as it is: from streams that are seen, or with the simulator."""

import threading
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from commands import call

from bci.decoder.bundle import Bundle
from bci.io.lsl.markers import MarkerOutlet
from bci.io.lsl.source import LslOutlet
from bci.io.shipped import SHIPPED
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Signal

KINDS = ("session", "experiment", "training", "record")

OTHER = Signal("cap", 250.0, (4,), ("Fz", "Cz", "Pz", "Oz"), "uV")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_network_the_file_takes_what_is_shipped_and_check_accepts_it(kind: str) -> None:
    made = call("new", kind, "--wait", 0, "--json")
    assert made.status == 0, made.words
    assert made.result["file"] == f"{kind}.toml"
    text = Path(f"{kind}.toml").read_text("utf-8")
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert len(comments) > 8, "it explains itself"
    assert "—" not in text
    assert all(len(line) <= 120 for line in text.splitlines())
    checked = call("check", f"{kind}.toml", "--json")
    assert checked.status == 0, checked.words
    assert checked.result["ok"]
    again = call("new", kind, "--wait", 0, "--json")
    assert again.status == 2
    assert "not overwritten" in again.result["message"]
    assert Path(f"{kind}.toml").read_text("utf-8") == text


def test_every_key_that_is_commented_out_may_be_taken_in(tmp_path: Path) -> None:
    """A key at its default says the default: the file with all of them means the same."""
    for kind in ("session", "record"):
        call("new", kind, "--wait", 0)
        text = Path(f"{kind}.toml").read_text("utf-8")
        lines = text.splitlines()
        keys = [
            line for line in lines if line.startswith("# ") and " = " in line and "          #" not in line
        ]
        assert len(keys) > 2
        whole = "\n".join(line.removeprefix("# ") if line in keys else line for line in lines)
        Path(f"{kind}-whole.toml").write_text(whole)
        assert call("check", f"{kind}-whole.toml", "--json").status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sesion",), "sesion"),
        (("session", "../up*.toml"), "up*"),
        (("session", "x.toml", "--stream", "nowhere", "--wait", "0.2"), "nowhere"),
    ],
)
def test_what_cannot_be_made_is_refused_in_words(words: tuple[str, ...], said: str) -> None:
    done = call("new", *words)
    assert done.status == 2
    assert said in done.words
    assert not list(Path().iterdir())


def test_a_full_disk_leaves_no_file_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    done = call("new", "record", "--wait", 0, "--json")
    assert (done.status, done.result["error"]) == (2, "DiskError")
    assert not list(Path().iterdir())


@pytest.fixture
def streams() -> Iterator[dict[str, Signal]]:
    """Send a stream that the shipped alpha decoder fits, one that none fits, and markers."""
    fits = Bundle.load(SHIPPED["bundles"] / "alpha").signal
    stop = threading.Event()
    with ExitStack() as open_:
        outlets = [
            open_.enter_context(LslOutlet(s, i, kind="EEG")) for s, i in ((fits, "fits"), (OTHER, "other"))
        ]
        open_.enter_context(MarkerOutlet("keys", "keys"))

        def send() -> None:
            clock, random = LslClock(), np.random.default_rng(0)
            sent = [0, 0]
            begin = clock.now()
            while not stop.wait(0.02):
                for k, outlet in enumerate(outlets):
                    rate = outlet.info.signal.rate
                    due = int((clock.now() - begin) * rate)
                    if due > sent[k]:
                        times = begin + np.arange(sent[k], due) / rate
                        samples = 20 * random.standard_normal((due - sent[k], *outlet.info.signal.shape))
                        outlet.push(samples.astype(np.float32), times)
                        sent[k] = due

        thread = threading.Thread(target=send)
        thread.start()
        open_.callback(thread.join)
        open_.callback(stop.set)
        yield {"fits": fits, "other": OTHER}


@pytest.mark.system
def test_what_is_seen_on_the_network_is_written_and_check_accepts_it(streams: dict[str, Signal]) -> None:
    for kind in KINDS:
        for stream in ("fits", "other") if kind != "record" else ("",):
            file = f"{kind}-{stream or 'all'}.toml"
            made = call("new", kind, file, *(("--stream", stream) if stream else ()), "--wait", 1, "--json")
            assert made.status == 0, made.words
            values = tomllib.loads(Path(file).read_text("utf-8"))
            if kind == "record":
                assert set(values["streams"]) == {"fits", "other", "keys"}
            elif kind == "training":
                assert values["signal"]["channels"] == list(streams[stream].channels)
                assert values["pipeline"][1]["block"] == round(streams[stream].rate / 10)
            elif stream == "fits":
                assert values["stream"]["source_id"] == "fits"
                assert (values["decoder"]["bundle"], values["network"]) == ("alpha", "lab")
            else:
                # No bundle fits it: the simulator stands in, and the file says why and what to write instead.
                assert "stream" not in values
                text = Path(file).read_text("utf-8")
                assert '#     source_id = "other"' in text
                assert "expected 160 Hz, came 250 Hz" in " ".join(text.split("\n# "))
            checked = call("check", file, "--json")
            assert checked.status == 0, checked.words
    assert checked.result["ok"]
    missing = call("check", "training-fits.toml", "--json").result["missing"]
    assert len(missing) == 2
    assert "eyes-open/recording.xdf" in missing[0]


@pytest.mark.system
def test_a_record_file_is_recorded(streams: dict[str, Signal], tmp_path: Path) -> None:
    Path("pilot.toml").write_text(
        'kind = "record"\nname = "pilot"\nstreams = ["other", "keys"]\nseconds = 1\n'
    )
    done = call("record", "pilot.toml", "--out", "out", "--json")
    assert done.status == 0, done.words
    assert Path(done.result["session"]).name.endswith("-pilot")
    assert done.result["samples"] > 100
    refused = call("record", "pilot.toml", "other", "--json")
    assert refused.status == 2
    assert "give it alone" in refused.result["message"]

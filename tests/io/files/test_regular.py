"""What is no regular file is refused in words before anything opens it: a pipe would hang its reader for ever."""

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from typer.testing import CliRunner

from bci.cli.app import app
from bci.config.session import load_session
from bci.config.sources import InSilicoSpec
from bci.config.toml import read_toml
from bci.control.page.recorded_log import RecordedLog
from bci.control.page.redrawing import file_picture
from bci.decoder.bundle import Bundle
from bci.errors import BciError, ConfigError, RecordingError
from bci.io.files import npy
from bci.io.files.npy import load_array, load_arrays
from bci.io.files.recording import open_recording
from bci.io.files.regular import parse_json, read_json, read_text, require_regular
from bci.io.files.run import load_run, read_run
from bci.io.files.xdf.verify import verify
from bci.live.insilico import open_participant
from bci.session.recorded import RecordedSession
from bci.session.rows import read_rows
from bci.session.session_time import load_stream
from models.datasets.folder import open_picture
from models.datasets.hyper import load_pictures as load_faces
from stimuli.protocols.pictures import load_latents, load_pictures

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="PIPES NOT TESTED: needs a file system that has them"),
    pytest.mark.timeout(60),
]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def socket_of(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def folder(path: Path) -> None:
    path.mkdir()


KINDS = {pipe: "a named pipe", endless: "a device", socket_of: "a socket", folder: "a folder"}


def scanned(path: Path) -> object:
    """Read a scanner's image, whole or volume by volume."""
    pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")
    from bci.io.volumes.files import read_image
    from bci.io.volumes.nifti import walk_nifti

    return list(walk_nifti(path)) if path.suffix == ".nii" else read_image(path)


#: What opens a file that a user or another file names, and what that file is called.
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a session file": ("a.toml", load_session),
    "a training file": ("a.toml", lambda path: read_toml(path, "training")),
    "a recording, XDF": ("a.xdf", open_recording),
    "a recording, EDF": ("a.edf", open_recording),
    "a recording, BDF": ("a.bdf", open_recording),
    "a recording, .npy": ("a.npy", lambda path: open_recording(path, rate=100)),
    "a recording, .npz": ("a.npz", lambda path: open_recording(path, rate=100)),
    "a recording, FIF": ("a_raw.fif", open_recording),
    "a recording, gzipped FIF": ("a_raw.fif.gz", open_recording),
    "a recording, BrainVision": ("a.vhdr", open_recording),
    "a recording, EEGLAB": ("a.set", open_recording),
    "a recording without a suffix": ("a", open_recording),
    "a recording to verify": ("a.xdf", verify),
    "a recording beside a session": (
        "a.xdf",
        lambda path: load_stream(path, lambda info: True, break_s=1, break_samples=1),
    ),
    "a design": ("a.tsv", lambda path: load_run(design=path)),
    "a reference volume": ("a.npy", lambda path: load_run(reference=path)),
    "a mask": ("a.npy", lambda path: load_run(masks={"m": path})),
    "pictures of a participant": (
        "a.npy",
        lambda path: open_participant(InSilicoSpec(source_id="s", modality="eeg", reference=path)),
    ),
    "a table": ("frames.csv", read_rows),
    "a session's facts": ("config.json", lambda path: RecordedSession(path.parent).config),
    "what a session fixed": ("run.json", lambda path: read_run(path.parent)),
    "a bundle's description": ("bundle.json", lambda path: Bundle.load(path.parent)),
    "a stimulus": ("a.png", lambda path: load_pictures(path.parent, (8, 8))),
    "latents": ("latents.json", lambda path: load_latents(path.parent, ["a"], 1)),
    "a scanner's image": ("001.dcm", scanned),
    "a run of volumes": ("001.nii", scanned),
    "a picture to dream of": ("a.png", lambda path: open_picture(path, 16)),
    "a face of a release": ("0.png", lambda path: load_faces(path.parent, 1)),
}


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_regular_file_is_refused(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    called, read = READERS[name]
    path = tmp_path / called
    make(path)
    with pytest.raises(BciError) as caught:
        read(path)
    words = str(caught.value)
    assert called in words
    assert any(kind in words for kind in (KINDS[make], "regular file", "a link to")), words


@pytest.mark.parametrize("make", [pipe, endless], ids=lambda make: make.__name__)
def test_a_finished_session_s_page_waits_for_no_pipe(tmp_path: Path, make: Callable[[Path], None]) -> None:
    for called in ("log.txt", "001.png"):
        make(tmp_path / called)
    assert RecordedLog(tmp_path / "log.txt").until(0.0) == []
    assert file_picture(tmp_path / "001.png") is None


@pytest.mark.parametrize("verb", ["check", "run", "verify", "replay", "quality", "info", "latency", "train"])
@pytest.mark.parametrize("called", ["pipe.toml", "pipe.xdf"])
def test_no_command_waits_for_a_pipe(tmp_path: Path, verb: str, called: str) -> None:
    os.mkfifo(tmp_path / called)
    words = [verb, str(tmp_path / called), *(["--out", str(tmp_path / "out")] if verb == "train" else [])]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, BciError | SystemExit), result.exception
    assert result.exit_code != 0
    assert "no such file" not in str(result.exception), "it is there"
    assert not (tmp_path / "out").exists()


def test_a_header_that_names_a_pipe_as_its_samples_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.eeg")
    (tmp_path / "a.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=a.eeg\nMarkerFile=a.vmrk\n"
        "DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=1\nSamplingInterval=1000\n"
        "[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\nCh1=Cz,,1,µV\n",
        encoding="utf-8",
    )
    (tmp_path / "a.vmrk").write_text("Brain Vision Data Exchange Marker File, Version 1.0\n")
    with pytest.raises(RecordingError, match=r"a\.eeg: expected a regular file, came a named pipe"):
        open_recording(tmp_path / "a.vhdr")


def test_a_header_that_names_a_pipe_as_its_samples_is_refused_by_the_child(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.fdt")
    labels = np.array([("Cz",)], [("labels", "O")])
    eeg = {
        "setname": "a", "nbchan": 1, "trials": 1, "pnts": 100, "srate": 100.0, "xmin": 0.0, "xmax": 0.99,
        "data": "a.fdt", "event": [], "chanlocs": labels, "icawinv": [], "icasphere": [], "icaweights": [],
        "icachansind": [], "epoch": [], "ref": "common",
    }  # fmt: skip
    scipy.io.savemat(tmp_path / "a.set", {"EEG": eeg}, appendmat=False)
    with pytest.raises(RecordingError, match=r"a\.fdt: expected a regular file, came a pipe or a device"):
        open_recording(tmp_path / "a.set")


def test_a_regular_file_is_measured_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffwörter".encode())
    assert require_regular(path, ConfigError) == 10
    assert read_text(path, ConfigError) == "wörter"
    with pytest.raises(ConfigError, match=r"expected at most 0 MB, came 0 MB"):
        require_regular(path, ConfigError, largest=5)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no UTF-8 text"):
        read_text(path, ConfigError)
    with pytest.raises(ConfigError, match="there is no file"):
        require_regular(tmp_path / "missing", ConfigError)
    with pytest.raises(ConfigError, match="cannot be read"):
        require_regular(tmp_path / "a\0b", ConfigError)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "{"])
def test_json_of_any_depth_is_read_or_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecordingError, match=r"here.*(nest too deep|is no JSON)"):
        parse_json(text, "here", RecordingError)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(RecordingError, match="not a whole session"):
        _ = RecordedSession(tmp_path).config
    with pytest.raises(RecordingError):
        read_json(tmp_path / "config.json", RecordingError)


def test_an_array_whose_header_claims_more_than_there_is_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4, 4), np.float32))
    assert load_array(path, ConfigError).shape == (4, 4, 4)
    sound = path.read_bytes()
    for claimed in (b"(10**9, 4, 4), ", b"(9000000000000, 4, 4), ", b"(-4, 4, 4), "):
        spare = len(claimed) - len(b"(4, 4, 4), ")
        path.write_bytes(sound.replace(b"(4, 4, 4), ", claimed, 1).replace(b" " * spare + b"\n", b"\n", 1))
        with pytest.raises(ConfigError, match=r"claims an array|damaged"):
            load_run(reference=path)
    np.save(path, np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(ConfigError, match="would need pickle"):
        load_array(path, ConfigError)


def test_an_archive_that_claims_gigabytes_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "_LARGEST_ARCHIVE", 1 << 20)
    np.savez_compressed(tmp_path / "run.npz", reference=np.zeros((64, 64, 64), np.float64))
    with pytest.raises(RecordingError, match=r"claims to unpack to"):
        load_arrays(tmp_path / "run.npz", RecordingError)
    (tmp_path / "run.json").write_text(json.dumps({"hashes": {}, "channel_map": {}}))
    with pytest.raises(RecordingError, match=r"run\.json: expected what the session fixed, came: .*unpack"):
        read_run(tmp_path)

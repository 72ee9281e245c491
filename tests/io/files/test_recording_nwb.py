"""NWB: a probe's file in the Allen Institute's layout, read block by block; what is not named is asked for by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.io.files.recording import open_recording

h5py = pytest.importorskip("h5py", reason="the extra nwb is not installed")

IDS = [850261194, 850261202, 850261211]


def electrodes(file: Any, groups: list[str]) -> None:
    table = file.create_group("general/extracellular_ephys/electrodes")
    table["id"] = np.array(IDS, np.int64)
    table["group_name"] = np.array(groups, dtype=h5py.string_dtype())
    table["location"] = np.array(["VISp"] * len(IDS), dtype=h5py.string_dtype())


def series(file: Any, place: str, stamps: Any, values: Any, **attributes: Any) -> None:
    one = file.create_group(place)
    one.attrs["neurodata_type"] = "ElectricalSeries"
    one["data"] = values
    one["data"].attrs.update({"unit": "volts", "conversion": 1.0, **attributes})
    one["timestamps"] = stamps
    one["electrodes"] = np.arange(values.shape[1])


def probe_file(path: Path, probe: int = 729445652, gap: int | None = None) -> np.ndarray[Any, Any]:
    """Write a probe's file as the Allen Institute lays it out; return its values, volts."""
    values = np.random.default_rng(probe).standard_normal((3000, 3)).astype(np.float32) * 1e-4
    stamps = 13.5 + np.arange(3000) / 1250.0007
    if gap:
        stamps[gap:] += 2.0
    with h5py.File(path, "w") as file:
        electrodes(file, ["probeC"] * 3)
        lfp = file.create_group(f"acquisition/probe_{probe}_lfp")
        lfp.attrs["neurodata_type"] = "LFP"
        series(lfp, f"probe_{probe}_lfp_data", stamps, values)
    return values


def session_file(path: Path, times: Any, frames: Any) -> None:
    """Write what a session's file says of natural scenes."""
    with h5py.File(path, "w") as file:
        shown = file.create_group("intervals/natural_scenes_presentations")
        shown["start_time"], shown["frame"] = times, np.asarray(frames, float)


def test_a_probe_s_file_reads_as_microvolts_with_its_own_stamps_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "probe_729445652_lfp.nwb"
    values = probe_file(path, gap=2000)
    recording = open_recording(path)
    assert (recording.signal.rate, recording.signal.unit) == (1250.0, "uV")
    assert recording.signal.channels == tuple(map(str, IDS))
    np.testing.assert_allclose(recording.read(990, 1010), 1e6 * values[990:1010], rtol=1e-5)
    assert recording.segments == ((0, 2000), (2000, 3000))
    np.testing.assert_allclose(recording.times(0, 3)[1:], [1 / 1250.0007, 2 / 1250.0007])
    assert recording.times(2000, 2001)[0] == pytest.approx(2000 / 1250.0007 + 2)


def test_a_probe_that_is_not_named_is_asked_for_and_what_is_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "two.nwb"
    stamps, values = np.arange(100) / 1250, np.zeros((100, 3), np.float32)
    with h5py.File(path, "w") as file:
        electrodes(file, ["probeA", "probeA", "probeB"])
        for name in ("probe_0_lfp_data", "probe_1_lfp_data"):
            series(file, f"acquisition/{name}", stamps, values, conversion=2.0)
        file["acquisition/probe_1_lfp_data/data"][:] = 1e-6
    with pytest.raises(
        RecordingError, match=r"came none; it holds probe_0_lfp_data .*3 channels at 1250 Hz.*probe_1_lfp"
    ):
        open_recording(path)
    with pytest.raises(RecordingError, match=r"came '7'.*it holds probe_0_lfp_data"):
        open_recording(path, stream="7")
    for name in ("1", "probe_1", "probe_1_lfp_data"):
        assert open_recording(path, stream=name).read(0, 1).max() == pytest.approx(2.0)


def test_what_is_no_nwb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.nwb"
    path.write_bytes(b"this is no HDF5" * 100)
    with pytest.raises(RecordingError, match="expected an NWB file"):
        open_recording(path)
    with h5py.File(path, "w") as file:
        file["acquisition/nothing"] = 1
    with pytest.raises(RecordingError, match="electrical series, came one without"):
        open_recording(path)


def test_lfp_gan_cuts_windows_after_natural_scenes_of_a_named_probe(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from models.systems.lfp_gan.data import open_windows
    from models.systems.lfp_gan.settings import LfpGanConfig

    random = np.random.default_rng(0)
    onsets, frames = 10.2 + 0.25 * np.arange(60), np.tile(np.r_[np.arange(11), -1], 5)
    stamps = 10 + np.arange(20_000) / 1250
    with h5py.File(tmp_path / "probe.nwb", "w") as file:
        electrodes(file, ["probeC"] * 3)
        ramp = np.repeat(np.arange(20_000.0, dtype=np.float32)[:, None], 3, 1)
        series(file, "acquisition/probe_5_lfp/probe_5_lfp_data", stamps, ramp, conversion=1e-6)
    session_file(tmp_path / "session.nwb", onsets, frames)
    np.save(tmp_path / "images.npy", random.integers(0, 255, (11, 24, 36), dtype=np.uint8))
    data = {"source": "allen", "path": "probe.nwb", "session": "session.nwb", "images": "images.npy"}
    config = LfpGanConfig.model_validate({"kind": "lfp-gan", "name": "a", "data": {**data, "probe": "5"}})
    shown = open_windows(config, tmp_path)
    assert shown.windows.shape == (55, 3, 313)
    raw = shown.windows * shown.scale + shown.mean
    # A ramp counts samples: the first of a window is the one at its onset.
    np.testing.assert_allclose(raw[:, 0, 0], np.ceil((onsets[frames >= 0] - 10) * 1250 - 1e-6), atol=0.05)
    assert shown.which.tolist() == frames[frames >= 0].tolist()
    unnamed = config.model_copy(update={"data": config.data.model_copy(update={"probe": ""})})
    with pytest.raises(RecordingError, match=r"came none; it holds probe_5_lfp_data on probeC \(3 channels"):
        open_windows(unnamed, tmp_path)

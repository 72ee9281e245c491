"""A recording whose values no brain gives says so when it is opened, and only such a one."""

import glob
from pathlib import Path

import numpy as np
import pytest
from made_files import write_brainvision

from bci.io.files.recording import open_recording
from bci.io.survey import survey_recording
from bci.signal.quality.verdicts import Level

RNG = np.random.default_rng(22)


@pytest.mark.parametrize(
    ("unit", "fits"),
    [
        ("V", "a millionth of it"),
        ("mV", "a thousandth of it"),
        ("uV", ""),
        ("nV", "a thousand times as much"),
    ],
)
def test_microvolts_called_something_else_are_said(tmp_path: Path, unit: str, fits: str) -> None:
    samples = RNG.normal(0, 30, (2000, 2))
    recording = open_recording(write_brainvision(tmp_path, samples, (f"Cz,,1,{unit}", f"Pz,,1,{unit}")))
    said = [words for words in recording.defects if "channels move by" in words]
    assert len(said) == bool(fits)
    assert all(fits in words for words in said)
    found = survey_recording(recording)
    assert found.amplitude.level == (Level.BAD if fits else Level.GOOD)
    assert all(fits in words for words in found.amplitude.reasons)


def test_channels_without_one_number_are_said_and_flat_ones_are_not_that(tmp_path: Path) -> None:
    for value, said in ((np.nan, True), (0.0, False)):
        np.save(tmp_path / "a.npy", np.full((500, 2), value, np.float32))
        defects = open_recording(tmp_path / "a.npy", rate=100, unit="uV").defects
        assert any("no number" in words for words in defects) == said


def test_real_recordings_that_state_a_wrong_unit_are_said_and_no_others(data: Path) -> None:
    misstated = {
        str(next((data / "ecog_lfp_grip").rglob("*.vhdr"))): "a millionth of it",
        str(sorted((data / "ssvep_exo_s12").glob("*_raw.fif"))[0]): "a thousandth of it",
    }
    for path, fits in misstated.items():
        (said,) = [words for words in open_recording(path).defects if "channels move by" in words]
        assert fits in said
    sound = [
        *((path, {}) for path in glob.glob(str(data / "eegmmidb_S001" / "*.edf"))),
        (data / "lfp_ca1_ec3" / "ca1.npy", {"rate": 1250.0, "unit": "mV"}),
        (data / "lsl_eeg_markers" / "switch_example.xdf", {"stream": "g.USBamp-1"}),
    ]
    for path, options in sound:
        recording = open_recording(path, **options)
        assert not [words for words in recording.defects if "channels move by" in words]

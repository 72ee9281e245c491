"""Sessions of our own become trials: the samples around the flips, and the latents of what was flipped."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from bci.errors import DataError
from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.memory.frames import image_digest
from bci.session.tables import FRAME_FIELDS, SHOWN_FIELDS
from bci.signal.clock import ManualClock
from bci.signal.pipeline import Pipeline
from bci.signal.steps.filters import BandPass
from bci.signal.types import Signal
from models.sessions.trials import load_sessions

RATE, BEGAN = 100.0, 5000.0
PICTURES = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.full((1, 4, 4, 3), 40, np.uint8)
DIGESTS = [image_digest(picture) for picture in PICTURES]
LATENTS = {digest: [float(i), -1.0] for i, digest in enumerate(DIGESTS)}


def session(
    folder: Path,
    flips: list[tuple[str, int, float]],
    *,
    gap: float = 0.0,
    simulated: str = "true",
    unit: str = "uV",
) -> Path:
    """Write what a session leaves: ten seconds whose first channel counts, and changes (kind, picture, s)."""
    folder.mkdir()
    signal = Signal("amp", RATE, (2,), ("A", "B"), unit)
    info = StreamInfo(signal, "amp-1", kind="EEG", extra={"simulated": simulated})
    samples = np.stack([np.arange(1000), np.arange(1000) % 7], axis=1).astype(np.float32)
    times = BEGAN + np.arange(1000) / RATE
    times[500:] += gap
    clock = ManualClock(BEGAN)
    # The sender's clock is 2 s behind the session's.
    with XdfWriter(folder / "recording.xdf", clock) as writer:
        stream = writer.add_stream(info)
        for first in range(0, 1000, 100):
            clock.advance(1.0)
            writer.write(stream, samples[first : first + 100], times[first : first + 100] - 2.0)
            writer.clock_offset(stream, clock.now(), 2.0)
    with (folder / "shown.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, SHOWN_FIELDS, restval="nan")
        table.writeheader()
        for i, (kind, picture, when) in enumerate(flips):
            table.writerow(
                {
                    "change": i,
                    "kind": kind,
                    "frame": 10 + i,
                    "flip": BEGAN + when,
                    "digest": DIGESTS[picture],
                    "trial": -1,
                    "decoder": "",
                }
            )
    with (folder / "frames.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, FRAME_FIELDS, restval="")
        table.writeheader()
        for i in range(len(flips)):
            table.writerow({"frame": 10 + i, "latent": json.dumps([0.5 * i, 2.0, 3.0])})
    return folder


STIMULI = [("stimulus", 0, 1.0), ("neutral", 2, 2.0), ("stimulus", 1, 3.0), ("stimulus", 0, 7.0)]


def test_each_flip_of_a_stimulus_is_a_trial_with_the_samples_around_it(tmp_path: Path) -> None:
    found = load_sessions(
        [session(tmp_path / "a", STIMULI)], Pipeline(), start=-0.1, stop=0.4, subject="p1", latents=LATENTS
    )
    counts = found.brain.reshape(3, 50, 2)[:, :, 0]
    assert counts[:, 0].tolist() == [90, 290, 690]
    assert np.all(np.diff(counts, axis=1) == 1)
    assert found.latents.tolist() == [[0, -1], [1, -1], [0, -1]]
    assert found.shown.tolist() == [0, 1, 0]
    assert found.simulated
    assert found.averaged().repeats.tolist() == [2, 1]


def test_every_session_is_a_run_and_equal_pixels_are_one_stimulus(tmp_path: Path) -> None:
    folders = [session(tmp_path / name, STIMULI) for name in "ab"]
    found = load_sessions(folders, Pipeline(), start=0.0, stop=0.2, subject="p1", latents=LATENTS)
    assert found.runs is not None
    assert found.runs.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(found.stimuli) == 2
    assert found.facts["sessions"] == ["a", "b"]


def test_pictures_that_a_decoder_drew_bring_their_latents(tmp_path: Path) -> None:
    folder = session(
        tmp_path / "a", [("frame", 0, 1.0), ("frame", 1, 2.0), ("frame", 0, 3.0)], simulated="false"
    )
    found = load_sessions([folder], Pipeline(), start=0.0, stop=0.1, subject="p1", kinds=["frame"])
    assert found.latents.tolist() == [[0.0, 2.0, 3.0], [0.5, 2.0, 3.0], [0.0, 2.0, 3.0]]
    assert not found.simulated


def test_trials_across_a_gap_or_beyond_the_recording_are_left_out_and_counted(tmp_path: Path) -> None:
    flips = [("stimulus", 0, 1.0), ("stimulus", 0, 4.9), ("stimulus", 1, 11.95), ("stimulus", 1, 8.0)]
    folder = session(tmp_path / "a", sorted(flips, key=lambda f: f[2]), gap=2.0)
    found = load_sessions([folder], Pipeline(), start=0.0, stop=0.5, subject="p1", latents=LATENTS)
    assert found.brain.reshape(2, 50, 2)[:, 0, 0].tolist() == [100, 600]
    assert found.facts["left_out"] == {"incomplete": 2, "unsettled": 0, "bad": 0}


def test_what_the_filters_have_not_settled_for_is_left_out(tmp_path: Path) -> None:
    folder = session(tmp_path / "a", [("stimulus", 0, 0.02), ("stimulus", 1, 9.0)])
    found = load_sessions(
        [folder], Pipeline([BandPass(1.0, 20.0)]), start=0.0, stop=0.5, subject="p1", latents=LATENTS
    )
    assert len(found) == 1
    assert found.facts["left_out"]["unsettled"] == 1


def test_what_is_no_session_or_does_not_fit_is_refused_with_both_sides(tmp_path: Path) -> None:
    options = {"start": 0.0, "stop": 0.1, "subject": "p1", "latents": LATENTS}
    whole = session(tmp_path / "a", STIMULI)
    with pytest.raises(DataError, match=r"is not a whole session"):
        load_sessions([tmp_path], Pipeline(), **options)
    with pytest.raises(DataError, match=r"for each of 2 pictures, came 1; none for"):
        load_sessions([whole], Pipeline(), **options | {"latents": {DIGESTS[0]: [0.0]}})
    with pytest.raises(DataError, match="trials of kind fixation in 1 session"):
        load_sessions([whole], Pipeline(), **options, kinds=["fixation"])
    with pytest.raises(DataError, match="sessions of one signal, came"):
        load_sessions([whole, session(tmp_path / "b", STIMULI, unit="mV")], Pipeline(), **options)
    with pytest.raises(DataError, match="all recorded or all simulated, came both"):
        load_sessions([whole, session(tmp_path / "c", STIMULI, simulated="false")], Pipeline(), **options)
    with pytest.raises(DataError, match="latents of one size"):
        load_sessions([whole], Pipeline(), **options | {"latents": LATENTS | {DIGESTS[1]: [0.0]}})
    (whole / "recording.xdf.sums").unlink()
    with pytest.raises(DataError, match=r"recording\.xdf\.sums was expected"):
        load_sessions([whole], Pipeline(), **options)

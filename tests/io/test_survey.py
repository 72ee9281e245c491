"""A survey says of a live stream, and of a file, what was planted in it."""

import uuid
from pathlib import Path

import numpy as np
import pytest

from bci.errors import StreamNotFound
from bci.io.files.recording import open_recording
from bci.io.lsl.source import LslOutlet, LslSource
from bci.io.survey import Findings, survey_recording, survey_stream
from bci.memory.lsl_clock import LslClock
from bci.signal.clock import ManualClock
from bci.signal.types import Signal

RATE, N, GAP = 200.0, 2400, 50
SIGNAL = Signal("amp", RATE, (3,), ("Cz", "dead", "hum"), "uV")


def samples(n: int = N) -> np.ndarray:
    t = np.arange(n) / RATE
    x = 10 * np.random.default_rng(0).normal(size=(n, 3))
    x[:, 1] = 7
    x[:, 2] += 30 * np.sin(2 * np.pi * 60 * t)
    return x.astype(np.float32)


def words(found: Findings) -> list[str]:
    return [verdict.level.word for verdict in found.channels]


@pytest.mark.system
def test_a_stream_is_surveyed_as_it_comes() -> None:
    name = f"survey-{uuid.uuid4().hex[:8]}"
    listened = ManualClock()
    with (
        LslOutlet(SIGNAL, name, exact_stamps=True) as outlet,
        LslSource(name, clock=LslClock(), timeout=20.0) as source,
    ):
        start = LslClock().now()
        x, sent = samples(), 0

        def go_on(share: float) -> None:
            """Send a piece at each look; the time to listen is over when all of them have come."""
            nonlocal sent
            if sent < N:
                count = np.arange(sent, sent + 100)
                outlet.push(x[count], start + (count + GAP * (count >= N // 2)) / RATE)
                sent += 100
            elif source.received == N:
                listened.advance(10.0)

        found = survey_stream(source, listened, 10.0, go_on)
    assert (found.figures.samples, found.seconds) == (N, N / RATE)
    assert words(found) == ["good", "bad", "bad"]
    assert found.figures.line.mains == 60.0
    assert found.figures.line.amplitudes[0, 2] == pytest.approx(30, rel=0.05)
    assert (found.lost, found.duplicates, found.pace.runs) == (GAP, 0, 2)
    assert found.pace.measured == pytest.approx(RATE, rel=1e-6)
    assert found.time.level.word == "bad"
    assert f"{GAP} samples lost" in found.time.reasons


@pytest.mark.system
def test_a_stream_that_says_nothing_is_named() -> None:
    name = f"survey-{uuid.uuid4().hex[:8]}"
    listened = ManualClock()
    with LslOutlet(SIGNAL, name), LslSource(name, clock=LslClock(), timeout=20.0) as source:
        with pytest.raises(StreamNotFound, match=f"{name}.*sent nothing"):
            survey_stream(source, listened, 5.0, lambda share: listened.advance(1.0))


def test_a_file_is_surveyed_to_its_end_or_as_far_as_was_asked(tmp_path: Path) -> None:
    np.save(tmp_path / "amp.npy", samples())
    recording = open_recording(tmp_path / "amp.npy", rate=RATE, channels=SIGNAL.channels, unit="uV")
    shares: list[float] = []
    found = survey_recording(recording, progress=shares.append)
    assert (words(found), found.time.level.word) == (["good", "bad", "bad"], "good")
    assert (found.figures.samples, shares[-1]) == (N, 1.0)
    assert survey_recording(recording, 5.0).figures.samples == 5 * RATE


def test_what_is_known_of_the_sample_recordings_is_found(data: Path) -> None:
    eeg = survey_recording(open_recording(data / "eegmmidb_S001" / "S001R01.edf"))
    assert set(words(eeg)) == {"good"}
    assert eeg.figures.line.mains == 60.0  # recorded in the United States
    p300 = survey_recording(open_recording(data / "p300_bi2012" / "subject_01_session_01.npz"))
    assert p300.figures.line.mains == 50.0  # recorded in France
    # Transients of the first seconds make the offsets that a plain mean shows in columns 3 and 7.
    assert p300.figures.mean[[3, 7]].round(-1).tolist() == [-5240, 4500]
    assert abs(p300.figures.offset[[3, 7]]).max() < 1
    assert "pull its mean to -5241" in p300.channels[3].reasons[0]
    assert p300.figures.wild_until.max() == 5.0
    lfp = survey_recording(open_recording(data / "lfp_ca1_ec3" / "ca1.npy", rate=1250.0, unit="mV"))
    assert np.isnan(lfp.figures.line.mains)
    assert lfp.figures.offset[0] == pytest.approx(0.11, abs=0.01)
    broken = survey_recording(open_recording(data / "xdf_examples" / "clock_resets.xdf"))
    assert (broken.pace.runs, broken.time.level.word) == (2, "bad")
    assert broken.pace.measured == pytest.approx(92.9, abs=0.1)

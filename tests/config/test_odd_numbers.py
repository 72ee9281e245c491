"""Numbers that no laboratory can mean are refused by the name of their key, before anything runs."""

import math
from pathlib import Path
from typing import Any

import made_files as made
import numpy as np
import planted_recordings as planted
import pytest
from pydantic import ValidationError

from bci.config.session import parse_session
from bci.decoder.spec import SignalSpec
from bci.errors import BciError, ConfigError, RecordingError
from bci.io.files.recording import open_recording
from bci.io.survey import survey_recording
from bci.signal.pipeline import MOST_STEPS, Pipeline
from bci.signal.quality.channels import Survey
from bci.signal.types import Signal

BUNDLE = {"bundle": "b"}
SESSION: dict[str, Any] = {"name": "s", "stream": {"source_id": "amp"}, "decoder": BUNDLE}
REPLAY = {"kind": "replay", "file": "a.xdf"}
SINES = {"kind": "sines", "rate": 100.0, "shape": [4]}
INSILICO = {"kind": "insilico"}


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_session(values, Path("/nowhere"), "s.toml")
    return str(caught.value)


@pytest.mark.parametrize("number", [math.inf, math.nan, 1e300, 1e9, -1.0])
@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("stream", "timeout_s"),
        ("stream", "buffer_s"),
        ("display", "data_age_limit"),
        ("display", "fresh_for"),
        ("display", "heartbeat_limit"),
        ("display", "viewing_distance_cm"),
        ("display", "screen_width_cm"),
        ("display", "image_deg"),
        ("limits", "total_p99_ms"),
        ("supervision", "hung_after_s"),
    ],
)
def test_a_limit_that_is_none_is_refused_by_its_key(section: str, key: str, number: float) -> None:
    if (key, number) == ("viewing_distance_cm", 1e300):
        number = 1e6
    words = refused({**SESSION, section: {**SESSION.get(section, {}), key: number}})
    assert f"{section}.{key}: expected a" in words


@pytest.mark.parametrize("number", [math.inf, math.nan, 1e300, 10**30])
@pytest.mark.parametrize(
    ("source", "key"),
    [
        (REPLAY, "speed"),
        (REPLAY, "start"),
        (REPLAY, "stop"),
        (REPLAY, "rate"),
        (SINES, "rate"),
        (INSILICO, "snr"),
        (INSILICO, "units"),
        (INSILICO, "tr"),
        (INSILICO, "subject"),
        ({"kind": "simulate"}, "seed"),
        ({"kind": "simulate"}, "seconds"),
    ],
)
def test_a_source_that_cannot_be_is_refused_by_its_key(
    source: dict[str, Any], key: str, number: float
) -> None:
    words = refused({**SESSION, "stream": {}, "source": {**source, key: number}})
    assert f".{key}: expected" in words


def test_sines_of_more_values_than_can_be_sent_are_refused() -> None:
    words = refused({**SESSION, "stream": {}, "source": {**SINES, "shape": [10**6, 10**6]}})
    assert "at most 2.5e+08 values a second can be sent" in words


@pytest.mark.parametrize("path", ["x" * 300, "a/" * 3000, "a\0b"])
def test_a_path_that_no_file_system_has_is_refused_by_its_key(path: str) -> None:
    played = {"kind": "replay", "file": "a.xdf", "events": path}
    for changed, key in (
        ({"decoder": {"bundle": path}}, "bundle"),
        ({"stream": {}, "source": played}, "events"),
    ):
        words = refused({**SESSION, **changed})
        assert f"{key}: expected a path of at most" in words
        assert len(words) < 1000


def test_a_pipeline_of_two_thousand_filters_is_refused() -> None:
    step = {"step": "high_pass", "low": 1.0}
    assert len(Pipeline.from_json([step] * MOST_STEPS).steps) == MOST_STEPS
    with pytest.raises(ConfigError, match=r"at most 64 steps, came 2000"):
        Pipeline.from_json([step] * 2000)


@pytest.mark.parametrize("rate", [1e300, 1e-300, 1e308, 5e-324, 1e9, math.nan, math.inf, -1.0])
def test_a_rate_at_which_nothing_is_sampled_is_refused_everywhere(tmp_path: Path, rate: float) -> None:
    values, stamps = planted.values(100, 2), planted.stamps(100)
    (tmp_path / "a.xdf").write_bytes(
        made.xdf(made.header(1, "amp", 2, rate), made.samples(1, values, stamps))
    )
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(RecordingError, match=r"a\.xdf"):
        open_recording(tmp_path / "a.xdf")
    with pytest.raises(RecordingError, match=r"a\.npy: the rate is a number from"):
        open_recording(tmp_path / "a.npy", rate=rate)
    with pytest.raises(ValueError, match="the rate is 0"):
        Signal("amp", rate, (2,))
    with pytest.raises(ValidationError):
        SignalSpec(rate=rate, shape=(2,))


@pytest.mark.parametrize("duration", ["1e-300", "1e-320", "1e9", "1e300", "nan"])
def test_an_edf_whose_records_last_nothing_or_for_ever_is_refused(tmp_path: Path, duration: str) -> None:
    path = made.write_edf(tmp_path / "a.edf", np.zeros((256, 2), int), 64, ("A", "B"))
    content = path.read_bytes()
    path.write_bytes(content[:244] + duration.ljust(8).encode() + content[252:])
    with pytest.raises(RecordingError, match=r"a\.edf"):
        open_recording(path)


@pytest.mark.parametrize("scale", [1e300, 1e11, 1e-300, 1e-12])
def test_stamps_that_span_ages_or_nothing_are_refused_or_measured(tmp_path: Path, scale: float) -> None:
    stamps = [scale * stamp for stamp in planted.stamps(100)]
    path = tmp_path / "a.xdf"
    path.write_bytes(made.xdf(made.header(1, "amp", 2, 100), made.samples(1, planted.values(100, 2), stamps)))
    with pytest.raises(BciError, match=r"a\.xdf"):
        survey_recording(open_recording(path), None, lambda share: None)


def test_quality_of_a_second_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(ConfigError, match="more than"):
        Survey(Signal("amp", 1e7, (4096,)))

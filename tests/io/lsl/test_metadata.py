"""A stream's description is written in the field's words and read back as it was."""

from dataclasses import replace

import pylsl
import pytest

from bci.errors import StreamMismatch
from bci.io.files.xdf.wire import stream_header
from bci.io.lsl.metadata import StreamInfo, parse_info, read_info, write_info
from bci.signal.types import Signal

EEG = Signal("Amp", 250.0, (3,), ("Oz", "µ", "T7 & <x>"), "uV", "float64")


def foreign(*channels: dict[str, str]) -> pylsl.StreamInfo:
    """Describe a stream as a program of somebody else's would."""
    info = pylsl.StreamInfo("Amp", "EEG", max(1, len(channels)), 250.0, "float32", "x")
    node = info.desc().append_child("channels")
    for facts in channels:
        channel = node.append_child("channel")
        for key, value in facts.items():
            channel.append_child_value(key, value)
    return info


@pytest.mark.parametrize(
    "signal",
    [
        pytest.param(EEG, id="eeg"),
        pytest.param(Signal("Vol", 0.5, (4, 3, 2), (), "", "int16"), id="volume"),
        pytest.param(Signal("Markers", 0.0, (1,), (), "", "str"), id="text"),
        pytest.param(Signal("Bare", 30000.0, (2,), (), "mV", "int8"), id="no labels"),
    ],
)
def test_a_description_is_read_back_as_it_was(signal: Signal) -> None:
    info = StreamInfo(
        signal, "amp-7", "", "", speed=10.0, exact_stamps=True, kind="EEG", extra={"recording": "S1"}
    )
    read = read_info(write_info(info))
    assert (read.signal, read.source_id, read.kind) == (signal, "amp-7", "EEG")
    assert (read.speed, read.exact_stamps, read.extra) == (10.0, True, {"recording": "S1"})

    parsed = parse_info(stream_header(info))
    assert replace(parsed, desc=info.desc) == info


@pytest.mark.parametrize("xml", [b"no XML", b"<info></info>", b"<!DOCTYPE info []><info></info>"])
def test_what_is_no_description_is_refused(xml: bytes) -> None:
    with pytest.raises(StreamMismatch, match="description of a stream was expected"):
        parse_info(xml)


def test_labels_types_and_units_stand_where_other_tools_look() -> None:
    found = write_info(StreamInfo(EEG, "amp-7", kind="EEG"))
    assert found.get_channel_labels() == list(EEG.channels)
    assert found.get_channel_units() == ["microvolts"] * 3
    assert found.get_channel_types() == ["EEG"] * 3


def test_a_stream_of_somebody_elses_plays_at_speed_one_with_stamps_to_smooth() -> None:
    read = read_info(foreign({"label": "Cz", "unit": "microvolts"}, {"label": "Pz", "unit": "uV"}))
    assert (read.speed, read.exact_stamps) == (1.0, False)
    assert (read.signal.channels, read.signal.unit) == (("Cz", "Pz"), "uV")


def test_a_trigger_channel_does_not_spoil_the_unit_and_two_units_are_mixed() -> None:
    trigger = {"label": "TRIG", "unit": "none"}
    assert read_info(foreign({"label": "Cz", "unit": "millivolts"}, trigger)).signal.unit == "mV"
    power = {"label": "Cz", "unit": "-6", "type": "eeg"}
    assert read_info(foreign(power, trigger)).signal.unit == "uV", "as mne-lsl states it"
    temperature = {"label": "Temp", "unit": "celsius"}
    assert read_info(foreign({"label": "Cz", "unit": "uV"}, temperature)).signal.unit == "mixed"


def test_a_channel_without_a_label_leaves_the_others_theirs() -> None:
    assert read_info(foreign({"label": "Cz"}, {"unit": "uV"})).signal.channels == ("Cz", "")
    assert read_info(foreign({"unit": "uV"}, {"unit": "uV"})).signal.channels == ()


def test_labels_of_another_number_of_channels_are_no_labels() -> None:
    short = pylsl.StreamInfo("Amp", "EEG", 4, 250.0, "float32", "x")
    short.desc().append_child("channels").append_child("channel").append_child_value("label", "Cz")
    assert read_info(short).signal.channels == ()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("shape", "2 3", "shape '2 3' and sends 4 values"),
        ("shape", "-2 -2", "shape"),
        ("shape", "4 9999999999999999999999", "shape"),
        ("speed", "fast", "speed 'fast'"),
        ("speed", "0", "speed '0'"),
        ("speed", "inf", "speed 'inf'"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(key: str, value: str, says: str) -> None:
    found = pylsl.StreamInfo("Amp", "EEG", 4, 250.0, "float32", "x")
    found.desc().append_child("bci").append_child_value(key, value)
    with pytest.raises(StreamMismatch, match=says):
        read_info(found)


def test_an_extra_element_cannot_pose_as_one_of_ours() -> None:
    for key in ("bci", "channels", "two words"):
        with pytest.raises(ValueError, match="extra description"):
            write_info(StreamInfo(EEG, "amp-7", extra={key: "1"}))


def test_what_lsl_does_not_carry_is_refused() -> None:
    with pytest.raises(ValueError, match="LSL carries"):
        write_info(StreamInfo(Signal("Amp", 250.0, (3,), (), "", "complex64"), "amp-7"))


def test_a_description_that_nests_without_end_is_refused_before_it_grows() -> None:
    made = pylsl.StreamInfo("deep", "EEG", 2, 100, "float32", "deep-1")
    node = made.desc()
    for _ in range(5000):
        node = node.append_child("a")
    with pytest.raises(StreamMismatch, match="nests more than 64 elements"):
        read_info(made)


def test_labels_of_a_stream_are_on_one_line_and_seen() -> None:
    made = pylsl.StreamInfo("amp", "EEG", 2, 100, "float32", "amp-1")
    channels = made.desc().append_child("channels")
    for label in ("O1\nstimulus", "=O\u202e2"):
        channels.append_child("channel").append_child_value("label", label)
    assert read_info(made).signal.channels == ("O1 stimulus", "=O�2")


@pytest.mark.parametrize("rate", [1e300, 1e-300, 2e8])
def test_a_rate_at_which_nothing_is_sampled_is_refused(rate: float) -> None:
    with pytest.raises(StreamMismatch, match="Something imitates a stream"):
        read_info(pylsl.StreamInfo("amp", "EEG", 1, rate, "float32", "amp-1"))

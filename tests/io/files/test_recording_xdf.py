"""XDF files are played with the times that their clocks say, and believed only as far as they hold together."""

import logging
from pathlib import Path

import made_files as made
import numpy as np
import planted_recordings as planted
import pytest
import pyxdf

from bci.errors import RecordingError
from bci.io.files.pace import paced_at, require_paced
from bci.io.files.recording import chunks, open_recording
from bci.io.files.to_mne import channels_of
from bci.io.files.xdf.writer import XdfWriter
from bci.live import tracks
from bci.signal.clock import ManualClock

RNG = np.random.default_rng(6)


def two_streams(n: int = 1000, rate: float = 100.0) -> tuple[np.ndarray, list[bytes]]:
    """Return samples and the chunks of a file that holds them from 50.0 s on, with three markers."""
    values = RNG.normal(size=(n, 2)).astype(np.float32)
    stamps = 50.0 + np.arange(n) / rate
    desc = "<channels>" + "".join(
        f"<channel><label>{c}</label><unit>microvolts</unit></channel>" for c in ("Cz", "Pz")
    )
    return values, [
        made.header(1, "amp", 2, rate, desc=desc + "</channels>"),
        made.header(2, "events", 1, 0, "string"),
        made.samples(1, values[: n // 2], stamps[: n // 2]),
        made.texts(2, ["before", "go", "7"], [49.0, 51.25, 52.0]),
        made.samples(1, values[n // 2 :], stamps[n // 2 :]),
    ]


def write(path: Path, chunks: list[bytes]) -> Path:
    path.write_bytes(made.xdf(*chunks))
    return path


def test_the_reset_clock_of_the_sample_file(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        recording = open_recording(data / "xdf_examples" / "clock_resets.xdf")
    assert recording.n == 27_815
    assert recording.signal.rate == 100  # the nominal one
    assert recording.signal.name == "BioSemi"
    assert recording.segments == ((0, 12_876), (12_876, 27_815))
    times = recording.times(0, 27_815)
    assert times[0] == 0
    assert times[-1] == pytest.approx(1383.184 - 810.030, abs=1e-3)
    assert times[12_876] - times[12_875] == pytest.approx(273.879, abs=1e-3)
    assert (27_815 - 2) / (times[-1] - 273.879) == pytest.approx(92.934, abs=0.01)
    assert len(recording.markers) == 175
    gaps = np.diff([m.time for m in recording.markers])
    assert (int(gaps.argmax()), float(gaps.max())) == (90, pytest.approx(308.743, abs=1e-3))
    said = " | ".join(recording.defects)
    for words in (
        "92.934 Hz by its stamps",
        "a gap of 273.879 s",
        "no unit",
    ):
        assert words in said
    assert caplog.records == []  # said by us, not by pyxdf


def test_samples_and_stamps_are_pyxdfs(data: Path) -> None:
    path = data / "xdf_examples" / "clock_resets.xdf"
    recording = open_recording(path)
    streams, _ = pyxdf.load_xdf(path)
    signal = next(s for s in streams if s["info"]["name"][0] == "BioSemi")
    texts = next(s for s in streams if s["info"]["name"][0] != "BioSemi")
    assert np.array_equal(recording.read(0, 27_815), signal["time_series"])
    zero = signal["time_stamps"][0]
    assert np.allclose(recording.times(0, 27_815), signal["time_stamps"] - zero, rtol=0, atol=1e-7)
    assert [m.text for m in recording.markers] == [row[0] for row in texts["time_series"]]
    assert np.allclose([m.time for m in recording.markers], texts["time_stamps"] - zero, rtol=0, atol=1e-7)
    resets = [(c.first, c.reset) for c in chunks(recording) if c.reset]
    assert resets == [(0, "start"), (12_876, "gap")]


def test_names_and_unit_come_from_the_description(tmp_path: Path) -> None:
    values, parts = two_streams()
    recording = open_recording(write(tmp_path / "a.xdf", parts))
    assert recording.signal.channels == ("Cz", "Pz")
    assert recording.signal.unit == "uV"
    assert recording.defects == ()
    assert np.array_equal(recording.read(0, 1000), values)
    assert [(m.time, m.text, m.code) for m in recording.markers] == [
        (pytest.approx(-1.0), "before", 0),
        (pytest.approx(1.25), "go", 0),
        (pytest.approx(2.0), "7", 7),
    ]


def test_of_several_signals_one_has_to_be_named(tmp_path: Path) -> None:
    _, parts = two_streams()
    other = RNG.integers(0, 9, (500, 1)).astype("<i2")
    parts += [made.header(3, "eye", 1, 50, "int16"), made.samples(3, other, 50 + np.arange(500) / 50)]
    path = write(tmp_path / "a.xdf", parts)
    with pytest.raises(RecordingError, match=r"2 regular streams.*'amp' \(id 1\), 'eye' \(id 3\)"):
        open_recording(path)
    for name in ("eye", "eye-id", "3"):
        recording = open_recording(path, stream=name)
        assert np.array_equal(recording.read(0, 500), other)
    assert "another stream, 'amp', is not played" in recording.defects
    with pytest.raises(RecordingError, match="0 regular streams with samples called 'nose'"):
        open_recording(path, stream="nose")


def test_irregular_numbers_are_markers_too(tmp_path: Path) -> None:
    _, parts = two_streams()
    codes = np.array([[3], [-4]], "<i4")
    parts += [made.header(3, "codes", 1, 0, "int32"), made.samples(3, codes, [55.0, 56.0])]
    recording = open_recording(write(tmp_path / "a.xdf", parts))
    assert [(m.text, m.code) for m in recording.markers[-2:]] == [("3", 3), ("-4", -4)]


@pytest.mark.parametrize("cut", [1, 100, 4000])
def test_a_file_cut_short_plays_its_whole_chunks_and_says_what_is_missing(tmp_path: Path, cut: int) -> None:
    values, parts = two_streams()
    path = write(tmp_path / "a.xdf", parts)
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    recording = open_recording(path)
    assert recording.n == 500
    assert np.array_equal(recording.read(0, 500), values[:500])
    missing = len(parts[-1]) - cut
    (said,) = recording.defects
    assert said.startswith(
        f"the file ends within a chunk; its last {missing} bytes are not played. bci verify"
    )


def test_a_clock_that_falls_back_with_nothing_to_tell_by_how_much_is_said(tmp_path: Path) -> None:
    values = RNG.normal(size=(2000, 1)).astype(np.float32)
    early, late = 5.0 + np.arange(1000) / 100, 900.0 + np.arange(1000) / 100
    parts = [
        made.header(1, "amp", 1, 100.0),
        made.samples(1, values[:1000], late),
        made.samples(1, values[1000:], early),
    ]
    recording = open_recording(write(tmp_path / "a.xdf", parts))
    assert recording.segments == ((0, 1000), (1000, 2000))
    steps = np.diff(recording.times(0, 2000))
    assert np.all(steps > 0)
    assert steps[999] == pytest.approx(1.0, abs=1e-3)
    assert any("fall back by 904.9" in defect for defect in recording.defects)


def amp_alone(path: Path, stamps: np.ndarray, rate: float = 100.0, desc: str = "") -> Path:
    values = RNG.normal(size=(len(stamps), 1)).astype(np.float32)
    return write(path, [made.header(1, "amp", 1, rate, desc=desc), made.samples(1, values, stamps)])


@pytest.mark.parametrize("hole", [0.12, 0.3, 0.9, 4.9])
def test_no_line_is_laid_across_a_hole_however_short(tmp_path: Path, hole: float) -> None:
    true = 50 + np.r_[np.arange(600), np.arange(600, 1000) + 100 * hole] / 100
    jittered = true + RNG.uniform(0, 0.004, 1000)
    recording = open_recording(amp_alone(tmp_path / "a.xdf", jittered))
    assert recording.segments == ((0, 600), (600, 1000))
    assert np.allclose(recording.times(0, 1000), true - true[0], rtol=0, atol=2e-3)
    assert any(f"a gap of {hole + 0.01:.2f}" in defect for defect in recording.defects)
    # What pyxdf alone makes of it: nearly half the hole wrong, and not a word.
    (stream,), _ = pyxdf.load_xdf(tmp_path / "a.xdf")
    assert len(stream["info"]["segments"]) == 1
    assert np.abs(stream["time_stamps"] - true).max() > hole / 4


@pytest.mark.parametrize(("rate", "lost"), [(160, 12), (256, 12), (250, 1)])
def test_a_lost_packet_out_of_exact_stamps_is_a_gap_as_it_is_live(
    tmp_path: Path, rate: int, lost: int
) -> None:
    true = 50 + np.delete(np.arange(rate * 20), slice(rate * 10, rate * 10 + lost)) / rate
    recording = open_recording(amp_alone(tmp_path / "a.xdf", true, rate=float(rate)))
    assert recording.segments == ((0, rate * 10), (rate * 10, len(true)))
    assert np.allclose(recording.times(0, len(true)), true - true[0], rtol=0, atol=1e-7)


@pytest.mark.parametrize("alike", [False, True])
def test_packets_stamped_on_arrival_are_one_run_and_their_times_those_of_their_ends(
    tmp_path: Path, alike: bool
) -> None:
    n, size, rate = 160 * 30, 32, 160
    true = 50 + np.arange(n) / rate
    stamps = np.repeat(true[size - 1 :: size] + RNG.uniform(0, 0.01, n // size), size)
    if not alike:
        stamps += np.arange(n) % size * 2e-5
    recording = open_recording(amp_alone(tmp_path / "a.xdf", stamps, rate=float(rate)))
    assert recording.segments == ((0, n),)
    assert recording.defects == ("no unit is stated: the values are played as they are",)
    assert np.diff(recording.times(0, n)) == pytest.approx(1 / rate, rel=1e-3)
    # pyxdf alone puts the first sample where the middle of its packet arrived, half a packet late.
    zero = float(stamps[0]) - recording.times(0, 1)[0]
    assert zero == pytest.approx(float(stamps[0]))


def test_a_rate_that_the_stamps_contradict_is_refused_where_it_is_decoded_and_may_be_given(
    tmp_path: Path,
) -> None:
    """An amplifier that says 100 Hz and sends 50: a filter made for 100 Hz would be an octave off."""
    path = amp_alone(tmp_path / "a.xdf", 50 + np.delete(np.arange(3000), slice(900, 960)) / 50)
    recording = open_recording(path)
    assert paced_at(recording) == pytest.approx(50)
    with pytest.raises(RecordingError, match=r"100 samples a second were expected, 50 came .*: rate = 50\."):
        require_paced(recording)
    given = open_recording(path, rate=50)
    require_paced(given)
    assert (given.signal.rate, len(given.segments)) == (50, 2)
    assert not any("by its stamps" in words for words in given.defects)
    with pytest.raises(RecordingError, match="states its own rate"):
        open_recording(path, rate=60)


@pytest.mark.parametrize(
    ("scale", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")]
)
def test_stamps_that_count_milliseconds_are_played_in_seconds(
    tmp_path: Path, scale: float, unit: str
) -> None:
    values = RNG.normal(size=(1000, 2)).astype(np.float32)
    stamps = 50 + np.arange(1000) / 100
    parts = [
        made.header(1, "amp", 2, 100.0),
        made.header(2, "events", 1, 0, "string"),
        made.samples(1, values, stamps * scale),
        made.texts(2, ["go"], [52.0 * scale]),
    ]
    recording = open_recording(write(tmp_path / "a.xdf", parts))
    assert recording.segments == ((0, 1000),)
    assert np.allclose(recording.times(0, 1000), stamps - 50, rtol=0, atol=1e-4)
    assert [marker.time for marker in recording.markers] == [pytest.approx(2.0, abs=1e-4)]
    assert f"the stamps count {unit}" in recording.defects[1]
    assert len(recording.defects) == 2


def test_markers_of_another_clock_than_the_signal_are_said(tmp_path: Path) -> None:
    values, parts = two_streams()
    parts[2], parts[4] = (
        made.samples(1, values[half], 1.78e9 + 50.0 + np.arange(1000)[half] / 100)
        for half in (slice(0, 500), slice(500, 1000))
    )
    said = open_recording(write(tmp_path / "a.xdf", parts)).defects
    assert len(said) == 1
    assert "the markers of 'events' lie 1.78e+09 s before the first sample" in said[0]


def test_many_holes_are_said_in_few_lines(tmp_path: Path) -> None:
    kept = np.flatnonzero(np.arange(6000) % 100 < 95)
    recording = open_recording(amp_alone(tmp_path / "a.xdf", 50 + kept / 100))
    assert len(recording.segments) == 60
    assert len(recording.defects) == 12
    assert recording.defects[-1].startswith("and 49 more such gaps; the 59 are 3.5")


def test_samples_that_were_only_late_leave_no_hole(tmp_path: Path) -> None:
    true = 50 + np.arange(1000) / 100
    late = true.copy()
    late[500:540] = np.maximum(late[500:540], true[540] - 0.001 + np.arange(40) * 1e-5)
    recording = open_recording(amp_alone(tmp_path / "a.xdf", late))
    assert recording.segments == ((0, 1000),)
    assert recording.defects == ("no unit is stated: the values are played as they are",)
    assert np.abs(np.diff(recording.times(0, 1000)) - 0.01).max() < 1e-3


def test_samples_that_the_recorder_missed_leave_a_hole_whatever_the_stamps_say(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    with XdfWriter(path, ManualClock()) as writer:
        stream = writer.add_stream(planted.eeg())
        for first in (0, 100, 205):  # five are missing, 50 ms, before 205
            writer.write(stream, planted.values(100), planted.stamps(100, 10 + first / 100), first)
    recording = open_recording(path)
    assert recording.segments == ((0, 200), (200, 300))
    assert np.allclose(recording.times(199, 201), [1.99, 2.05])


def test_exact_stamps_are_played_as_they_are(tmp_path: Path) -> None:
    stamps = 50 + np.r_[np.arange(300), np.arange(301, 600)] / 100 + RNG.uniform(0, 0.002, 599)
    path = amp_alone(tmp_path / "a.xdf", stamps, desc="<bci><exact_stamps>1</exact_stamps></bci>")
    recording = open_recording(path)
    assert recording.segments == ((0, 300), (300, 599))
    assert np.array_equal(recording.times(0, 599), stamps - stamps[0])
    stamps = np.insert(stamps, 450, stamps[449])  # sent twice
    recording = open_recording(amp_alone(path, stamps, desc="<bci><exact_stamps>1</exact_stamps></bci>"))
    assert recording.segments == ((0, 300), (300, 600))
    assert np.array_equal(recording.times(0, 300), stamps[:300] - stamps[0])
    assert np.all(np.diff(recording.times(0, 600)) > 0)


def test_a_stream_played_fast_is_given_the_times_of_its_signal(tmp_path: Path) -> None:
    values, stamps = RNG.normal(size=(1000, 1)).astype(np.float32), 50 + np.arange(1000) / 1000
    head = made.header(1, "amp", 1, 100, desc="<bci><speed>10.0</speed></bci>")
    parts = [
        head,
        made.header(2, "events", 1, 0, "string"),
        made.samples(1, values, stamps),
        made.texts(2, ["go"], [50.5]),
    ]
    recording = open_recording(write(tmp_path / "a.xdf", parts))
    assert np.allclose(recording.times(0, 1000), np.arange(1000) / 100)
    assert [m.time for m in recording.markers] == [pytest.approx(5.0)]
    assert recording.defects == ("no unit is stated: the values are played as they are",)


def test_the_rigs_own_doings_are_neither_markers_nor_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    with XdfWriter(path, ManualClock()) as writer:
        amp, events = writer.add_stream(planted.eeg()), writer.add_stream(planted.markers())
        writer.write(amp, planted.values(100), planted.stamps(100))
        writer.write_texts(events, ["go"], [1000.5])
        one = tracks.own_stream("bci-decisions", "Decisions", tracks.DECISION_CHANNELS)
        for info in (tracks.marks_stream(("stream",), {1: "stream"}), tracks.latent_stream(1), one):
            stream = writer.add_stream(info)
            n = info.signal.shape[0]
            writer.write(stream, np.ones((3, n), info.signal.dtype), 1000 + np.arange(3) / 10)
    recording = open_recording(path)
    assert recording.defects == ()
    assert [m.text for m in recording.markers] == ["go"]


@pytest.mark.parametrize(
    "desc",
    [
        "words",
        "<channels>words</channels>",
        "<channels/>",
        "<channels><channel>Cz</channel></channels>",
        "<channels><channel><label><b>Cz</b></label><unit><u/></unit></channel></channels>",
        "<bci>10</bci>",
        "<bci><speed><x/></speed><exact_stamps/></bci>",
        "<bci><speed>-1</speed></bci>",
        "<bci><speed>fast</speed></bci>",
    ],
)
def test_a_header_of_another_shape_says_nothing_and_does_no_harm(tmp_path: Path, desc: str) -> None:
    recording = open_recording(amp_alone(tmp_path / "a.xdf", 50 + np.arange(100) / 100, desc=desc))
    assert recording.signal.channels in (("1",), ("Cz",))
    assert recording.times(99, 100)[0] == pytest.approx(0.99)
    assert [c.kind for c in channels_of(open_recording(tmp_path / "a.xdf", unit="uV"))] == ["eeg"]


def test_what_the_header_says_is_kept_nested(tmp_path: Path) -> None:
    desc = "<acquisition><manufacturer>Alpha</manufacturer><precision>24</precision></acquisition>"
    recording = open_recording(amp_alone(tmp_path / "a.xdf", 50 + np.arange(100) / 100, desc=desc))
    (said,) = recording.header["desc"]
    assert said["acquisition"][0]["manufacturer"] == ["Alpha"]
    assert recording.header["type"] == ["EEG"]
    assert "segments" not in recording.header


def lies() -> dict[str, list[bytes]]:
    """Return files whose sizes cannot be true, or that are damaged."""
    values, parts = two_streams(20)
    head, rest = parts[:2], parts[2:]
    stamps = list(50 + np.arange(10) / 100)
    many = made.header(1, "amp", 2_000_000_000, 100)
    return {
        "two billion channels": [many, *rest],
        "two billion samples": [*head, made.samples(1, values[:10], stamps, claimed=2_000_000_000)],
        "one sample too few": [*head, made.samples(1, values[:10], stamps, claimed=9)],
        "a stream without header": rest,
        "no such tag": [*head, made.chunk(99, b"1234"), *rest],
        "an endless text": [*head, made.chunk(3, b"\x02\0\0\0\x01\x01\x00" + made.number(1 << 40) + b"go")],
        "a format that is none": [made.header(1, "amp", 2, 100, "complex"), *rest],
        "a rate that is none": [made.header(1, "amp", 2, float("nan")), *rest],
        "a header that is no XML": [made.chunk(2, b"\x01\0\0\0<info>"), *rest],
        "stamps that stand still": [*head, made.samples(1, values, [float("nan")] * 20)],
    }


@pytest.mark.parametrize("what", lies())
def test_a_file_that_does_not_hold_together_is_refused_with_words(tmp_path: Path, what: str) -> None:
    with pytest.raises(RecordingError, match=r"a\.xdf"):
        open_recording(write(tmp_path / "a.xdf", lies()[what]))


def test_what_is_no_xdf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xdf").write_bytes(RNG.bytes(500))
    with pytest.raises(RecordingError, match="does not begin like an XDF file"):
        open_recording(tmp_path / "a.xdf")


def test_a_flipped_byte_never_ends_in_anything_but_words_or_a_recording(tmp_path: Path) -> None:
    sound = made.xdf(*two_streams(60)[1])
    refused = 0
    for at in range(4, len(sound), 37):
        damaged = bytearray(sound)
        damaged[at] ^= 0xFF
        (tmp_path / "a.xdf").write_bytes(damaged)
        try:
            recording = open_recording(tmp_path / "a.xdf")
        except RecordingError:
            refused += 1
        else:
            assert recording.n <= 60
    assert refused > 5

"""Tables of samples are read by the names of their columns."""

from pathlib import Path

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.io.files.recording import open_recording


def written(tmp_path: Path, text: str, name: str = "r.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def rows(times: list[float], marker: dict[int, object], divider: str = ",") -> str:
    lines = [divider.join(("timestamps", "TP9", "TP10", "Right AUX", "Marker0"))]
    lines += [divider.join(map(str, (t, i, -i, "", marker.get(i, 0)))) for i, t in enumerate(times)]
    return "\n".join(lines) + "\n"


def test_columns_of_times_channels_and_markers_are_told_by_their_names(tmp_path: Path) -> None:
    path = written(tmp_path, rows([100 + i / 256 for i in range(600)], {10: 2, 11: 2, 200: 1}))
    recording = open_recording(path, unit="uV")
    assert recording.signal.channels == ("TP9", "TP10")
    assert recording.signal.rate == 256
    np.testing.assert_array_equal(recording.read(3, 5), [[3, -3], [4, -4]])
    assert [(event.code, round(event.time * 256)) for event in recording.markers] == [(2, 10), (1, 200)]
    assert any("Right AUX" in words for words in recording.defects)
    assert any("256 Hz" in words for words in recording.defects)


def test_channels_are_chosen_by_name_in_the_order_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, rows([i / 100 for i in range(60)], {}))
    recording = open_recording(path, channels=("TP10", "TP9"), rate=100, unit="uV")
    np.testing.assert_array_equal(recording.read(1, 2), [[-1, 1]])
    with pytest.raises(RecordingError, match="AF7"):
        open_recording(path, channels=("AF7",), rate=100)


def test_words_in_the_column_of_markers_are_markers(tmp_path: Path) -> None:
    path = written(tmp_path, rows([i / 100 for i in range(60)], {5: "face", 6: "face", 30: "house"}))
    recording = open_recording(path, unit="uV")
    assert [(event.text, round(event.time * 100)) for event in recording.markers] == [
        ("face", 5),
        ("house", 30),
    ]


def test_a_column_of_markers_of_another_name_is_named(tmp_path: Path) -> None:
    text = "time;EEG 1;code\n" + "".join(
        f"{i / 50:g};{i},5;{int(i == 7)}\n".replace(".", ",") for i in range(80)
    )
    recording = open_recording(written(tmp_path, text), stream="code", unit="uV")
    assert recording.signal.channels == ("EEG 1",)
    assert recording.read(2, 3) == [[2.5]]
    assert [event.code for event in recording.markers] == [1]


def test_a_gap_in_the_times_ends_a_segment_and_markers_behind_it_keep_their_time(tmp_path: Path) -> None:
    times = [i / 100 for i in range(300)]
    times[200:] = [t + 5 for t in times[200:]]
    recording = open_recording(written(tmp_path, rows(times, {250: 3})), unit="uV")
    assert recording.signal.rate == 100
    assert recording.segments == ((0, 200), (200, 300))
    assert recording.markers[0].time == pytest.approx(7.5)
    assert any("1 gaps" in words for words in recording.defects)


def test_jittered_and_repeated_times_are_one_segment(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    times = np.sort(np.arange(800) / 256 + random.uniform(-0.004, 0.004, 800)).round(3)
    recording = open_recording(written(tmp_path, rows(times.tolist(), {})), unit="uV", rate=256)
    assert recording.segments == ((0, 800),)
    assert recording.times(799, 800)[0] == pytest.approx(799 / 256)


def test_a_cell_without_a_number_is_missing_and_is_said(tmp_path: Path) -> None:
    text = "time,a,b\n" + "".join(f"{i / 10},{i},{'n/a' if i == 4 else i}\n" for i in range(20))
    recording = open_recording(written(tmp_path, text), unit="uV")
    assert np.isnan(recording.read(4, 5)[0, 1])
    assert any("1 cells" in words for words in recording.defects)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n3,4\n", "names the columns"),
        ("time,a\n", "no samples"),
        ("a,b\n1,2\n3,4\n", "how many samples"),
        ("time,a,a\n0,1,2\n", "twice"),
        ("time,a\n0,x\n1,y\n", "holds numbers"),
        ("time,a\n5,1\n5,2\n5,3\n", "gives no rate"),
        ("", "names the columns"),
    ],
)
def test_what_is_no_table_of_samples_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        open_recording(written(tmp_path, text))


def test_the_muse_recordings_have_their_known_counts(data: Path) -> None:
    path = data / "n170_muse" / "subject0001" / "session001" / "data_2017-09-13-15.30.01.csv"
    recording = open_recording(path, channels=("TP9", "TP10"), unit="uV")
    codes = [event.code for event in recording.markers]
    assert (recording.n, codes.count(1), codes.count(2)) == (30732, 108, 89)
    assert recording.signal.rate == 256

"""What is exported to BIDS is what was recorded, every event at its place, and nothing made up."""

import json
import re
import sys
import warnings
from pathlib import Path

import made_files as made
import mne
import numpy as np
import planted_recordings as planted
import pytest
from typer.testing import CliRunner

from bci.cli.app import app
from bci.errors import ConfigError, DiskError, RecordingError
from bci.io.files.bids import export_bids
from bci.io.files.recording import open_recording
from bci.io.files.to_mne import channels_of, places_of, to_mne
from bci.io.files.xdf.writer import XdfWriter
from bci.signal.clock import ManualClock

mne_bids = pytest.importorskip(
    "mne_bids", reason="MNE-BIDS MISSING: pip install mne-bids to test the export to BIDS"
)

N = 700


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Give a recording of ours with a hole of 1.5 s before sample 400, and what was recorded."""
    path = tmp_path / "recording.xdf"
    samples, stamps = planted.values(N), planted.stamps(N)
    stamps[400:] += 1.5
    with XdfWriter(path, ManualClock()) as writer:
        amp, events = writer.add_stream(planted.eeg()), writer.add_stream(planted.markers())
        writer.write(amp, samples[:400], stamps[:400])
        writer.write(amp, samples[400:], stamps[400:], first=550)
        texts = {999.0: "early", 1000.5: "go\tleft", 1002.004: "7", 1004.7: "in the hole", 1006.0: "stop"}
        writer.write_texts(events, list(texts.values()), list(texts))
    return path, samples


PLACES = [(50.0, "go\tleft"), (200.4, "7"), (400.0, "BAD_gap"), (400.0, "in the hole"), (450.0, "stop")]


def test_a_recording_is_an_mne_raw_in_volts_with_its_labels_and_markers(
    recorded: tuple[Path, np.ndarray],
) -> None:
    path, samples = recorded
    raw = to_mne(open_recording(path))
    assert raw.ch_names == [f"E{i}" for i in range(8)]
    assert set(raw.get_channel_types()) == {"eeg"}
    assert raw.info["sfreq"] == planted.RATE
    assert np.array_equal((raw.get_data().T * 1e6).astype(np.float32), samples)
    found = [(float(a["onset"]) * planted.RATE, str(a["description"])) for a in raw.annotations]
    expected = [*PLACES, (400.0, "EDGE boundary")]
    assert sorted(t for _, t in found) == sorted(t for _, t in expected)
    assert {t: p for p, t in found} == {t: pytest.approx(p, abs=1e-6) for p, t in expected}
    epochs = mne.make_fixed_length_epochs(raw, 1.0, verbose="ERROR")
    assert len(epochs.drop_bad(verbose="ERROR")) == 7  # the hole lies between two
    epochs = mne.make_fixed_length_epochs(raw, 1.5, verbose="ERROR").drop_bad(verbose="ERROR")
    assert [log for log in epochs.drop_log if log] == [("BAD_gap",)]


def test_what_is_exported_is_read_back_equal(recorded: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, samples = recorded
    out = tmp_path / "bids"
    result = export_bids(open_recording(path), out, subject="01", task="rest", line_frequency=50.0)
    assert (result["samples"], result["events"], result["gaps"], result["events_outside"]) == (N, 5, 1, 1)
    raw = mne_bids.read_raw_bids(
        mne_bids.BIDSPath(subject="01", task="rest", root=out, datatype="eeg"), verbose="ERROR"
    )
    assert raw.ch_names == [f"E{i}" for i in range(8)]
    assert (raw.info["sfreq"], raw.info["line_freq"]) == (planted.RATE, 50.0)
    assert np.array_equal((raw.get_data().T * 1e6).astype(np.float32), samples)
    found = [(a["onset"] * planted.RATE, a["description"]) for a in raw.annotations]
    assert found == [(pytest.approx(p, abs=1e-6), t.replace("\t", " ")) for p, t in PLACES]


def test_no_table_of_the_set_holds_a_formula_or_what_cannot_be_seen(tmp_path: Path) -> None:
    labels = ["=1+1", "a\x1b[31mred", "\u202eabc", "@SUM(1)", "+1", "face"]
    values = (20 * np.random.default_rng(5).normal(size=(1000, 1))).astype(np.float32)
    desc = (
        "<channels><channel><label>=HYPERLINK(1)</label><unit>uV</unit><type>EEG</type></channel></channels>"
    )
    (tmp_path / "a.xdf").write_bytes(
        made.xdf(
            made.header(1, "amp", 1, 100.0, desc=desc),
            made.samples(1, values, 50 + np.arange(1000) / 100),
            made.header(2, "m", 1, 0.0, kind="string", content="Markers"),
            made.texts(2, labels, 51.0 + np.arange(len(labels))),
        )
    )
    export_bids(open_recording(tmp_path / "a.xdf"), tmp_path / "bids", subject="01", task="t", kind="eeg")
    folder = tmp_path / "bids" / "sub-01" / "eeg"
    for table in (tmp_path / "bids").rglob("*.tsv"):
        text = table.read_text("utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text
        cells = [one for line in text.splitlines() for one in line.split("\t")]
        assert [one for one in cells if one[:1] in "=@+" and one] == [], table.name
    header = folder / "sub-01_task-t_eeg.vhdr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert mne.io.read_raw_brainvision(header, verbose="ERROR").ch_names == ["'=HYPERLINK(1)"]
    events = open_recording(header, events=folder / "sub-01_task-t_events.tsv").markers
    assert [event.text for event in events] == labels


def test_nothing_is_made_up(recorded: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "bids"
    export_bids(open_recording(recorded[0]), out, subject="01", task="rest", session="a", run="2")
    stem = out / "sub-01" / "ses-a" / "eeg" / "sub-01_ses-a_task-rest_run-2"
    sidecar = json.loads(Path(f"{stem}_eeg.json").read_text())
    for unknown in ("Manufacturer", "PowerLineFrequency", "EEGReference", "SoftwareFilters", "EEGGround"):
        assert sidecar[unknown] == "n/a"
    assert (sidecar["RecordingType"], sidecar["EEGChannelCount"]) == ("discontinuous", 8)
    header, first, *_ = (line.split("\t") for line in Path(f"{stem}_channels.tsv").read_text().splitlines())
    assert dict(zip(header, first, strict=True)) | {"description": ""} == {
        "name": "E0",
        "type": "EEG",
        "units": "µV",
        "low_cutoff": "n/a",
        "high_cutoff": "n/a",
        "description": "",
        "sampling_frequency": "100.0",
        "status": "good",
        "status_description": "n/a",
    }
    rows = [line.split("\t") for line in Path(f"{stem}_events.tsv").read_text().splitlines()]
    assert [row[2:5] for row in rows[1:]] == [
        ["go left", "n/a", "50"],
        ["7", "7", "201"],
        ["BAD_gap", "n/a", "400"],
        ["in the hole", "n/a", "400"],
        ["stop", "n/a", "450"],
    ]
    assert set(json.loads(Path(f"{stem}_events.json").read_text())) == set(rows[0])
    gap = dict(zip(rows[0], rows[3], strict=True))
    assert (float(gap["recorded_time"]), float(gap["missing"])) == (5.5, pytest.approx(1.5, abs=1e-6))
    assert "Authors" not in json.loads((out / "dataset_description.json").read_text())


def test_what_the_header_says_is_told(tmp_path: Path) -> None:
    desc = (
        "<acquisition><manufacturer>Alpha</manufacturer><model>M8</model></acquisition>"
        "<reference><label>TP9</label></reference><channels>"
        "<channel><label>Cz</label><unit>microvolts</unit><type>EEG</type></channel>"
        "<channel><label>VEOG</label><unit>millivolts</unit><type>EOG</type></channel>"
        "<channel><label>Temp, skin</label><unit>degC</unit><type>MISC</type></channel></channels>"
    )
    values = planted.values(50, 3)
    path = tmp_path / "a.xdf"
    path.write_bytes(
        made.xdf(made.header(1, "amp", 3, 100, desc=desc), made.samples(1, values, planted.stamps(50)))
    )
    export_bids(open_recording(path), tmp_path / "bids", subject="01", task="rest")
    stem = tmp_path / "bids" / "sub-01" / "eeg" / "sub-01_task-rest"
    sidecar = json.loads(Path(f"{stem}_eeg.json").read_text())
    assert (sidecar["Manufacturer"], sidecar["ManufacturersModelName"]) == ("Alpha", "M8")
    assert sidecar["EEGReference"] == "TP9"
    rows = [line.split("\t")[:3] for line in Path(f"{stem}_channels.tsv").read_text().splitlines()[1:]]
    assert rows == [["Cz", "EEG", "µV"], ["VEOG", "EOG", "mV"], ["Temp, skin", "MISC", "degC"]]
    raw = mne_bids.read_raw_bids(
        mne_bids.BIDSPath(subject="01", task="rest", root=tmp_path / "bids", datatype="eeg"), verbose="ERROR"
    )
    assert np.allclose(raw.get_data().T, values * [1e-6, 1e-3, 1], rtol=1e-12)
    assert not Path(f"{stem}_events.tsv").exists()


def test_nothing_is_overwritten_unless_that_is_said(
    recorded: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    out, recording = tmp_path / "bids", open_recording(recorded[0])
    export_bids(recording, out, subject="01", task="rest", run="1")
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with pytest.raises(ConfigError, match="not overwritten"):
        export_bids(recording, out, subject="01", task="rest", run="1")
    export_bids(recording, out, subject="01", task="rest", run="2")
    export_bids(recording, out, subject="02", task="rest")
    for path, content in before.items():
        if path.name not in ("participants.tsv", "sub-01_scans.tsv"):  # these gained a line each
            assert path.read_bytes() == content, path.name
    export_bids(recording, out, subject="01", task="rest", run="1", overwrite=True)
    assert len((out / "participants.tsv").read_text().splitlines()) == 3
    assert not list(tmp_path.glob(".bci-bids-*"))


def test_an_export_that_fails_leaves_the_old_files_as_they_were(
    recorded: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, recording = tmp_path / "bids", open_recording(recorded[0])
    export_bids(recording, out, subject="01", task="rest")
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}

    def full(path: Path, rows: object) -> None:
        raise DiskError("no space left")

    monkeypatch.setattr("bci.io.files.bids._write_tsv", full)
    with pytest.raises(DiskError):
        export_bids(recording, out, subject="01", task="rest", overwrite=True)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert not list(tmp_path.glob(".bci-bids-*"))


@pytest.mark.parametrize("label", ["../up", "a/b", "", "a-b", "a_b", ".."])
@pytest.mark.parametrize("entity", ["subject", "task", "session", "run"])
def test_a_label_that_could_climb_is_refused(
    recorded: tuple[Path, np.ndarray], tmp_path: Path, entity: str, label: str
) -> None:
    labels = {"subject": "01", "task": "rest"} | {entity: label}
    with pytest.raises(ConfigError, match=f"--{entity}"):
        export_bids(open_recording(recorded[0]), tmp_path / "bids", **labels)
    assert not (tmp_path / "bids").exists()


def test_what_the_recording_does_not_say_is_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", planted.values(50, 2))
    unknown = open_recording(tmp_path / "a.npy", rate=100.0)
    with pytest.raises(RecordingError, match=r"does not say that its channels are EEG.*--type"):
        export_bids(unknown, tmp_path / "bids", subject="01", task="rest")
    with pytest.raises(RecordingError, match=r"no stated unit.*--unit"):
        export_bids(unknown, tmp_path / "bids", subject="01", task="rest", kind="eeg")
    known = open_recording(tmp_path / "a.npy", rate=100.0, unit="mV")
    assert {c.kind for c in channels_of(known, "eeg")} == {"eeg"}
    assert export_bids(known, tmp_path / "bids", subject="01", task="rest", kind="seeg")["file"].endswith(
        "_ieeg.vhdr"
    )


def test_without_mne_bids_it_says_what_to_install(
    recorded: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mne_bids", None)
    with pytest.raises(ConfigError, match=r"pip install .*bids"):
        export_bids(open_recording(recorded[0]), tmp_path / "bids", subject="01", task="rest")


def test_markers_of_a_reset_clock_keep_their_places(data: Path) -> None:
    recording = open_recording(data / "xdf_examples" / "clock_resets.xdf")
    placed, outside = places_of(recording)
    assert len(placed) + outside == 175 + 1
    times = recording.times(0, 27_815)
    for place in placed:
        at = min(int(place.position), 27_814)
        assert abs(times[at] - place.time) < 0.02 or at == 12_876


def test_the_recipes_in_the_documentation_give_the_same(
    recorded: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, samples = recorded
    monkeypatch.chdir(path.parent)
    page = (Path(__file__).parents[3] / "docs" / "exporting.md").read_text(encoding="utf-8")
    recipes = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(recipes) == 2
    for recipe in recipes:
        names: dict[str, object] = {}
        with mne.utils.use_log_level("ERROR"):
            exec(recipe, names)
        raw = names["raw"]
        assert isinstance(raw, mne.io.BaseRaw)
        assert raw.ch_names == [f"E{i}" for i in range(8)]
        assert np.allclose(raw.get_data().T, samples * 1e-6, rtol=1e-6, atol=0)


def test_the_command_exports_a_session_and_ends_with_one_line(
    recorded: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    words = ["export", str(tmp_path), "--out", str(tmp_path / "bids"), "--subject", "01", "--task", "rest"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["samples"], result["gaps"], result["events_outside"]) == (N, 1, 1)
    assert Path(result["file"]).is_file()
    assert any("a gap of 1.51" in defect for defect in result["defects"])
    again = CliRunner().invoke(app, words)
    assert isinstance(again.exception, ConfigError)
    assert "--overwrite" in str(again.exception)
    unsaid = [word for word in words if word not in ("--subject", "01")]
    nobody = CliRunner().invoke(app, unsaid)
    assert isinstance(nobody.exception, ConfigError)
    assert "Give it with --subject" in str(nobody.exception)
    (tmp_path / "config.json").write_text(json.dumps({"subject": {"id": "S07", "session": "2"}}))
    assert CliRunner().invoke(app, unsaid).exit_code == 0
    assert (tmp_path / "bids" / "sub-S07" / "ses-2" / "eeg" / "sub-S07_ses-2_task-rest_events.tsv").is_file()
    (tmp_path / "recording-2.xdf").write_bytes(recorded[0].read_bytes())
    several = CliRunner().invoke(app, words)
    assert isinstance(several.exception, ConfigError)
    assert "recording.xdf, recording-2.xdf came. Name one file" in str(several.exception)

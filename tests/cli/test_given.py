"""What a command is given is recognised by its path, by its name, or as the newest; another thing is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Done, call

from bci.cli.given import SETTINGS, find_given
from bci.errors import BciError, ConfigError
from bci.io.files.kinds import (
    BUNDLE,
    CALIBRATION_FILE,
    CLUSTER_FILE,
    COMPARISON_FILE,
    GENERATOR,
    RECORD_FILE,
    RECORDED,
    RECORDING,
    REPORT,
    SESSION,
    SESSION_FILE,
    STIMULI,
    TRAINING_FILE,
    Kind,
    kind_of,
)
from bci.io.shipped import SHIPPED, shipped_names

CONFIGS, BUNDLES = SHIPPED["configs"], SHIPPED["bundles"]

#: What every verb takes, and the words around its argument.
TAKES: dict[str, tuple[tuple[Kind, ...], tuple[str, ...], tuple[str, ...]]] = {
    "run": ((SESSION_FILE,), ("run",), ()),
    "check": (SETTINGS, ("check",), ()),
    "record": ((RECORD_FILE,), ("record",), ()),
    "certify": ((SESSION_FILE,), ("certify",), ()),
    "train": ((TRAINING_FILE,), ("train",), ("--out", "new")),
    "calibrate": ((CALIBRATION_FILE,), ("calibrate",), ("--out", "new")),
    "calibrate --recording": (
        (SESSION, RECORDED, RECORDING),
        ("calibrate", str(CONFIGS / "alpha-calibrate.toml"), "--out", "new", "--recording"),
        (),
    ),
    "compare": ((COMPARISON_FILE,), ("compare",), ("--out", "new")),
    "info": ((BUNDLE,), ("info",), ()),
    "evaluate": ((BUNDLE, SESSION), ("evaluate",), ()),
    "control": ((SESSION,), ("control",), ("stop",)),
    "latency": ((SESSION,), ("latency",), ()),
    "page": ((SESSION,), ("page",), ()),
    "reproduce": ((SESSION,), ("reproduce",), ()),
    "verify": ((SESSION, RECORDED, RECORDING), ("verify",), ()),
    "export": (
        (SESSION, RECORDED, RECORDING),
        ("export",),
        ("--out", "new", "--subject", "01", "--task", "t"),
    ),
    "quality": ((SESSION, RECORDED, RECORDING), ("quality",), ()),
    "replay": ((RECORDING,), ("replay",), ()),
    "demo --recording": ((RECORDING,), ("demo", "--headless", "--recording"), ()),
}


@pytest.fixture
def things(tmp_path: Path) -> dict[Path, Kind]:
    """Make one of every kind of file and folder."""
    session, recorded, report = (tmp_path / name for name in ("session", "recorded", "report"))
    for folder in (session, recorded, report):
        folder.mkdir()
    for name in ("config.json", "frames.csv", "recording.xdf", "log.txt"):
        (session / name).write_text("{}")
    for name in ("environment.json", "recording.xdf", "log.txt"):
        (recorded / name).write_text("{}")
    for name in ("index.html", "report.json"):
        (report / name).write_text("{}")
    np.save(tmp_path / "eeg.npy", np.zeros((9, 2), np.float32))
    (tmp_path / "record.toml").write_text('kind = "record"  # of all streams\n')
    (tmp_path / "half.toml").write_text('name = "a"\n[decoder\nbundle = "b"\n')
    return {
        CONFIGS / "demo.toml": SESSION_FILE,
        CONFIGS / "amplifier.toml": SESSION_FILE,
        tmp_path / "half.toml": SESSION_FILE,
        tmp_path / "record.toml": RECORD_FILE,
        CONFIGS / "alpha-train.toml": TRAINING_FILE,
        CONFIGS / "hyper-insilico-train.toml": TRAINING_FILE,
        CONFIGS / "dcgan-faces.toml": TRAINING_FILE,
        CONFIGS / "alpha-calibrate.toml": CALIBRATION_FILE,
        CONFIGS / "hyper-insilico-compare.toml": COMPARISON_FILE,
        CONFIGS / "cluster-slurm.toml": CLUSTER_FILE,
        BUNDLES / "alpha": BUNDLE,
        BUNDLES / "alpha" / "bundle.json": BUNDLE,
        BUNDLES / "alpha" / "readout.onnx": BUNDLE,
        BUNDLES / "dcgan-faces": GENERATOR,
        BUNDLES / "dcgan-faces" / "generator.json": GENERATOR,
        session: SESSION,
        session / "config.json": SESSION,
        recorded: RECORDED,
        tmp_path / "eeg.npy": RECORDING,
        recorded / "recording.xdf": RECORDING,
        report: REPORT,
        report / "report.json": REPORT,
        report / "index.html": REPORT,
        SHIPPED["stimuli"] / "faces": STIMULI,
    }


def test_every_kind_is_recognised_by_what_it_holds(things: dict[Path, Kind], tmp_path: Path) -> None:
    assert {path: kind_of(path) for path in things} == things
    assert kind_of(tmp_path / "nowhere") is None
    (tmp_path / "empty").mkdir()
    assert kind_of(tmp_path / "empty") is None
    for example in CONFIGS.glob("*.toml"):
        assert kind_of(example) in (
            SESSION_FILE,
            TRAINING_FILE,
            CALIBRATION_FILE,
            COMPARISON_FILE,
            CLUSTER_FILE,
        ), example


@pytest.mark.parametrize("verb", TAKES)
def test_a_verb_says_what_another_kind_of_thing_is_and_which_command_wants_it(
    verb: str, things: dict[Path, Kind], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, before, after = TAKES[verb]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    refused = 0
    for path, kind in things.items():
        # The folder of a report is a report's, and what its files are is said by it.
        if kind in kinds and (path.is_dir() or path.suffix in (".toml", ".npy", ".xdf")):
            continue
        done = call(*before, path, *after, "--json")
        message = done.result["message"]
        assert done.status == 2, (path, done.words)
        assert kind.called in message, (path, message)
        assert kind.wanted_by in message, (path, message)
        assert f"`bci {verb}` takes {kinds[0].called}" in message, (path, message)
        assert not list(Path().iterdir()), "nothing was begun"
        refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (("run", "hyper-insilco"), "hyper-insilico"),
        (("check", "configs/demmo.toml"), "demo"),
        (("train", "dcgan-face", "--out", "x"), "dcgan-faces"),
        (("info", "alhpa"), "alpha"),
        (("evaluate", "hyper-insilico-frmi"), "hyper-insilico-fmri"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_nearest(
    words: tuple[str, ...], nearest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*words, "--json")
    assert done.status == 2
    assert f"did you mean '{nearest}'?" in done.result["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("latency", "alpha"), "is a decoder's bundle (`bci info`"),
        (("run", "alpha"), "is a decoder's bundle (`bci info`"),
        (("info", "demo"), "is a session file (`bci run`"),
        (("train", "hyper-insilico", "--out", "x"), "is a session file (`bci run`"),
        (("evaluate", "dcgan-faces"), "is a generator's package (training files"),
    ],
)
def test_the_name_of_something_else_that_is_shipped_is_said_to_be_that(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*words, "--json")
    assert done.status == 2
    assert said in done.result["message"]


def test_examples_and_bundles_are_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for written in ("demo", "demo.toml", "configs/demo.toml"):
        assert find_given(Path(written), "bci run", SESSION_FILE) == CONFIGS / "demo.toml"
    checked = call("check", "demo", "--json")
    assert checked.status == 0, checked.words
    assert call("info", "alpha", "--json").result["name"] == "alpha"
    assert len(shipped_names("bundles")) >= 5
    # What lies here is meant before what is shipped.
    (tmp_path / "demo.toml").write_text('name = "mine"\n[decoder]\nbundle = "alpha"\n')
    assert find_given(Path("demo.toml"), "bci run", SESSION_FILE) == Path("demo.toml")


def session(folder: Path, *files: str) -> Path:
    folder.mkdir(parents=True)
    for name in files or ("config.json", "frames.csv", "recording.xdf"):
        (folder / name).write_text("{}")
    return folder


def test_last_is_the_newest_session_that_the_verb_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"expected a session in sessions, came none. Run one"):
        find_given(Path("last"), "bci latency", SESSION)
    session(Path("sessions/20260101-120000-demo"))
    newest = session(Path("sessions/20260301-120000-a"))
    session(Path("sessions/20260201-120000-z"))
    recorded = session(Path("recordings/20260401-120000-recording"), "recording.xdf", "environment.json")
    session(Path("sessions/not-one"))
    assert find_given(Path("last"), "bci latency", SESSION) == newest
    assert find_given(Path("last"), "bci evaluate", BUNDLE, SESSION) == newest
    assert find_given(Path("last"), "bci verify", SESSION, RECORDED, RECORDING) == recorded
    elsewhere = session(tmp_path / "rig" / "20260101-000000-x")
    assert find_given(tmp_path / "rig" / "last", "bci latency", SESSION) == elsewhere


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("info", ()), ("replay", ()), ("send", ("127.0.0.1:1",)), ("quality", ("--out", "new")),
        ("reference", ("--out", "new")),
        ("mask", ("--out", "m.nii.gz", "--masks", "new", "--design", "d.tsv", "--contrast", "a")),
    ],
)  # fmt: skip
def test_a_verb_on_volumes_says_what_another_kind_of_thing_is(
    verb: str, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")
    monkeypatch.chdir(tmp_path)
    for thing, kind in ((CONFIGS / "demo.toml", SESSION_FILE), (BUNDLES / "alpha", BUNDLE)):
        done = call("volumes", verb, thing, *options, "--json")
        assert done.status == 2
        assert (
            f"is {kind.called} ({kind.wanted_by}). `bci volumes {verb}` takes a run" in done.result["message"]
        )


def test_importing_a_generator_says_what_another_kind_of_thing_is(
    things: dict[Path, Kind], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    expected = {path: kind.wanted_by for path, kind in things.items() if path.suffix != ".onnx"}
    beginnings = {
        "seen.png": (b"\x89PNG\r\n\x1a\n", "is a picture."),
        "notes.txt": ("a word, é".encode() * 60, "is a file of text."),
        "stylegan.pkl": (b"\x80\x03ctorch", "is a pickle, which is a program"),
        "net.pth": (b"PK\x03\x04archive/data.pkl", "is an archive (zip, NumPy or PyTorch)."),
        "net.h5": (b"\x89HDF\r\n", "is an HDF5 file"),
        "nothing": (b"", "is an empty file."),
        "noise": (b"\x00\xff\x00", "is a file of no known kind."),
    }
    for name, (beginning, words) in beginnings.items():
        (tmp_path / name).write_bytes(beginning)
        expected[tmp_path / name] = words
    expected[tmp_path / "seen.pmg"] = "did you mean 'seen.png'?"
    for path, words in expected.items():
        done = call("import-generator", path, "--out", "new", "--json")
        assert done.status == 2, (path, done.words)
        assert words in done.result["message"], done.words
        assert "`bci import-generator` takes an ONNX file" in done.result["message"]
    assert not list(Path().iterdir())


@pytest.mark.parametrize("verb", ["latency", "verify", "reproduce", "evaluate", "quality"])
def test_every_verb_on_sessions_takes_last(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    newest = session(Path("sessions/20260301-120000-newest"))
    done: Done = call(verb, "last", "--json")
    assert done.status == 2, "it is empty, so it cannot be used: but it was found"
    assert newest.name in done.words, done.words


def test_files_that_a_session_names_are_looked_for_beside_it_then_shipped_then_under_bci_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bci.config.session import load_session

    data = tmp_path / "data"
    (data / "pictures").mkdir(parents=True)
    for name in ("eeg.npy", "mask.npy", "design.tsv"):
        (data / name).write_text("")
    file = tmp_path / "rig" / "s.toml"
    file.parent.mkdir()
    file.write_text(
        'name = "s"\n[source]\nkind = "replay"\nfile = "eeg.npy"\n[decoder]\nbundle = "alpha"\n'
        '[experiment]\nfolder = "pictures"\n[run]\ndesign = "design.tsv"\nmasks = { roi = "mask.npy" }\n'
    )
    monkeypatch.delenv("BCI_DATA", raising=False)
    config = load_session(file)
    assert config.decoder.bundle == BUNDLES / "alpha"
    assert config.source.file == file.parent / "eeg.npy"  # type: ignore[union-attr]
    monkeypatch.setenv("BCI_DATA", str(data))
    config = load_session(file)
    assert config.source.file == data / "eeg.npy"  # type: ignore[union-attr]
    assert config.experiment.folder == data / "pictures"  # type: ignore[union-attr]
    assert (config.run.design, config.run.masks["roi"]) == (data / "design.tsv", data / "mask.npy")  # type: ignore[union-attr]
    (file.parent / "eeg.npy").write_text("")
    assert load_session(file).source.file == file.parent / "eeg.npy"  # type: ignore[union-attr]


def test_every_file_that_a_session_can_name_is_looked_for_under_bci_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bci.config.faults import sections_of
    from bci.config.session import SessionConfig

    (tmp_path / "data" / "thing").mkdir(parents=True)
    monkeypatch.setenv("BCI_DATA", str(tmp_path / "data"))
    tried = set()
    for section, model in sections_of(SessionConfig):
        fields = {name: str(field.annotation) for name, field in model.model_fields.items()}
        paths = [name for name, kind in fields.items() if "Path" in kind and not kind.startswith("dict")]
        if paths and hasattr(model, "placed"):
            named: Any = model.model_construct(**dict.fromkeys(paths, Path("thing")))
            for name in paths:
                assert getattr(named.placed(tmp_path), name) == tmp_path / "data" / "thing", (section, name)
                tried.add(f"{section}.{name}")
    assert {
        "experiment.folder",
        "experiment.yoked_to",
        "decoder.bundle",
        "run.reference",
        "page.key",
    } <= tried


def test_a_bundle_s_place_that_holds_a_generator_or_nothing_is_said_in_words(tmp_path: Path) -> None:
    from bci.decoder.bundle import Bundle
    from models.generators.package import GeneratorPackage

    with pytest.raises(
        BciError, match=r"which is a generator's package \(training files name it as generator"
    ):
        Bundle.load(BUNDLES / "dcgan-faces")
    with pytest.raises(
        BciError, match=r"which is a decoder's bundle \(`bci info` and `bci evaluate` take it"
    ):
        GeneratorPackage.load(BUNDLES / "alpha")
    with pytest.raises(BciError, match=r"did you mean 'alpha'\?.*shipped are alpha, "):
        Bundle.load(tmp_path / "alpa")


def test_a_file_of_settings_full_of_nonsense_is_recognised_in_no_time(tmp_path: Path) -> None:
    """Only names at the beginning of lines are looked at: nothing is parsed, so nothing can explode."""
    path = tmp_path / "deep.toml"
    path.write_text("decoder = " + "[" * 100_000 + "\n" + "\x00\xff" * 100)
    assert kind_of(path) == SESSION_FILE
    path.write_text(json.dumps([[[]]] * 1000))
    assert kind_of(path) is None

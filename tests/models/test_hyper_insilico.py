"""HYPER in silico: the decoder trained offline reads the participant live, and a session is scored honestly."""

import csv
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")  # before the modules that need it, hence the imports below it

import onnx  # noqa: E402
from blobs import LATENT, SIDE, save_blobs  # noqa: E402
from PIL import Image  # noqa: E402
from tiny_bundle import tiny_bundle  # noqa: E402

from bci.decoder.bundle import Bundle, save_bundle  # noqa: E402
from bci.decoder.onnx import OnnxDecoder  # noqa: E402
from bci.errors import BundleError, ConfigError, RecordingError  # noqa: E402
from bci.io.files.encoding import ENCODING, read_encoding  # noqa: E402
from bci.session.tables import FRAME_FIELDS, MARK_FIELDS, SHOWN_FIELDS  # noqa: E402
from bci.signal.clock import ManualClock  # noqa: E402
from bci.signal.types import Window  # noqa: E402
from models.metrics.latents import cosine  # noqa: E402
from models.provenance import processor, what_differs  # noqa: E402
from models.sessions.evaluate import evaluate_session  # noqa: E402
from models.systems.hyper import report  # noqa: E402
from models.systems.hyper.expecting import add_encoding  # noqa: E402
from models.systems.hyper.heldout import make_again  # noqa: E402
from models.systems.hyper.report import evaluate_hyper  # noqa: E402
from models.systems.hyper.train import identify, load_hyper, train_hyper  # noqa: E402
from models.systems.registry import system_of_bundle  # noqa: E402


def constants(path: Path) -> dict[str, Any]:
    """Return the constants of a graph by name."""
    return {c.name: onnx.numpy_helper.to_array(c) for c in onnx.load(path).graph.initializer}


CONFIGS = Path(__file__).resolve().parents[2] / "configs"

CONFIG = """
kind = "hyper-insilico"
name = "tiny"
seed = 1
generator = "generator"
stimuli = "stimuli"
size = "chosen"
[participant]
modality = "eeg"
snr = 8.0
units = 64
[trials]
train = 100
test = 10
repeats = 2
runs = 4
stimulus_s = 0.3
blank_s = 0.3
[epoch]
start = 0.04
stop = 0.44
[[pipeline]]
step = "band_pass"
low = 0.7
high = 20.0
order = 2
[[pipeline]]
step = "decimate"
factor = 5
order = 4
"""


FMRI = """
kind = "hyper-insilico"
name = "tiny-fmri"
seed = 1
generator = "generator"
stimuli = "stimuli"
[participant]
modality = "fmri"
snr = 0.5
units = 128
[trials]
train = 120
test = 10
repeats = 3
runs = 4
stimulus_s = 1.5
blank_s = 4.6
lead_in_s = 20
[epoch]
start = 4.5
stop = 9.0
mean = true
[voxels]
count = 60
[[pipeline]]
step = "high_pass"
low = 0.02
order = 1
"""


DREAMED = """
[readout]
name = "dreamed"
options = { dreams = 300, components = 20, axes = 8, banks = ["brightness"], always = true }
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("hyper")
    save_blobs(root / "generator")
    (root / "tiny.toml").write_text(CONFIG)
    return root, train_hyper(root / "tiny.toml", root / "bundle")


@pytest.fixture(scope="module")
def trained_fmri(trained: tuple[Path, dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    (trained[0] / "fmri.toml").write_text(FMRI)
    return trained[0], train_hyper(trained[0] / "fmri.toml", trained[0] / "fmri")


def test_single_trials_of_pictures_never_trained_on_are_identified(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    root, scores = trained
    assert scores["simulated"] is True
    assert scores["two_way"] > scores["two_way_chance"][1]
    assert scores["two_way_p"] < 0.01
    bundle = Bundle.load(root / "bundle")
    assert bundle.cut.needs_markers
    assert bundle.window_shape == (20, 64)
    assert len(list((root / "stimuli").glob("*.png"))) == 10
    assert len(json.loads((root / "stimuli" / "latents.json").read_text())) == 10


def test_the_size_of_what_is_read_is_chosen_on_training_trials_and_stored(
    trained: tuple[Path, dict[str, Any]], trained_fmri: tuple[Path, dict[str, Any]]
) -> None:
    root, scores = trained
    sizes = scores["sizes"]
    assert list(sizes) == ["keep", "rescale", *(f"truncate {bound:g}" for bound in (1, 1.5, 2, 2.5))]
    assert scores["size"] == max(sizes, key=sizes.__getitem__).split()[0]
    assert dict(Bundle.load(root / "bundle").spec.scores)["size"] == scores["size"]
    assert trained_fmri[1]["size"] == "keep"
    assert "sizes" not in trained_fmri[1]


def test_a_size_that_is_stated_is_that_of_every_latent(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    text = CONFIG.replace('"generator"', f'"{trained[0] / "generator"}"').replace('"chosen"', '"rescale"')
    (tmp_path / "tiny.toml").write_text(text)
    train_hyper(tmp_path / "tiny.toml", tmp_path / "bundle")
    bundle = Bundle.load(tmp_path / "bundle")
    window = np.random.default_rng(0).standard_normal(bundle.window_shape).astype(np.float32)
    latent = OnnxDecoder(bundle, clock=ManualClock()).raw(window)["latent"]
    assert np.linalg.norm(latent) == pytest.approx(bundle.spec.latent**0.5, rel=1e-5)


def test_training_leaves_its_settings_data_and_learning_curve(trained: tuple[Path, dict[str, Any]]) -> None:
    root, scores = trained
    left = json.loads((root / "bundle" / "training.json").read_text())
    assert left["config"]["participant"]["snr"] == 8.0
    assert left["seeds"] == {"all": 1}
    assert {"numpy", "python"} <= set(left["versions"])
    assert left["processor"] == processor()
    assert len(left["data"]["training_trials_sha256"]) == 64
    curve = left["curve"]
    assert [point["trials"] for point in curve] == sorted(point["trials"] for point in curve)
    assert curve[-1]["cosine"] == pytest.approx(scores["cosine"])
    assert curve[-1]["two_way"] == pytest.approx(scores["two_way"])
    assert curve[-1]["cosine"] > curve[0].get("cosine", -1.0)


def test_the_bundle_decodes_an_epoch_of_its_participant(trained: tuple[Path, dict[str, Any]]) -> None:
    bundle = Bundle.load(trained[0] / "bundle")
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    samples = np.random.default_rng(0).standard_normal(bundle.window_shape).astype(np.float32)
    times = np.arange(len(samples)) / 50
    frame = decoder.decode(Window(bundle.output, 0, samples, times, np.zeros(samples.shape, bool), 99))
    assert frame.image.shape == (SIDE, SIDE, 3)
    assert frame.latent.shape == (LATENT,)
    assert frame.valid


def test_single_volumes_of_blood_tell_pictures_apart_through_a_mask_of_training_trials(
    trained_fmri: tuple[Path, dict[str, Any]],
) -> None:
    root, scores = trained_fmri
    assert scores["two_way"] > scores["two_way_chance"][1]
    assert scores["two_way_p"] < 0.01
    # Four trials lie in the 51 s before the high-pass has settled; live they would be invalid.
    assert scores["trials"] == 30 - 4
    bundle = Bundle.load(root / "fmri")
    assert (bundle.signal.name, bundle.signal.unit) == ("SimulatedBOLD", "percent")
    assert bundle.signal.rate == pytest.approx(1 / 1.5)
    assert bundle.window_shape == (3, 128)


def test_mask_and_readout_rest_on_training_trials_alone(
    trained_fmri: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, scores = trained_fmri
    (root / "more.toml").write_text(FMRI.replace("repeats = 3", "repeats = 4"))
    again = train_hyper(root / "more.toml", tmp_path / "more")
    assert again["trials"] != scores["trials"]
    fitted = [constants(folder / "readout.onnx") for folder in (root / "fmri", tmp_path / "more")]
    assert fitted[0].keys() == fitted[1].keys()
    assert {"voxels", "weights", "voxel_mean"} <= set(fitted[0])
    assert all(np.array_equal(fitted[0][name], fitted[1][name]) for name in fitted[0])


def test_the_graph_averages_volumes_and_cuts_the_mask_itself(
    trained_fmri: tuple[Path, dict[str, Any]],
) -> None:
    bundle = Bundle.load(trained_fmri[0] / "fmri")
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    volumes = np.random.default_rng(0).standard_normal(bundle.window_shape).astype(np.float32)
    latent = decoder.raw(volumes)["latent"]
    np.testing.assert_allclose(decoder.raw(volumes[::-1])["latent"], latent, atol=1e-6)
    changed = [
        voxel
        for voxel in range(128)
        if np.abs(decoder.raw(volumes + 9 * (np.arange(128) == voxel))["latent"] - latent).max() > 1e-6
    ]
    assert len(changed) == 60


def test_an_older_bundle_gets_the_encoding_model_that_training_would_leave(
    tmp_path: Path, trained: tuple[Path, dict[str, Any]]
) -> None:
    shutil.copytree(trained[0] / "generator", tmp_path / "generator")
    dreamed = CONFIG + DREAMED
    training = tmp_path / "tiny.toml"
    training.write_text(dreamed)
    scores = train_hyper(training, tmp_path / "bundle")
    bundle = Bundle.load(tmp_path / "bundle")
    left = read_encoding(bundle.folder, bundle.hash)
    # Trials that could not be read are not among them.
    assert 90 < left.trials <= 100
    assert (left.banks, left.size, left.latent) == (("brightness",), (64, 64), 3)
    files = {name: bundle.read(name) for name in bundle.spec.files if name != ENCODING}
    older = save_bundle(tmp_path / "older", bundle.spec.model_copy(update={"encoding": None}), files)
    share = add_encoding(older.folder, training)
    assert share == pytest.approx(scores["foretold"], abs=1e-3)
    added = read_encoding(older.folder)
    for name in ("axes", "weights", "noise", "gram"):
        theirs = getattr(left, name)
        assert np.allclose(getattr(added, name), theirs, atol=1e-3 * np.abs(theirs).max()), name
    assert {name: (older.folder / name).read_bytes() for name in files} == files
    # Of other trials, or another readout, it would be another model.
    training.write_text(dreamed.replace("snr = 8.0", "snr = 7.0"))
    with pytest.raises(BundleError, match="expected training trials of the hash"):
        add_encoding(older.folder, training)
    training.write_text(dreamed.replace("axes = 8", "axes = 7"))
    with pytest.raises(ConfigError, match="with another readout"):
        add_encoding(older.folder, training)


def test_training_that_fails_leaves_stimuli_and_bundle_as_they_were(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("generator", "stimuli", "bundle"):
        shutil.copytree(trained[0] / name, tmp_path / name)
    (tmp_path / "tiny.toml").write_text(CONFIG.replace("seed = 1", "seed = 2"))
    before = digests(tmp_path)

    def refuse(*args: object, **options: object) -> None:
        raise BundleError("a graph that does not run")

    monkeypatch.setattr("models.systems.hyper.train.save_decoder", refuse)
    with pytest.raises(BundleError, match="does not run"):
        train_hyper(tmp_path / "tiny.toml", tmp_path / "bundle")
    assert digests(tmp_path) == before


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its place."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_stimuli_do_not_replace_what_is_something_else(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(CONFIG.replace('"generator"', f'"{trained[0] / "generator"}"'))
    (tmp_path / "stimuli").mkdir()
    (tmp_path / "stimuli" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"but it holds 'thesis\.txt'"):
        train_hyper(tmp_path / "tiny.toml", tmp_path / "bundle")
    assert (tmp_path / "stimuli" / "thesis.txt").read_text() == "years of work"
    assert not (tmp_path / "bundle").exists()


def test_reference_and_mask_do_not_replace_what_is_something_else(tmp_path: Path) -> None:
    text = (CONFIGS / "fmri-hyper-train.toml").read_text("utf-8").replace("../models/stimuli/", "")
    (tmp_path / "train.toml").write_text(text, "utf-8")
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "subject-1.nii.gz").write_text("an hour in the scanner")
    with pytest.raises(ConfigError, match=r"scan = .*head: expected .*but it holds 'subject-1\.nii\.gz'"):
        train_hyper(tmp_path / "train.toml", tmp_path / "bundle")
    assert (tmp_path / "head" / "subject-1.nii.gz").read_text() == "an hour in the scanner"
    assert not (tmp_path / "bundle").exists()


def test_voxels_are_chosen_among_one_value_a_trial(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(FMRI.replace("mean = true", "mean = false"))
    with pytest.raises(ConfigError, match=r"set mean = true in \[epoch\]"):
        load_hyper(tmp_path / "bad.toml")


def test_an_epoch_that_the_trials_have_no_room_for_and_a_misspelt_key_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(CONFIG.replace("snr = 8.0", "srn = 8.0"))
    with pytest.raises(ConfigError, match=r"participant\.srn"):
        load_hyper(tmp_path / "bad.toml")


def test_identification_knows_planted_answers_and_is_chance_on_noise() -> None:
    random = np.random.default_rng(3)
    candidates = random.standard_normal((12, 8))
    which = np.repeat(np.arange(12), 3)
    perfect = identify(candidates[which], candidates, which, random)
    assert (perfect["two_way"], perfect["n_way"]) == (1.0, 1.0)
    noise = identify(random.standard_normal((36, 8)), candidates, which, random)
    assert noise["two_way_p"] > 0.01
    low, high = noise["two_way_chance"]
    assert low < 0.5 < high


def write(folder: Path, table: str, rows: list[dict[str, Any]]) -> None:
    with (folder / f"{table}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("informed", [True, False])
def test_the_headline_of_a_session_says_whether_there_was_information(tmp_path: Path, informed: bool) -> None:
    random = np.random.default_rng(5)
    bundle = tiny_bundle(tmp_path / "bundle", latent=6)
    stimuli, session = tmp_path / "stimuli", tmp_path / "session"
    stimuli.mkdir()
    session.mkdir()
    latents = {f"{n:03d}": random.standard_normal(6).tolist() for n in range(12)}
    for name in latents:
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(stimuli / f"{name}.png")
    (stimuli / "latents.json").write_text(json.dumps(latents))
    config = {"experiment": {"folder": str(stimuli)}, "decoder": {"bundle": str(bundle.folder)}}
    (session / "config.json").write_text(json.dumps(config))
    (session / "summary.json").write_text(json.dumps({"simulated": True}))
    shown = [*latents, *reversed(latents)]  # every picture twice
    read = [np.array(latents[n]) if informed else random.standard_normal(6) for n in shown]
    (session / "environment.json").write_text(json.dumps({"bundle": {"hash": bundle.hash}}))
    columns = dict.fromkeys(FRAME_FIELDS, "0")
    write(
        session,
        "frames",
        [
            columns
            | {"frame": i, "latent": json.dumps(v.tolist()), "valid": "1", "confidence": "0.5"}
            | {"event": f"stimulus {i} {n}", "event_raw": i, "event_time": i, "trial": i}
            for i, (n, v) in enumerate(zip(shown, read, strict=True))
        ],
    )
    flips = [
        {"kind": "stimulus", "frame": 0, "reason": n, "flip": i, "trial": i} for i, n in enumerate(shown)
    ]
    write(
        session, "shown", [dict.fromkeys(SHOWN_FIELDS, "") | {"change": i} | f for i, f in enumerate(flips)]
    )
    write(session, "marks", [dict.fromkeys(MARK_FIELDS, "")])
    asked = {"stimulus": 0, "ending": "shown", "confidence": "nan", "latent": ""}
    write(session, "trials", [{"trial": i, "name": n} | asked for i, n in enumerate(shown)])
    report = evaluate_session(session, permutations=20)
    assert report["headline"].startswith("single trials tell" if informed else "no information")
    assert Path(report["pairs"]).read_bytes().startswith(b"\x89PNG")
    assert json.loads((session / "report" / "report.json").read_text())["trials"] == 24
    assert report["test"]["averaged"] == ["single trials", "mean of what was read in 2 trials"]
    page = (session / "report" / "index.html").read_text()
    assert ("No information" in page) is not informed
    assert "http" not in page.replace("http://www.w3.org", "")
    assert report["oracle"] == {"missing": "the bundle was not trained in silico"}


def test_a_report_makes_the_held_out_trials_again_and_sets_them_beside_the_oracle(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, scores = trained
    report = evaluate_hyper(Bundle.load(root / "bundle"), tmp_path / "report", permutations=20)
    assert report["again"]["same"]
    assert report["again"]["cosine"] == pytest.approx(scores["cosine"], abs=1e-5)
    assert report["identification"]["single trials"]["two_way"] == pytest.approx(scores["two_way"])
    assert report["oracle"]["single trials"]["two_way"] >= scores["two_way"] - 0.05
    assert {row["averaged"] for row in report["rows"] if row["system"] == "read"} == set(
        report["test"]["averaged"]
    )
    assert "did not learn drawn faces" in report["semantic"]["missing"]
    assert json.loads((tmp_path / "report" / "report.json").read_text())["informed"] is True
    page = (tmp_path / "report" / "index.html").read_text()
    for words in ("Which picture was seen?", "weights missing", "oracle, single trials"):
        assert words in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_report_whose_last_digits_differ_names_what_differs(
    trained: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.load(trained[0] / "bundle")
    held = make_again(bundle)
    cosine = float(str(bundle.spec.scores["cosine"]))
    assert report._again(bundle, held, cosine)["differs"] == ""
    here = processor()
    monkeypatch.setattr(report, "processor", lambda: here | {"cpu": "Another 9000"})
    again = report._again(bundle, held, cosine + 3e-4)
    assert again["differs"] == f"what differs is the cpu ({here['cpu']} then, Another 9000 now)"
    ((_, words),) = [fact for fact in report._facts(bundle, held, again) if fact[0] == "Trials"]
    assert words.endswith(again["differs"])
    assert "release" not in words


def test_what_differs_is_named_and_a_processor_that_was_not_noted_is_suspected() -> None:
    python = {"python": sys.version.split()[0]}
    here = {"cpu": "EPYC", "cpu_features": "ab"}
    assert "numpy (0.1 then" in what_differs({"versions": python | {"numpy": "0.1"}, "processor": here}, here)
    assert "nowhere-to-be-found (1.0 then, none now)" in what_differs(
        {"versions": {"nowhere-to-be-found": "1.0"}}, here
    )
    assert what_differs({"versions": python}, here).startswith("the libraries are the same; the processor")
    assert what_differs({"versions": python, "processor": here}, here).startswith("processor and libraries")
    assert "cpu_features (ab then, cd now)" in what_differs(
        {"processor": here}, here | {"cpu_features": "cd"}
    )


def test_the_system_gives_the_held_out_trials_and_an_oracle_that_knows_less_where_there_is_less_to_know(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    root, scores = trained
    bundle = Bundle.load(root / "bundle")
    system = system_of_bundle(bundle)
    decoded = system.held_out(bundle, data_root=None, progress=lambda done, text: None)
    assert cosine(decoded.latents[decoded.which], decoded.predicted).mean() == pytest.approx(
        scores["cosine"], abs=1e-5
    )
    assert system.oracle is not None
    clear, faint = (system.oracle(bundle, snr=snr)["single trials"] for snr in (None, 1e-5))
    assert clear["two_way"] >= scores["two_way"] - 0.05
    assert faint["two_way"] < clear["two_way"] - 0.1


def test_held_out_trials_are_the_same_where_only_the_bundle_is_left(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root, _ = trained
    shutil.copytree(root / "bundle", tmp_path / "elsewhere" / "bundle")
    there, alone = (make_again(Bundle.load(p / "bundle")) for p in (root, tmp_path / "elsewhere"))
    assert "the very package" in there.drawn_by
    assert "package that it was trained with was not found" in alone.drawn_by
    assert np.array_equal(there.which, alone.which)
    differ = np.abs(there.pictures.astype(int) - alone.pictures)
    assert differ.max() <= 1


def test_a_session_without_known_stimuli_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        RecordingError, match=r"no session of an experiment.*`bci reproduce`.*`bci evaluate BUNDLE`"
    ):
        evaluate_session(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("train = 100", "train = 1000000000", "trials.train"),
        ("units = 64", "units = 1000000000", "participant.units"),
        ("snr = 8.0", "snr = inf", "participant.snr"),
        ("stimulus_s = 0.3", "stimulus_s = 1e300", "trials.stimulus_s"),
        ("start = 0.04", "start = 1e300", "epoch.start"),
        ("stop = 0.44", "stop = 0.01", "epoch"),
        ("seed = 1", "seed = -1", "seed"),
        ('"stimuli"', f'"{"x" * 300}"', "stimuli"),
    ],
)
def test_a_training_file_that_no_machine_can_run_is_refused_by_its_key(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    assert old in CONFIG
    (tmp_path / "bad.toml").write_text(CONFIG.replace(old, new, 1))
    with pytest.raises(ConfigError, match=rf"  {re.escape(key)}: "):
        load_hyper(tmp_path / "bad.toml")

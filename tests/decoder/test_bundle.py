"""A bundle is read, verified, tried, or refused with what was expected, what came and what to do."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import readout, tiny_bundle

from bci.decoder import bundle as bundle_module
from bci.decoder.bundle import Bundle, save_bundle
from bci.decoder.spec import BundleSpec, ImageSpec, WindowSpec
from bci.errors import BundleError

Make = Callable[..., Bundle]


def edit(folder: Path, **changes: Any) -> None:
    """Change keys of bundle.json; a dotted name reaches inside, None removes."""
    path = folder / "bundle.json"
    said = json.loads(path.read_text())
    for name, value in changes.items():
        *way, last = name.split("__")
        part = said
        for step in way:
            part = part[step]
        if value is None:
            del part[last]
        else:
            part[last] = value
    path.write_text(json.dumps(said))


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    return str(caught.value)


def test_what_was_saved_comes_back(make_bundle: Make) -> None:
    saved = make_bundle(
        rate=160, channels=("O1", "O2"), length=32, hop=8, pipeline=[{"step": "pick", "channels": ["O2"]}]
    )
    loaded = Bundle.load(saved.folder)
    assert loaded.spec == saved.spec
    assert loaded.hash == saved.hash
    assert len(loaded.hash) == 64
    assert (loaded.name, loaded.length, loaded.hop) == ("tiny", 32, 8)
    assert (loaded.signal.rate, loaded.signal.channels, loaded.signal.unit) == (160, ("O1", "O2"), "uV")
    assert loaded.pipeline.to_json() == [{"step": "pick", "channels": ["O2"]}]
    assert loaded.output.channels == ("O2",)
    assert loaded.window_shape == (32, 1)
    assert loaded.facts["generator.onnx"].nodes["Expand"] == 1
    assert sorted(loaded.spec.files) == ["card.md", "generator.onnx", "readout.onnx"]


def test_the_card_names_what_a_person_asks_for(make_bundle: Make) -> None:
    bundle = make_bundle(
        title="Means of three channels.",
        confidence="classifier",
        scores={"auc": 0.91234, "auc shuffled": 0.5},
    )
    card = (bundle.folder / "card.md").read_text()
    for said in (
        "# tiny",
        "Means of three",
        "100 Hz",
        "O1, Oz, O2",
        "calibrated on planted",
        "auc: 0.9123",
        "8 × 6",
    ):
        assert said in card


def test_the_hash_changes_with_any_byte(make_bundle: Make, tmp_path: Path) -> None:
    first = make_bundle()
    again = tiny_bundle(tmp_path / "again")
    other = tiny_bundle(tmp_path / "other", masked_limit=0.3)
    assert first.hash == again.hash
    assert other.hash != first.hash


@pytest.mark.parametrize("name", ["readout.onnx", "generator.onnx", "card.md"])
def test_a_changed_byte_is_refused(make_bundle: Make, name: str) -> None:
    folder = make_bundle().folder
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"{name}: expected the file whose SHA-256" in refusal(folder)


@pytest.mark.parametrize("name", ["readout.onnx", "card.md", "bundle.json"])
def test_a_missing_file_is_refused_by_name(make_bundle: Make, name: str) -> None:
    folder = make_bundle().folder
    (folder / name).unlink()
    assert name in refusal(folder)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "expected a bundle's folder" in refusal(tmp_path / "nowhere")
    assert "bundle.json" in refusal(tmp_path)


def test_a_file_that_is_not_listed_is_refused_but_hidden_ones_are_not_looked_at(make_bundle: Make) -> None:
    folder = make_bundle().folder
    (folder / ".DS_Store").write_bytes(b"left by a file browser")
    assert Bundle.load(folder)
    (folder / "better.onnx").write_bytes(b"")
    assert "better.onnx" in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, "expected schema version 1, came 2. Update this program"),
        ({"schema_version": 0}, "expected schema version 1, came 0. Export the bundle again"),
        ({"schema_version": None}, "schema_version: it is required"),
        ({"widnow": {}}, "widnow: there is no such key (did you mean 'window'"),
        ({"signal__rte": 1}, "signal.rte: there is no such key (did you mean 'rate'"),
        ({"signal__rate": None}, "signal.rate: it is required"),
        ({"signal__rate": -1}, "signal.rate"),
        ({"signal__rate": "160"}, "signal.rate: expected a number, came '160'"),
        ({"signal__channels": ["O1"]}, "1 channel labels for 3 channels"),
        ({"signal__shape": [0]}, "signal.shape.0"),
        ({"window__length": 0}, "window.length"),
        ({"image__low": 1.0}, "low to high"),
        ({"masked_limit": 1.5}, "masked_limit"),
        ({"confidence__kind": "sure"}, "confidence.kind"),
        ({"confidence__kind": "gaussian"}, "calibrated_on"),
        ({"options__cpu__threads": 0}, "options.cpu.threads"),
        ({"options__cuda__convolution": "fast"}, "options.cuda.convolution"),
        ({"graphs": []}, "graphs"),
        ({"graphs": [{"file": "readout.onnx", "role": "readout"}]}, "one readout and one generator"),
        ({"graphs": [{"file": "readout.onnx", "role": "teacher"}]}, "graphs.0.role"),
        ({"files": {}}, "expected a SHA-256 of every file"),
        ({"files__readout.onnx": "abc"}, "files"),
        ({"pipeline": [{"step": "conjure"}]}, "conjure"),
        ({"pipeline": [{"step": "pick", "channels": ["Cz"]}]}, "Cz"),
        (
            {"pipeline": [{"step": "notch", "frequency": 50, "quality": 1e300}]},
            "expected a pipeline that fits",
        ),
        ({"pipeline": [{"step": "band_pass", "low": 8, "high": 60}]}, "expected a pipeline that fits"),
        ({"window__length": 10**9}, "one window: expected at most 1 GiB"),
        ({"window__hop": 10**12}, "one hop: expected at most 1 GiB"),
        ({"latent": 3}, "latent: tensor(float) [1, 3], came latent: tensor(float) [1, 2]"),
        ({"image__height": 7}, "'image' of shape [1, 3, 7, 8]"),
        ({"window__length": 21}, "[1, 21, 3], came window: tensor(float) [1, 20, 3]"),
    ],
)
def test_a_description_that_does_not_hold_is_refused(
    make_bundle: Make, changes: dict[str, Any], said: str
) -> None:
    folder = make_bundle().folder
    edit(folder, **changes)
    assert said in refusal(folder)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"{", b"[]", b'{"schema_version": NaN}', b"[" * 100_000])
def test_a_description_that_is_no_json_is_refused(make_bundle: Make, text: bytes) -> None:
    folder = make_bundle().folder
    (folder / "bundle.json").write_bytes(text)
    assert "bundle.json" in refusal(folder)


@pytest.mark.parametrize(
    "name",
    ["../readout.onnx", "/etc/passwd", "a/b.onnx", "a\\b.onnx", "..", ".hidden", "c:x", "CON.onnx", "a.", ""],
)
def test_names_that_reach_out_of_the_folder_are_refused(make_bundle: Make, name: str) -> None:
    folder = make_bundle().folder
    edit(folder, graphs=[{"file": name, "role": "whole"}])
    assert "graphs.0.file" in refusal(folder)
    edit(folder, graphs=[{"file": "whole.onnx", "role": "whole"}], files={name: "0" * 64})
    assert "files" in refusal(folder)


def test_a_link_out_of_the_folder_is_refused(make_bundle: Make, tmp_path: Path) -> None:
    folder = make_bundle().folder
    outside = tmp_path / "outside.onnx"
    os.replace(folder / "readout.onnx", outside)
    (folder / "readout.onnx").symlink_to(outside)
    assert "came a link to" in refusal(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform")
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(make_bundle: Make) -> None:
    folder = make_bundle().folder
    (folder / "card.md").unlink()
    os.mkfifo(folder / "card.md")
    assert "expected a regular file" in refusal(folder)


def test_a_folder_may_be_reached_through_a_link(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle()
    (tmp_path / "link").symlink_to(bundle.folder, target_is_directory=True)
    assert Bundle.load(tmp_path / "link").hash == bundle.hash


def test_a_bundle_is_tried_once_for_each_process(make_bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_bundle()

    def tried(*_: object, **__: object) -> None:
        raise AssertionError("tried again")

    monkeypatch.setattr(bundle_module, "probe", tried)
    assert Bundle.load(bundle.folder).facts == bundle.facts
    # Other bytes are another bundle.
    edit(bundle.folder, title="changed")
    with pytest.raises(AssertionError, match="tried again"):
        Bundle.load(bundle.folder)


def test_a_bundle_that_does_not_load_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="'latent' of shape"):
        tiny_bundle(tmp_path / "tiny", replace={"readout.onnx": readout((20, 3), latent=5)})
    assert list(tmp_path.iterdir()) == []


def test_saving_replaces_a_bundle_and_nothing_else(make_bundle: Make, tmp_path: Path) -> None:
    first = make_bundle()
    second = make_bundle(one_graph=True)
    assert second.folder == first.folder
    assert sorted(p.name for p in second.folder.iterdir()) == ["bundle.json", "card.md", "whole.onnx"]
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter.txt").write_text("one")
    with pytest.raises(BundleError, match="expected a new folder"):
        tiny_bundle(precious)
    assert (precious / "chapter.txt").read_text() == "one"


def test_a_score_that_is_no_number_is_refused(make_bundle: Make) -> None:
    with pytest.raises(ValueError, match="finite number"):
        make_bundle(scores={"auc": float("nan")})


def test_reading_a_file_verifies_it_again(make_bundle: Make) -> None:
    bundle = make_bundle()
    assert bundle.read("card.md") == (bundle.folder / "card.md").read_bytes()
    (bundle.folder / "readout.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="other bytes"):
        bundle.read("readout.onnx")
    with pytest.raises(BundleError, match=r"there is no 'x.onnx'; it has card.md"):
        bundle.read("x.onnx")


def test_values_cannot_be_changed(make_bundle: Make) -> None:
    bundle = make_bundle()
    with pytest.raises(AttributeError):
        bundle.hash = "0"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        bundle.spec.masked_limit = 1.0


def test_a_spec_can_be_written_in_code(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle()
    spec = BundleSpec(
        name="by hand",
        signal=bundle.spec.signal,
        window=WindowSpec(length=20, hop=10),
        latent=2,
        image=ImageSpec(height=6, width=8),
        graphs=bundle.spec.graphs,
    )
    files = {g.file: bundle.folder / g.file for g in spec.graphs}
    assert save_bundle(tmp_path / "hand", spec, files | {"card.md": "# Written by hand\n"}).name == "by hand"
    assert (tmp_path / "hand" / "card.md").read_text() == "# Written by hand\n"

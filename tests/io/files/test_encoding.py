"""A bundle's encoding model comes back as it was written, and only from the very bundle that holds it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from planted_encoding import encoding_bundle, planted_encoding
from tiny_bundle import tiny_bundle

from bci.decoder.bundle import Bundle
from bci.errors import BundleError
from bci.io.files.encoding import ENCODING, encoding_part, parse_encoding, read_encoding


def test_an_encoding_model_is_read_from_its_bundle_as_it_was_written(tmp_path: Path) -> None:
    written, bundle = planted_encoding(), encoding_bundle(tmp_path / "b")
    read = read_encoding(bundle.folder, bundle.hash)
    assert (read.banks, read.size, read.trials, read.latent) == (("brightness",), (8, 8), 200, 4)
    pictures = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), np.uint8)
    assert read.expected(pictures) == pytest.approx(written.expected(pictures), rel=1e-4, abs=1e-5)
    assert bundle.spec.encoding is not None
    assert ENCODING in bundle.spec.files


def test_a_bundle_without_one_is_as_before_and_refused_in_words(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "plain")
    assert "encoding" not in json.loads((bundle.folder / "bundle.json").read_text())
    with pytest.raises(
        BundleError, match="which has none: it was trained with a readout that does not dream"
    ):
        read_encoding(bundle.folder)


def test_another_bundle_or_other_numbers_than_bundle_json_says_are_refused(tmp_path: Path) -> None:
    bundle = encoding_bundle(tmp_path / "b")
    with pytest.raises(BundleError, match="which the session began with, came another"):
        read_encoding(bundle.folder, "0" * 64)
    content = (bundle.folder / ENCODING).read_bytes()
    (bundle.folder / ENCODING).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for opens in (Bundle.load, read_encoding):
        with pytest.raises(BundleError, match="came other bytes"):
            opens(bundle.folder)
    # Hashes that fit do not make numbers that do.
    described = json.loads((bundle.folder / "bundle.json").read_text())
    (bundle.folder / ENCODING).write_bytes(content[:-4])
    described["files"][ENCODING] = hashlib.sha256(content[:-4]).hexdigest()
    (bundle.folder / "bundle.json").write_text(json.dumps(described))
    for opens in (Bundle.load, read_encoding):
        with pytest.raises(BundleError, match="cut short or damaged"):
            opens(bundle.folder)
    described["encoding"]["version"] = 2
    (bundle.folder / "bundle.json").write_text(json.dumps(described))
    for opens in (Bundle.load, read_encoding):
        with pytest.raises(BundleError, match="version"):
            opens(bundle.folder)


def test_numbers_that_no_model_has_are_refused(tmp_path: Path) -> None:
    recipe, content = encoding_part(planted_encoding())
    with pytest.raises(BundleError, match="expected 1155 numbers, float32"):
        parse_encoding(recipe, content, 5)
    flat = planted_encoding()
    flat.scale[3] = 0
    with pytest.raises(BundleError, match="scales above 0"):
        parse_encoding(*encoding_part(flat), 4)
    flat.scale[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        encoding_part(flat)

"""Encoding maps find what was planted, and the report names it; sizes stand side by side."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training needs the extra train")

from models.encoding.features import features_of
from models.encoding.maps import encoding_maps
from models.reports.decoded import Decoded
from models.reports.encoding import encoding_section
from models.reports.sizes import sizes_section


def test_a_map_finds_the_value_that_answers_to_a_bank_and_the_page_says_where() -> None:
    random = np.random.default_rng(4)
    pictures = random.integers(0, 256, (160, 8, 8, 3), np.uint8)
    bright = features_of(pictures, ["brightness"])[:, 5]
    brain = random.standard_normal((160, 6))
    brain[:, 3] += 3 * (bright - bright.mean()) / bright.std()
    maps = encoding_maps(pictures, brain, np.arange(160) // 40, ["brightness", "colour"])
    assert maps["brightness"].argmax() == 3
    assert maps["brightness"][3] > 0.5
    assert np.delete(maps["brightness"], 3).max() < 0.1
    assert maps["colour"].max() < 0.1
    # Two channels, three samples: the fourth value is the second channel at the second sample.
    page = encoding_section(maps, ("Oz", "Fz"), (0.0, 0.1, 0.2))
    assert "Fz, 0.10 s" in page
    assert page.count("data:image/png") == 2
    voxels = encoding_section(maps, [f"voxel {k}" for k in range(6)], (0.0,))
    assert "voxel 3" in voxels
    assert "<svg" in voxels


def test_the_rules_for_size_stand_side_by_side_with_what_each_reached() -> None:
    random = np.random.default_rng(1)
    latents = random.standard_normal((10, 4)).astype(np.float32)
    drawn: list[np.ndarray] = []

    def draw(z: np.ndarray) -> np.ndarray:
        drawn.append(z)
        return np.zeros((len(z), 8, 8, 3), np.uint8)

    decoded = Decoded(
        names=tuple("abcdefghij"),
        latents=latents,
        seen=np.zeros((10, 8, 8, 3), np.uint8),
        predicted=0.5 * latents,
        which=np.arange(10),
        confidence=np.full(10, np.nan),
        averaged=None,
        how="",
        mean_picture=np.zeros((8, 8, 3)),
        mean_of="none",
    )
    sizes = {"keep": 0.5, "rescale": 0.4, "truncate 0.3": 0.3, "truncate 0.6": 0.45}
    page = sizes_section(decoded, draw, {"size": "keep", "sizes": sizes})
    kept, rescaled, truncated = drawn
    np.testing.assert_allclose(kept, 0.5 * latents[:8])
    np.testing.assert_allclose(np.linalg.norm(rescaled, axis=1), 2.0, rtol=1e-6)
    assert np.abs(truncated).max() == pytest.approx(0.6)
    for words in ("the rule <b>keep</b>", "truncate at 0.6", "50.0 %", "40.0 %"):
        assert words in page
    assert sizes_section(decoded, draw, {}) == ""
    assert sizes_section(decoded, None, {"size": "keep"}) == ""

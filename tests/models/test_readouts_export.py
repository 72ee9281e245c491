"""What is exported of a readout is what was fitted: the same numbers to 1e-5 at every batch, no control flow."""

import numpy as np
import onnxruntime
import pytest

from benchmarks import export_parity
from benchmarks.export_parity import Exported, compare, readout_entries
from models.readouts.export import export_readout
from models.readouts.linear import LinearReadout
from models.readouts.size import LatentSize
from models.readouts.solvers import Ridge
from models.readouts.voxels import choose_voxels


@pytest.fixture(scope="module")
def rows():
    return {row["model"]: row for row in compare(readout_entries(quick=True))}


def test_every_readout_is_exported_exactly(rows):
    assert len(rows) >= 14
    assert all(row["met"] for row in rows.values()), rows
    assert all(set(row["differences"]) == {1, 2, 5} for row in rows.values())


def test_a_graph_cuts_its_mask_out_of_all_voxels():
    rng = np.random.default_rng(1)
    brain, latents = rng.standard_normal((50, 30)) + np.arange(30) % 3, rng.standard_normal((50, 4))
    mask = choose_voxels(brain, 12, subject="sub-01")
    readout = LinearReadout(Ridge()).fit(mask(brain), latents)
    session = onnxruntime.InferenceSession(
        export_readout(readout.frozen(), batch=2, mask=mask), providers=["CPUExecutionProvider"]
    )
    latent, confidence = session.run(["latent", "confidence"], {"brain": brain[:2].astype(np.float32)})
    np.testing.assert_allclose(latent, readout.predict(mask(brain))[:2], atol=1e-5)
    np.testing.assert_allclose(confidence, readout.confidence(mask(brain))[:2], atol=1e-5)


@pytest.mark.parametrize("size", [LatentSize("rescale"), LatentSize("truncate", 0.4)])
def test_a_graph_sizes_latents_as_the_generator_wants_them(size):
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((50, 9))
    brain = rng.standard_normal((50, 30)) + 2 * np.tile(latents, (1, 4))[:, :30]
    readout = LinearReadout(Ridge()).fit(brain, latents)
    session = onnxruntime.InferenceSession(
        export_readout(readout.frozen(), batch=50, size=size), providers=["CPUExecutionProvider"]
    )
    latent, confidence = session.run(["latent", "confidence"], {"brain": brain.astype(np.float32)})
    plain = readout.predict(brain)
    assert not np.allclose(latent, plain, atol=1e-3)
    np.testing.assert_allclose(latent, size(plain), atol=1e-5)
    np.testing.assert_allclose(confidence, readout.confidence(brain), atol=1e-5)
    if size.kind == "rescale":
        np.testing.assert_allclose(np.linalg.norm(latent, axis=1), 3, atol=1e-5)


def test_a_graph_that_differs_is_found(capsys, monkeypatch):
    monkeypatch.setattr(export_parity, "readout_entries", lambda quick: [])
    assert export_parity.main(["--quick", "--json"], [("wrong", wrong)]) == 1
    assert '"met": false' in capsys.readouterr().out


def wrong(batch):
    rng = np.random.default_rng(1)
    brain, latents = rng.standard_normal((50, 6)), rng.standard_normal((50, 4))
    readout = LinearReadout(Ridge()).fit(brain, latents)
    new = brain[:batch].astype(np.float32)
    expected = {"latent": readout.predict(new) + 2e-5, "confidence": readout.confidence(new)}
    return Exported(export_readout(readout.frozen(), batch=batch), {"brain": new}, expected)


@pytest.mark.parametrize("voxels", [8, 300])
def test_a_graph_tells_what_is_unlike_training_as_the_readout_does(voxels):
    rng = np.random.default_rng(2)
    mixing, weights = rng.standard_normal((30, voxels)), rng.standard_normal((voxels, 4))

    def trials(n):
        brain = 50 + rng.standard_normal((n, 30)) @ mixing + 0.5 * rng.standard_normal((n, voxels))
        return brain.astype(np.float32)

    brain = trials(240)
    readout = LinearReadout(Ridge()).fit(brain, (brain - 50) @ weights / 30 + rng.standard_normal((240, 4)))
    frozen = readout.frozen()
    like, noise = trials(200), (50 + 40 * rng.standard_normal((200, voxels))).astype(np.float32)
    dead, order = np.full((2, voxels), 50, np.float32), trials(200)[:, rng.permutation(voxels)]
    asked = np.concatenate([like, noise, dead, order])
    session = onnxruntime.InferenceSession(
        export_readout(frozen, batch=len(asked)), providers=["CPUExecutionProvider"]
    )
    confidence, novelty = session.run(["confidence", "novelty"], {"brain": asked})
    expected = frozen.novelty(frozen.voxels.forward(asked))
    np.testing.assert_allclose(novelty, expected, rtol=1e-3)
    np.testing.assert_allclose(confidence, readout.confidence(asked), atol=1e-5)
    assert ((confidence == 0) == (novelty > 1)).all()
    real, *others = np.split(frozen.unlike(asked), np.cumsum([200, 200, 2]))
    assert real.mean() <= 0.02
    # Eight voxels in another order are too few to be told for sure.
    told = others if voxels > 8 else others[:2]
    assert all(part.mean() >= 0.95 for part in told)

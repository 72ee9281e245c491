"""What is read slowly, for reference: gradients of features, weighted samples, the most probable latent, the page."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="gradients need the extra train")
pytest.importorskip("sklearn", reason="training needs the extra train")

import torch

from bci.errors import ConfigError, DataError
from models.encoding.features import BANKS, features_of
from models.encoding.gradients import feature_rows
from models.encoding.importance import importance_samples
from models.encoding.likeness import DreamLikeness
from models.encoding.quick_and_slow import QuickAndSlow
from models.encoding.slow import SlowReading
from models.encoding.white import WhiteEncoding
from models.generators.package import GeneratorPackage
from models.metrics.latents import cosine
from models.networks.matching import Descent
from models.reports.slow import slow_section

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def package() -> GeneratorPackage:
    return GeneratorPackage.load(ROOT / "models" / "bundles" / "dcgan-faces")


def test_features_with_gradients_are_the_features(package: GeneratorPackage) -> None:
    pictures = package.draw(np.random.default_rng(1).standard_normal((3, package.spec.latent), np.float32))
    planes = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255).requires_grad_()
    banks = [*BANKS, "convnet-faces/conv3_1"]
    rows = feature_rows(planes, banks)
    np.testing.assert_allclose(rows.detach().numpy(), features_of(pictures, banks), atol=2e-5)
    rows.sum().backward()
    assert planes.grad is not None
    assert torch.isfinite(planes.grad).all()
    # A picture without any contrast has no energy and no slope of it, and gives no NaN.
    even = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)
    feature_rows(even, banks).sum().backward()
    assert even.grad is not None
    assert torch.isfinite(even.grad).all()
    with pytest.raises(ConfigError, match="multiples of 8"):
        feature_rows(torch.zeros(1, 3, 60, 64), ["colour"])


def test_weighted_samples_give_the_posterior_of_a_linear_world() -> None:
    random = np.random.default_rng(3)
    mixing = random.standard_normal((2, 3))
    answers = random.standard_normal((4, 3)) * 2
    precision = np.linalg.inv(np.eye(2) + 2.0 * mixing @ mixing.T)
    true = 2.0 * answers @ mixing.T @ precision
    found = importance_samples(
        answers, true + 0.3, np.full(2, 0.8), 20_000, lambda z: z @ mixing, precision=2.0
    )
    np.testing.assert_allclose(found.mean, true, atol=0.03)
    np.testing.assert_allclose(found.variance, np.tile(np.diag(precision), (4, 1)), rtol=0.1)
    assert (found.effective > 500).all()
    # Drawn from the posterior itself, of one axis, every sample counts.
    sd = np.sqrt(np.array([1 / (1 + mixing[0] @ mixing[0])]))
    own = answers @ mixing[0][:, None] * sd**2
    exact = importance_samples(answers, own, sd, 50, lambda z: z @ mixing[:1])
    np.testing.assert_allclose(exact.effective, 50)


def test_the_most_probable_latent_explains_an_answer_better_than_what_it_began_with(
    package: GeneratorPackage,
) -> None:
    random = np.random.default_rng(6)
    latents = random.standard_normal((124, package.spec.latent), np.float32)
    features = features_of(package.draw(latents), ["brightness"])
    clean = (features - features.mean(0)) / features.std(0) @ random.standard_normal((64, 30))
    brain = clean + 2.0 * random.standard_normal(clean.shape)
    encoding = WhiteEncoding.fit(
        brain[:120], features[:120], np.repeat(np.arange(4), 30), components=20, axes=15
    )
    slow = SlowReading(encoding, package, ("brightness",))
    truth, answers = latents[120:], encoding.answers(brain[120:])
    predicted = slow.predict(torch.from_numpy(truth)).numpy()
    # The same as of levels, but for their rounding.
    np.testing.assert_allclose(predicted, encoding.predict(features[120:]), atol=0.02)
    begin = 0.1 * random.standard_normal(truth.shape)
    found = slow.most_probable(answers, begin, Descent(25, 0.1))

    def cost(z: np.ndarray) -> np.ndarray:
        said = slow.predict(torch.from_numpy(z.astype(np.float32))).numpy()
        return ((answers - said) ** 2).sum(1) + (z**2).sum(1)

    assert (cost(found) < cost(begin)).all()
    assert (cost(found) < cost(truth)).all()
    assert cosine(truth, found).mean() > 0.15
    again = slow.most_probable(answers, begin, Descent(25, 0.1))
    np.testing.assert_array_equal(again, found)
    with pytest.raises(DataError, match="latents of shape"):
        slow.most_probable(answers, begin[:2])


def test_the_page_shows_the_ways_side_by_side() -> None:
    random = np.random.default_rng(2)
    truth = random.standard_normal((5, 6))
    ways = {"quick": truth + 1.5, "most probable": truth.copy(), "weighted samples": -truth}
    compared = QuickAndSlow(ways, np.array([3.0, 4.0, 5.0, 6.0, 7.0]), {"most probable": 1.25})
    rows = compared.score(truth, np.arange(5))
    assert [row["n_way"] for row in rows][1:] == [1.0, 0.0]
    assert rows[1]["cosine"] == pytest.approx(1.0)
    assert rows[0]["from_quick"] == pytest.approx(1.0)
    drawn: list[np.ndarray] = []

    def draw(z: np.ndarray) -> np.ndarray:
        drawn.append(z)
        return np.zeros((len(z), 8, 8, 3), np.uint8)

    likeness = str(DreamLikeness.of([random.standard_normal((50, 3))]))
    page = slow_section(compared.latents, rows, 200, likeness, draw, np.zeros((5, 8, 8, 3), np.uint8))
    assert len(drawn) == 3
    np.testing.assert_allclose(drawn[1], truth, rtol=1e-6)
    for words in (
        "Of 200 samples a trial 5.0 count",
        likeness,
        "hardly more than single samples",
        "100.0 %",
        "1.2 s",
    ):
        assert words in page

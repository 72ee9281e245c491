"""The generators that HYPER is compared with do what their mathematics says."""

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence

from models.drawings.face import draw_faces
from models.generators.eigenfaces import Eigenfaces
from models.generators.interface import build
from models.generators.vaegan import VaeGanSchedule, kl_to_standard, train_vaegan


def test_the_round_trip_of_eigenfaces_loses_what_the_other_components_hold() -> None:
    images = draw_faces(60, seed=0, size=16).images
    eigen = Eigenfaces.of(images, 20)
    latents = eigen.encode(images)
    np.testing.assert_allclose((latents**2).mean(0), 1.0, rtol=1e-4)
    rows = images.transpose(0, 3, 1, 2).reshape(60, -1) / 255.0
    drawn = eigen(torch.from_numpy(latents.astype(np.float32))).reshape(60, -1).numpy()
    lost = np.linalg.svd(rows - rows.mean(0), compute_uv=False)[20:]
    assert abs(((rows - drawn) ** 2).sum() / 60 - (lost**2).sum() / 60) < 1e-6 * (rows**2).sum() / 60
    again = build(eigen.architecture)
    again.load_state_dict(eigen.state_dict())
    assert torch.equal(again(torch.ones(1, 20)), eigen(torch.ones(1, 20)))


def test_the_divergence_of_the_autoencoder_is_the_analytic_one() -> None:
    random = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(5, 7, generator=random), torch.randn(5, 7, generator=random)
    wanted = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_to_standard(mean, log_variance), wanted, rtol=1e-5, atol=1e-6)


def test_a_vaegan_learns_to_draw_what_it_encodes() -> None:
    images = draw_faces(64, seed=1, size=16).images

    def error(steps: int) -> float:
        vae = train_vaegan(images, VaeGanSchedule(latent=16, width=8, steps=steps, batch=16, rate=2e-3))
        with torch.no_grad():
            drawn = vae.generator(torch.from_numpy(vae.encode(images).astype(np.float32))).numpy()
        return float(((drawn - (images.transpose(0, 3, 1, 2) / 127.5 - 1)) ** 2).mean())

    assert error(60) < 0.7 * error(1)

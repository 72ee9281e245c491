"""HYPER's layer learns by each of its losses, the same for the same seed, through a frozen generator."""

import numpy as np
import pytest
import torch
from planted_brain import world

from bci.errors import DataError
from models.generators.dcgan import Dcgan
from models.metrics.latents import cosine
from models.readouts.dense import Dense
from models.readouts.gradient import ActivationLoss, LatentLoss, Schedule, hyper_losses
from models.readouts.linear import LinearReadout
from models.readouts.scaling import Standard

SCHEDULE = Schedule(epochs=30, rate=3e-3)


class Layer(torch.nn.Module):
    """The first layer of a frozen generator: (n, 12) to (n, 6, 4, 4)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.inner = torch.nn.Linear(12, 96).requires_grad_(False)

    def forward(self, z):
        return torch.tanh(0.3 * self.inner(z)).reshape(-1, 6, 4, 4)


LOSSES = {
    "latent": LatentLoss(),
    "latent and activation": ActivationLoss(Layer()),
    "latent and activation, cropped": ActivationLoss(Layer(), crop=2),
    "activation alone": ActivationLoss(Layer(), with_latent=False),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_dense_layer_learns_by_every_loss(name):
    made = world()
    (brain, latents), (new, truth) = made.draw(200), made.draw(60, seed=2)
    dense = Dense(LOSSES[name], SCHEDULE)
    readout = LinearReadout(dense, folds=2, standardise=False).fit(brain, latents)
    assert cosine(truth - 1, readout.predict(new) - 1).mean() > 0.4
    again = LinearReadout(dense, folds=2, standardise=False).fit(brain, latents)
    assert (again.predict(new) == readout.predict(new)).all()


def test_the_reduction_is_half_the_mean():
    assert float(LatentLoss()(torch.zeros(2, 3), torch.full((2, 3), 2.0))) == 2.0


def test_only_the_centre_counts_where_it_is_cropped():
    wanted = torch.zeros(1, 1, 4, 4)
    edge = wanted.clone()
    edge[..., 0, :] = 5
    loss = ActivationLoss(lambda z: z, crop=2, with_latent=False)
    assert float(loss(edge, wanted)) == 0
    edge[..., 1, 1] = 2
    assert float(loss(edge, wanted)) == pytest.approx(0.5 * 4 / 4)
    with pytest.raises(DataError, match=r"at least 6 × 6 to crop, came \(1, 1, 4, 4\)"):
        ActivationLoss(lambda z: z, crop=6)(edge, wanted)


def test_every_loss_of_hyper_learns_through_the_layers_of_a_real_generator():
    torch.manual_seed(0)
    generator = Dcgan(latent=12, width=4, size=32).eval().requires_grad_(False)
    losses = hyper_losses(lambda number: lambda z: generator.layers(z)[number], crop=4, numbers=(0, 2))
    assert len(losses) == 5
    made = world(snr=1.0)
    (brain, latents), (new, truth) = made.draw(120), made.draw(60, seed=2)
    scale = Standard.of(brain)
    brain, new, latents, truth = scale.forward(brain), scale.forward(new), (latents - 1) / 2, (truth - 1) / 2
    for name, loss in losses.items():
        schedule = Schedule(epochs=15, rate=3e-3, decay=0.0)
        found = Dense(loss, schedule).solve(brain, latents, np.zeros(120, int))
        read, nothing, true = (
            torch.from_numpy(np.asarray(z, np.float32)) for z in (new @ found.weights, 0 * truth, truth)
        )
        # On trials that it never saw, what the loss compares is nearer than for the latent that says nothing.
        assert float(loss(read, true)) < 0.9 * float(loss(nothing, true)), name
    assert all(parameter.grad is None for parameter in generator.parameters())


def test_hyper_has_nine_models():
    losses = hyper_losses(lambda number: Layer(), crop=2)
    assert len(losses) == 9
    assert [loss.with_latent for name, loss in losses.items() if "layer" in name] == [True] * 4 + [False] * 4

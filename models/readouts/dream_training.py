"""Training of a network in dreams: the posterior mean of a latent given a white answer, then tuned on real trials."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.devices import device_of, repeatable
from models.readouts.dream_schedule import DreamSchedule
from models.readouts.dream_trials import DreamedTrials
from models.readouts.gradient import layers, weights_of
from models.readouts.scaling import Array

Layers = list[tuple[Array, Array]]

#: The rate of tuning, over the highest of the training.
_TUNING = 0.1


def networks(
    trials: DreamedTrials,
    answers: NDArray[np.float32],
    latents: NDArray[np.float32],
    schedule: DreamSchedule,
    seed: int,
    only: str | None = None,
) -> Iterator[tuple[str, Layers]]:
    """Train, and yield the network at every check by a name that says when it was.

    Parameters
    ----------
    trials : DreamedTrials
        Dreams without their noise.
    answers, latents : (n, axes), (n, d)
        Of real trials, in the same units.
    schedule : DreamSchedule
    seed : int
        Of first weights, batches and noise.
    only : str, optional
        Name of the check at which training ends; that one alone is yielded.
    """
    network = layers(
        (trials.answers.shape[1], schedule.hidden, schedule.hidden, trials.latents.shape[1]),
        bias=True,
        seed=seed,
    )
    random = torch.Generator().manual_seed(seed)
    for name in _training(network, trials, (answers, latents), schedule, random):
        if only in (None, name):
            yield name, weights_of(network.cpu())
            network.to(device_of(schedule.device))
        if name == only:
            return


def _training(
    network: nn.Sequential, trials: DreamedTrials, real: tuple[Any, Any], schedule: DreamSchedule, random: Any
) -> Iterator[str]:
    """Update the network in place; yield the name of each check when it is reached."""
    place = device_of(schedule.device)
    network.to(place)
    m, z = torch.from_numpy(trials.answers), torch.from_numpy(trials.latents)
    optimiser = torch.optim.AdamW(network.parameters(), schedule.learning_rate, weight_decay=schedule.decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.learning_rate, total_steps=schedule.steps)
    noise = schedule.temperature**0.5

    def draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(m), (n,), generator=random)
        return m[chosen] + noise * torch.randn(n, m.shape[1], generator=random), z[chosen]

    def update(x: torch.Tensor, y: torch.Tensor) -> None:
        with repeatable(place):
            optimiser.zero_grad(set_to_none=True)
            nn.functional.mse_loss(network(x.to(place)), y.to(place)).backward()
            optimiser.step()

    for step in range(1, schedule.steps + 1):
        update(*draw(schedule.batch))
        rates.step()
        if step * schedule.checks % schedule.steps < schedule.checks:
            yield f"network, {step} steps"
    answers, latents = (torch.from_numpy(np.ascontiguousarray(side, np.float32)) for side in real)
    for group in optimiser.param_groups:
        group["lr"] = schedule.learning_rate * _TUNING
    half = schedule.batch // 2
    for step in range(1, schedule.tuning + 1):
        chosen = torch.randint(len(answers), (half,), generator=random)
        x, y = draw(half)
        update(torch.cat([x, answers[chosen]]), torch.cat([y, latents[chosen]]))
        if step * schedule.checks % schedule.tuning < schedule.checks:
            yield f"network, {schedule.steps} steps and {step} on real trials"

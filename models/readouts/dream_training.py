r"""Training of a network in dreams: the posterior of a latent given a white answer, then tuned on real trials.

The mean learns by its squared error. A second head beside it reads the same last hidden layer and states the variance v
of what the mean missed, by the likelihood of that,

.. math:: \tfrac12 \textstyle\sum_j \big(\log v_j + (z_j - \hat z_j)^2 / v_j\big)

whose gradient goes no further than the head: the mean is what it would be without it. In tuning the head learns of
dreams alone, since what a network misses of the real trials that it is tuned on is less than it will miss of others.
"""

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
from models.readouts.maps import LOG_VARIANCES, LogVariance
from models.readouts.scaling import Array

Layers = list[tuple[Array, Array]]

#: The rate of tuning, over the highest of the training.
_TUNING = 0.1
#: The highest rate of the second head, over that of the network: its cost has one minimum, and it follows what moves.
_HEAD = 3.0


def networks(
    trials: DreamedTrials,
    answers: NDArray[np.float32],
    latents: NDArray[np.float32],
    schedule: DreamSchedule,
    seed: int,
    only: str | None = None,
) -> Iterator[tuple[str, Layers, LogVariance]]:
    """Train, and yield the network and its second head at every check by a name that says when it was.

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
    head = nn.Linear(schedule.hidden, trials.latents.shape[1])
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    random, place = torch.Generator().manual_seed(seed), device_of(schedule.device)
    for name in _training(network, head, trials, (answers, latents), schedule, random):
        if only in (None, name):
            ((weights, bias),) = weights_of(nn.Sequential(head.cpu()))
            yield name, weights_of(network.cpu()), LogVariance(weights, bias)
            network.to(place)
            head.to(place)
        if name == only:
            return


def _training(
    network: nn.Sequential,
    head: nn.Linear,
    trials: DreamedTrials,
    real: tuple[Any, Any],
    schedule: DreamSchedule,
    random: Any,
) -> Iterator[str]:
    """Update the network and its second head in place; yield the name of each check when it is reached."""
    place = device_of(schedule.device)
    network.to(place)
    head.to(place)
    hidden, last = network[:-1], network[-1]
    m, z = torch.from_numpy(trials.answers), torch.from_numpy(trials.latents)
    optimiser = torch.optim.AdamW(network.parameters(), schedule.learning_rate, weight_decay=schedule.decay)
    beside = torch.optim.AdamW(head.parameters(), _HEAD * schedule.learning_rate, weight_decay=schedule.decay)
    rates = [
        torch.optim.lr_scheduler.OneCycleLR(one, one.defaults["lr"], total_steps=schedule.steps)
        for one in (optimiser, beside)
    ]
    noise = schedule.temperature**0.5

    def draw(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(m), (n,), generator=random)
        return m[chosen] + noise * torch.randn(n, m.shape[1], generator=random), z[chosen]

    def update(x: torch.Tensor, y: torch.Tensor, dreamed: int) -> None:
        with repeatable(place):
            seen, wanted = hidden(x.to(place)), y.to(place)
            said = last(seen)
            _step(optimiser, nn.functional.mse_loss(said, wanted))
            missed = (wanted - said.detach())[:dreamed].square()
            logs = head(seen.detach()[:dreamed]).clamp(*LOG_VARIANCES)
            _step(beside, 0.5 * (logs + missed * torch.exp(-logs)).mean())

    for step in range(1, schedule.steps + 1):
        update(*draw(schedule.batch), schedule.batch)
        for one in rates:
            one.step()
        if step * schedule.checks % schedule.steps < schedule.checks:
            yield f"network, {step} steps"
    answers, latents = (torch.from_numpy(np.ascontiguousarray(side, np.float32)) for side in real)
    for group in (*optimiser.param_groups, *beside.param_groups):
        group["lr"] = schedule.learning_rate * _TUNING
    half = schedule.batch // 2
    for step in range(1, schedule.tuning + 1):
        chosen = torch.randint(len(answers), (half,), generator=random)
        x, y = draw(half)
        update(torch.cat([x, answers[chosen]]), torch.cat([y, latents[chosen]]), half)
        if step * schedule.checks % schedule.tuning < schedule.checks:
            yield f"network, {schedule.steps} steps and {step} on real trials"


def _step(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()

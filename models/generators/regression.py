r"""Training a generator by regression: the latents of every picture are known, so no critic is needed.

The loss of one picture, with :math:`A_k` the average over :math:`2^k \times 2^k` pixels:

.. math:: \sum_{k=0}^{3} w_k \lVert A_k G(z) - A_k x \rVert_1 + \lVert G(z) - x \rVert_2^2

both as means over pixels. The fine scale asks for sharp lashes; the coarse ones, where a lid that is half a
pixel off is still nearly right, give a gradient that points the way.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.devices import device_of, repeatable
from models.drawings.eye_pictures import Pictures

_SCALES = (1.0, 0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Curve:
    """A Curve holds the training and held-out loss, one entry per look at the held-out pictures."""

    step: tuple[int, ...]
    loss: tuple[float, ...]
    held_out_mae: tuple[float, ...]


def regress(
    generator: nn.Module,
    train: Pictures,
    held_out: Pictures,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    threads: int,
    device: str = "cpu",
    progress: Callable[[float, str], None],
) -> Curve:
    """Train `generator` in place; equal arguments and an equal number of threads give equal weights.

    Parameters
    ----------
    generator : nn.Module
        Maps ``(n, d)`` latents to ``(n, 3, size, size)`` in 0 to 1; its initial weights are the caller's.
    train, held_out : Pictures
        Training pictures, and held-out ones for its error.
    steps, batch : int
        Updates, and pictures per update.
    rate : float
        Peak learning rate of Adam; it rises for a tenth of the steps and falls along a cosine.
    seed : int
        Of the order in which pictures are drawn.
    threads : int
        Threads of torch; sums depend on how they are split, so the number is part of the configuration.
    device : str
        ``cpu`` or ``cuda``: where it learns; afterwards it is on the processor again.
    progress : callable
        Takes the share done and a line of text.
    """
    place = device_of(device)
    order = np.random.default_rng(seed)
    latents, images = torch.from_numpy(train.latents), _planes(train.images)
    generator.to(place)
    optimiser = torch.optim.Adam(generator.parameters(), lr=rate, betas=(0.9, 0.99))
    # The schedule divides by the steps of the rise less one: a tenth of ten is none.
    rise = 0.2 if steps == 10 else 0.1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=rise)
    look = max(1, steps // 20)
    seen: list[tuple[int, float, float]] = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        generator.train()
        for step in range(1, steps + 1):
            k = torch.from_numpy(order.choice(len(train), batch, replace=batch > len(train)))
            with repeatable(place):
                loss = picture_loss(generator(latents[k].to(place)), images[k].to(place).float() / 255.0)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            schedule.step()
            if step % look == 0 or step == steps:
                error = float(np.abs(predict(generator, held_out.latents) - held_out.images / 255.0).mean())
                seen.append((step, float(loss.detach()), error))
                progress(step / steps, f"generator: step {step} of {steps}, held-out error {error:.4f}")
    finally:
        generator.eval().cpu()
        torch.set_num_threads(before)
    return Curve(*(tuple(column) for column in zip(*seen, strict=True)))


def picture_loss(drawn: Tensor, wanted: Tensor, edges: float = 0.0) -> Tensor:
    """Return the mean loss of pictures in 0 to 1, both (n, 3, size, size); see the module.

    `edges` weighs the mean absolute error of the differences between neighbours, at the two finest scales.
    """
    loss = F.mse_loss(drawn, wanted)
    for k, weight in enumerate(_SCALES):
        if k:
            drawn, wanted = F.avg_pool2d(drawn, 2), F.avg_pool2d(wanted, 2)
        loss = loss + weight * F.l1_loss(drawn, wanted)
        if edges and k < 2:
            wrong = drawn - wanted
            loss = loss + edges * (wrong.diff(dim=2).abs().mean() + wrong.diff(dim=3).abs().mean())
    return loss


def predict(generator: nn.Module, latents: NDArray[np.float32], batch: int = 64) -> NDArray[np.float32]:
    """Draw many pictures: (n, d) to (n, size, size, 3) float32 in 0 to 1."""
    place = next(generator.parameters()).device
    with torch.no_grad():
        parts = [
            generator(torch.from_numpy(latents[i : i + batch]).to(place))
            for i in range(0, len(latents), batch)
        ]
    planes: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return planes.transpose(0, 2, 3, 1)


def _planes(images: NDArray[np.uint8]) -> Tensor:
    """(n, size, size, 3) uint8 to (n, 3, size, size) uint8."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

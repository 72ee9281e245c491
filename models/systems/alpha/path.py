"""A PathGenerator draws a one-dimensional path through a generator's latent space."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PathGenerator(nn.Module):
    """A PathGenerator draws a generator's pictures along a straight line: ``start + t · (end − start)``.

    Parameters
    ----------
    generator : nn.Module
        Maps ``(n, d)`` latents to pictures.
    start, end : sequence of float
        The latents at t = 0 and t = 1.
    """

    start: Tensor
    way: Tensor

    def __init__(self, generator: nn.Module, start: Sequence[float], end: Sequence[float]) -> None:
        super().__init__()
        if len(start) != len(end):
            raise ValueError(f"a path starts and ends in one space, got {len(start)} and {len(end)} latents")
        self.generator = generator
        self.register_buffer("start", torch.tensor(start, dtype=torch.float32))
        self.register_buffer("way", torch.tensor(end, dtype=torch.float32) - self.start)

    def forward(self, latent: Tensor) -> Tensor:
        """Draw.

        Parameters
        ----------
        latent : (n, 1)
            Position along the path; beyond 0 and 1 the path stands still.

        Returns
        -------
        (n, 3, size, size)
            What the generator draws there.
        """
        # One network call; nothing outside the range that it was trained on can reach it.
        picture: Tensor = self.generator(self.start + torch.clamp(latent, 0.0, 1.0) * self.way)
        return picture

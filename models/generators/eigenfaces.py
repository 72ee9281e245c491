"""An Eigenfaces draws the sum of principal components of pictures (Cowen et al. 2014); it encodes pictures too."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.generators.interface import ImageGenerator

Floats = NDArray[np.float64]


class Eigenfaces(ImageGenerator):
    """An Eigenfaces maps scores, in units of their deviation, to pictures.

    Parameters
    ----------
    latent : int
        Components; 512 as published.
    size : int
        Height and width of the pictures; 64 as published.
    """

    kind = "eigenfaces"
    output_range = (0.0, 1.0)
    mean: Tensor
    components: Tensor
    deviations: Tensor

    def __init__(self, latent: int = 512, size: int = 64) -> None:
        super().__init__()
        self.latent_size, self.image_size = latent, (size, size)
        self.register_buffer("mean", torch.zeros(3 * size * size))
        self.register_buffer("components", torch.zeros(latent, 3 * size * size))
        self.register_buffer("deviations", torch.ones(latent))

    @classmethod
    def of(cls, images: NDArray[np.uint8], latent: int) -> Self:
        """Fit to pictures, (n, size, size, 3).

        Raises
        ------
        ValueError
            If there are no more pictures than components.
        """
        if len(images) <= latent:
            raise ValueError(f"{latent} components need more pictures than that, came {len(images)}")
        rows = _rows(images)
        fitted = cls(latent, images.shape[1])
        mean = rows.mean(0)
        _, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
        for name, values in (
            ("mean", mean),
            ("components", axes[:latent]),
            ("deviations", sizes[:latent] / np.sqrt(len(rows))),
        ):
            getattr(fitted, name).copy_(torch.from_numpy(np.asarray(values, np.float32)))
        return fitted.eval()

    def encode(self, images: NDArray[np.uint8]) -> Floats:
        """Return the latents of pictures: (n, size, size, 3) to (n, d)."""
        mean, axes, spread = (
            getattr(self, name).numpy().astype(np.float64) for name in ("mean", "components", "deviations")
        )
        found: Floats = (_rows(images) - mean) @ axes.T / np.maximum(spread, 1e-12)
        return found

    def forward(self, latent: Tensor) -> Tensor:
        """Draw: (n, d) to (n, 3, size, size), about 0 to 1."""
        return self.layers(latent)[-1]

    def layers(self, latent: Tensor) -> list[Tensor]:
        """Return the picture, which is the only layer."""
        flat = self.mean + (latent * self.deviations) @ self.components
        return [flat.reshape(-1, 3, *self.image_size)]

    def settings(self) -> dict[str, Any]:
        """Return latent and size."""
        return {"latent": self.latent_size, "size": self.image_size[0]}


def _rows(images: NDArray[np.uint8]) -> Floats:
    """Return pictures as rows, planes first, 0 to 1."""
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1).astype(np.float64) / 255.0

"""Linear, as a kind of generator: principal components of pictures, found in closed form, without a critic."""

from functools import cache
from pathlib import Path
from typing import Any

from models.generators.kind import GeneratorKind, Learned, Progress


def network() -> Any:
    """Return the class of the network."""
    return _classes()[0]


def settings() -> Any:
    """Return the model of its training file."""
    return _classes()[1]


def learn(config: Any, source: Any, folder: Path, replicas: Any, progress: Progress) -> Learned:
    """Find mean and components of the training pictures."""
    import numpy as np
    import torch

    flat = source.train.transpose(0, 3, 1, 2).reshape(len(source.train), -1) / 127.5 - 1.0
    mean = flat.mean(0)
    _, spread, axes = np.linalg.svd(flat - mean, full_matrices=False)
    generator = network()(config.latent, config.size)
    weights = axes[: config.latent] * (spread[: config.latent, None] / len(flat) ** 0.5)
    with torch.no_grad():
        generator.plane.weight.copy_(torch.from_numpy(weights.T.copy()))
        generator.plane.bias.copy_(torch.from_numpy(mean))
    progress(1.0, "components found")
    explained = float((spread[: config.latent] ** 2).sum() / (spread**2).sum())
    return Learned(generator.eval(), [{"explained": explained}])


@cache
def _classes() -> tuple[Any, Any]:
    """Define what needs torch and pydantic once it is asked for."""
    import torch
    from pydantic import Field

    from models.generators.interface import ImageGenerator
    from models.generators.settings import PackageSettings, PictureSettings, RunSettings
    from models.settings import Section

    class LinearGenerator(ImageGenerator):
        kind = "linear"

        def __init__(self, latent: int, size: int) -> None:
            super().__init__()
            self.latent_size, self.image_size = latent, (size, size)
            self.plane = torch.nn.Linear(latent, 3 * size * size)

        def forward(self, latent: torch.Tensor) -> torch.Tensor:
            return self.plane(latent).reshape(-1, 3, *self.image_size)

        def layers(self, latent: torch.Tensor) -> list[torch.Tensor]:
            return [self(latent)]

        def settings(self) -> dict[str, Any]:
            return {"latent": self.latent_size, "size": self.image_size[0]}

    class LinearConfig(Section):
        kind: str
        name: str
        title: str = ""
        seed: int = 0
        pictures: PictureSettings
        latent: int = Field(ge=1)
        size: int = Field(ge=8)
        run: RunSettings = RunSettings()
        package: PackageSettings = PackageSettings()

        @property
        def fewest(self) -> int:
            return self.latent + 1

    return LinearGenerator, LinearConfig


KIND = GeneratorKind(
    kind="linear",
    about="a mean picture and its principal components",
    network=network,
    settings=settings,
    learn=learn,
)

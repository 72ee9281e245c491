"""A generator of coloured gradients, small enough to see through."""

from pathlib import Path

import torch

from bci.decoder.spec import ImageSpec
from models.export import export_generator
from models.generators.package import save_package
from models.generators.spec import GeneratorSpec

LATENT, SIDE = 3, 64


class Blobs(torch.nn.Module):
    """Pictures of three coloured gradients whose strengths are the latent."""

    def __init__(self) -> None:
        super().__init__()
        across = torch.linspace(-1, 1, SIDE)
        x, y = across[None, :].expand(SIDE, SIDE), across[:, None].expand(SIDE, SIDE)
        planes = torch.stack(
            [torch.stack([x, y, x * y]), torch.stack([y, -x, x]), torch.stack([x * y, y, -y])]
        )
        self.register_buffer("planes", planes.reshape(LATENT, -1))

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.tanh(latent @ self.planes).reshape(-1, 3, SIDE, SIDE)


def save_blobs(folder: Path) -> None:
    """Write its package."""
    spec = GeneratorSpec(
        name="blobs",
        architecture={},
        latent=LATENT,
        image=ImageSpec(height=SIDE, width=SIDE, low=-1.0, high=1.0),
    )
    graph = export_generator(Blobs().eval(), LATENT, any_batch=True)
    save_package(folder, spec, {"generator.onnx": graph, "card.md": "blobs"})

"""Upsampling, as a kind of generator: fitted by regression inside the systems that know every picture's latent."""

from typing import Any

from models.generators.kind import GeneratorKind


def network() -> Any:
    """Return the class of the network."""
    from models.generators.upsampling import UpsamplingGenerator

    return UpsamplingGenerator


KIND = GeneratorKind(
    kind="upsampling",
    about="repeated pixels and convolutions, every stage moved by the latents",
    network=network,
)

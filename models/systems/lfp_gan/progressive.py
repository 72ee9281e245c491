"""EEG-GAN (Hartmann, Schirrmeister and Ball 2018): a generator and a critic that double the window, block by block.

Every block of the generator doubles the length by linear interpolation and convolves twice; the critic convolves and
halves it, from the other end. While a block is faded in, its output is mixed with the doubled one of the block before.
Real windows of a shorter block are means over neighbours. A window whose length is no power of two times a base is the
middle of one that is: what lies beyond, where the padding of convolutions is felt, is trimmed.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from bci.errors import ConfigError
from models.systems.lfp_gan.networks import SLOPE, require_no_batch_norm

KERNEL = 9


class ScaledConv(nn.Module):
    """A ScaledConv is a convolution whose weights are scaled when it runs, so that all learn alike."""

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = 2.0 / (1 + SLOPE**2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = math.sqrt(gain / (inputs * kernel))

    def forward(self, values: Tensor) -> Tensor:
        """Convolve, keeping the length."""
        result: Tensor = functional.conv1d(
            values, self.weight * self.scale, self.bias, padding=self.weight.shape[2] // 2
        )
        return result


def pixel_norm(values: Tensor) -> Tensor:
    """Return values with a mean square of one over channels, at each place."""
    return values / (values.square().mean(1, keepdim=True) + 1e-8).sqrt()


def doubled(values: Tensor) -> Tensor:
    """Return values, (n, channels, length), interpolated to twice the length."""
    return functional.interpolate(values, scale_factor=2.0, mode="linear", align_corners=False)


def halved(values: Tensor, times: int = 1) -> Tensor:
    """Return means over 2 to the power of `times` neighbours."""
    return functional.avg_pool1d(values, 2**times) if times else values


class _Block(nn.Module):
    """Two convolutions."""

    def __init__(self, inputs: int, maps: int, normalised: bool) -> None:
        super().__init__()
        self.first, self.second = ScaledConv(inputs, maps, KERNEL), ScaledConv(maps, maps, KERNEL)
        self.normalised = normalised

    def forward(self, values: Tensor) -> Tensor:
        for layer in (self.first, self.second):
            values = functional.leaky_relu(layer(values), SLOPE)
            if self.normalised:
                values = pixel_norm(values)
        return values


def base_length(length: int, blocks: int) -> int:
    """Return the length before the first block, so that the last gives `length` or little more.

    Raises
    ------
    ConfigError
        If the window is too short for so many blocks.

    Examples
    --------
    >>> base_length(768, 6), base_length(313, 5)
    (12, 10)
    """
    base = math.ceil(length / 2**blocks)
    if base < 2:
        raise ConfigError(
            f"expected a window that {blocks} blocks halve down to two samples or more, came {length} samples. Use "
            "fewer blocks, or longer windows."
        )
    return base


class ProgressiveGenerator(nn.Module):
    """A ProgressiveGenerator makes windows of noise: (n, latent) to (n, channels, length of the block).

    Attributes
    ----------
    block : int
        The last block that is used, from 0.
    share : float
        Of that block in the output; below 1 while it is faded in.
    """

    def __init__(self, channels: int, length: int, blocks: int, maps: int, latent: int) -> None:
        super().__init__()
        self.length, self.latent, self.maps = length, latent, maps
        self.base = base_length(length, blocks)
        self.dense = nn.Linear(latent, maps * self.base)
        self.blocks = nn.ModuleList(_Block(maps, maps, normalised=True) for _ in range(blocks))
        self.outputs = nn.ModuleList(ScaledConv(maps, channels, 1, gain=1.0) for _ in range(blocks))
        self.block, self.share = blocks - 1, 1.0

    def forward(self, noise: Tensor) -> Tensor:
        """Return windows; of the last block their middle, as long as windows are."""
        values = functional.leaky_relu(self.dense(pixel_norm(noise)), SLOPE).unflatten(
            1, (self.maps, self.base)
        )
        before = values
        for number in range(self.block + 1):
            before, values = values, self.blocks[number](doubled(values))
        windows: Tensor = self.outputs[self.block](values)
        if self.share < 1 and self.block:
            windows = self.share * windows + (1 - self.share) * doubled(self.outputs[self.block - 1](before))
        return trimmed(windows, self.length) if self.block == len(self.blocks) - 1 else windows


class ProgressiveCritic(nn.Module):
    """A ProgressiveCritic gives one value for each window, (n, channels, length of the block) to (n,).

    Attributes
    ----------
    block, share
        As of `ProgressiveGenerator`; the shortest block is number 0.
    """

    def __init__(self, channels: int, length: int, blocks: int, maps: int) -> None:
        super().__init__()
        self.base = base_length(length, blocks)
        self.full = self.base * 2**blocks
        self.inputs = nn.ModuleList(ScaledConv(channels, maps, 1) for _ in range(blocks))
        self.blocks = nn.ModuleList(_Block(maps, maps, normalised=False) for _ in range(blocks))
        self.verdict = nn.Linear(maps * self.base, 1)
        self.block, self.share = blocks - 1, 1.0
        require_no_batch_norm(self)

    def forward(self, windows: Tensor) -> Tensor:
        """Return one value for each."""
        windows = widened(windows, self.base * 2 ** (self.block + 1))
        values = functional.leaky_relu(self.inputs[self.block](windows), SLOPE)
        values = halved(self.blocks[self.block](values))
        if self.share < 1 and self.block:
            other = functional.leaky_relu(self.inputs[self.block - 1](halved(windows)), SLOPE)
            values = self.share * values + (1 - self.share) * other
        for number in range(self.block - 1, -1, -1):
            values = halved(self.blocks[number](values))
        verdict: Tensor = self.verdict(values.flatten(1))
        return verdict.squeeze(1)


def trimmed(windows: Tensor, length: int) -> Tensor:
    """Return the middle of windows."""
    before = (windows.shape[2] - length) // 2
    return windows[:, :, before : before + length]


def widened(windows: Tensor, length: int) -> Tensor:
    """Return windows with their first and last sample repeated at both ends, up to a length."""
    missing = length - windows.shape[2]
    return (
        functional.pad(windows, (missing // 2, missing - missing // 2), mode="replicate")
        if missing
        else windows
    )


def at_block(windows: Tensor, block: int, blocks: int, base: int) -> Tensor:
    """Return real windows as long as a block's, means over neighbours."""
    if block == blocks - 1:
        return windows
    return halved(widened(windows, base * 2**blocks), blocks - 1 - block)

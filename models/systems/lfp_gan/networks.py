"""The networks of LFP-GAN, built from its tables: encoders, decoders, the generator, and the critic.

Every normalisation is within one sample (layer norm): batch norm would let a sample's verdict depend on its
neighbours, and the penalty on a critic's slope speaks of one sample alone. The encoders of the autoencoders enter the
critic as they are, so they have layer norm from the start.
"""

import math
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional

from bci.errors import ConfigError
from models.systems.lfp_gan.tables import CODE, Layer, Table, across, require_join

SLOPE, EPSILON = 0.2, 1e-5
#: The smallest deviation of a window that is divided by.
LEAST_DEVIATION = 1e-4
#: From so many samples on a kernel is long.
_LONG = 16


class SampleNorm(nn.Module):
    """A SampleNorm standardises each sample over channels and places, then scales every channel (layer norm)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Return them standardised: (n, channels, …)."""
        dims = tuple(range(1, values.ndim))
        centred = values - values.mean(dims, keepdim=True)
        scaled = centred / torch.sqrt(centred.square().mean(dims, keepdim=True) + EPSILON)
        wide = (1, -1) + (1,) * (values.ndim - 2)
        result: Tensor = scaled * self.gain.view(wide) + self.bias.view(wide)
        return result


class Stack(nn.Module):
    """A Stack is the layers of one table, each followed by layer norm and a leaky rectifier, but for the last.

    Parameters
    ----------
    table : Table
    open_end : bool
        Whether the last layer is left as it is; with False it too is standardised and rectified.
    """

    def __init__(self, table: Table, open_end: bool = True) -> None:
        super().__init__()
        self.table, self.open_end = table, open_end
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        channels = table.channels
        for k, layer in enumerate(table.layers):
            self.convolutions.append(_convolution(channels, layer))
            last = open_end and k + 1 == len(table.layers)
            self.norms.append(nn.Identity() if last else SampleNorm(layer.channels))
            channels = layer.channels

    def forward(self, values: Tensor) -> Tensor:
        """Return what the table says: (n, channels, *size) to (n, *table.gives)."""
        expected = (self.table.channels, *self.table.size)
        if tuple(values.shape[1:]) != expected:
            raise ConfigError(
                f"{self.table.name} takes samples of {across(expected)}, came {across(values.shape[1:])}."
            )
        for k, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            values = norm(_apply(self.table.layers[k], convolution, values))
            if not self.open_end or k + 1 < len(self.convolutions):
                values = functional.leaky_relu(values, SLOPE)
        return values


def _convolution(channels: int, layer: Layer) -> nn.Module:
    flat = len(layer.kernel) == 1
    kernel, moves = layer.kernel, (layer.stride, layer.padding)
    if layer.transposed:
        wide = (nn.ConvTranspose1d if flat else nn.ConvTranspose2d)(
            channels, layer.channels, kernel, *moves, layer.output_padding
        )
        inputs = channels * math.prod(kernel) / layer.stride ** len(kernel)
    else:
        wide = (nn.Conv1d if flat else nn.Conv2d)(channels, layer.channels, kernel, *moves)
        inputs = channels * math.prod(kernel)
    nn.init.normal_(wide.weight, 0.0, (2 / (1 + SLOPE**2) / inputs) ** 0.5)
    nn.init.zeros_(wide.bias)
    return wide


def _apply(layer: Layer, convolution: Any, values: Tensor) -> Tensor:
    """Convolve; with a long kernel by way of the spectrum, which gives the same in a fraction of the time."""
    if len(layer.kernel) > 1 or layer.kernel[0] < _LONG or layer.stride > 1 or layer.padding:
        given: Tensor = convolution(values)
        return given
    weight, kernel, length = convolution.weight, layer.kernel[0], values.shape[2]
    end = length + kernel - 1 if layer.transposed else length - kernel + 1
    long = next_fast_len(max(length, end), True)
    filters = torch.fft.rfft(weight, long)
    filters = filters.permute(2, 0, 1) if layer.transposed else filters.conj().permute(2, 1, 0)
    # Frequency first and contiguous: a batched product of strided complex matrices copies them one by one.
    spectrum = torch.fft.rfft(values, long).permute(2, 0, 1).contiguous()
    product = torch.bmm(spectrum, filters.resolve_conj().contiguous()).permute(1, 2, 0)
    result: Tensor = torch.fft.irfft(product, long)[..., :end] + convolution.bias[:, None]
    return result


def standardise(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Return windows (n, channels, length) with mean 0 and deviation 1 in each, and the deviations (n, 1, 1).

    Examples
    --------
    >>> shape, deviation = standardise(torch.tensor([[[1.0, 3.0], [1.0, 3.0]]]))
    >>> shape[0, 0].tolist(), float(deviation)
    ([-1.0, 1.0], 1.0)
    """
    centred = windows - windows.mean((1, 2), keepdim=True)
    deviation = centred.square().mean((1, 2), keepdim=True).clamp(min=LEAST_DEVIATION**2).sqrt()
    return centred / deviation, deviation


def with_deviation(windows: Tensor) -> Tensor:
    """Return standardised windows with the logarithm of their deviation as one channel more: table 4.1's input."""
    shape, deviation = standardise(windows)
    return torch.cat([shape, deviation.log().expand(-1, 1, windows.shape[2])], 1)


class SignalEncoder(nn.Module):
    """A SignalEncoder maps windows (n, channels, length) to codes (n, 10, 115)."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.stack = Stack(table)

    def forward(self, windows: Tensor) -> Tensor:
        """Return codes."""
        code: Tensor = self.stack(with_deviation(windows))
        return code


class ImageEncoder(nn.Module):
    """An ImageEncoder maps images (n, 1, height, width), 0 to 1, to codes (n, 2, 115): 5 × 23 places in a row."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.stack = Stack(table)
        if math.prod(table.gives[1]) != CODE:
            raise ConfigError(f"{table.name} gives {across(table.gives[1])}, expected 5×23 = {CODE} places.")

    def forward(self, images: Tensor) -> Tensor:
        """Return codes."""
        code: Tensor = self.stack(2 * images - 1)
        return code.flatten(2)


class ImageDecoder(nn.Module):
    """An ImageDecoder maps codes (n, 2, 115) to images (n, 1, height, width), 0 to 1."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.stack = Stack(table)

    def forward(self, codes: Tensor) -> Tensor:
        """Return images; nothing is standardised behind the sigmoid."""
        return torch.sigmoid(self.stack(codes.unflatten(2, self.stack.table.size)))


class Generator(nn.Module):
    """A Generator makes windows of noise and of an image's code: (n, 8, length), (n, 2, 115) to (n, channels, length).

    The noise network's code and the image's are joined and decoded; the window's deviation is drawn from the same
    noise, for the decoder was pretrained on standardised windows.

    Raises
    ------
    ConfigError
        If the noise network and the image do not give the decoder's channels.
    """

    def __init__(self, noise: Table, image: Table, decoder: Table) -> None:
        super().__init__()
        require_join(decoder, noise, image)
        self.noise, self.decoder = Stack(noise), Stack(decoder)
        self.deviation = nn.Linear(decoder.channels, 1)
        nn.init.normal_(self.deviation.weight, 0.0, 0.1)
        nn.init.zeros_(self.deviation.bias)

    @property
    def noise_shape(self) -> tuple[int, int]:
        """Channels and samples of the noise of one window."""
        return self.noise.table.channels, self.noise.table.size[0]

    def forward(self, noise: Tensor, codes: Tensor) -> Tensor:
        """Return windows."""
        code = torch.cat([self.noise(noise), codes], 1)
        windows: Tensor = self.decoder(code) * self.deviation(code.mean(2)).unsqueeze(2).exp()
        return windows

    def draw(self, n: int, random: torch.Generator) -> Tensor:
        """Return noise for `n` windows."""
        return torch.randn(n, *self.noise_shape, generator=random)


class Critic(nn.Module):
    """A Critic gives one value for each window with its image: (n, channels, length), (n, 1, height, width) to (n,).

    Raises
    ------
    ConfigError
        If the codes do not fit the combination network, or a part has batch norm.
    """

    def __init__(self, signal: Table, image: Table, combination: Table) -> None:
        super().__init__()
        require_join(combination, signal, image)
        self.signal, self.image = SignalEncoder(signal), ImageEncoder(image)
        self.combination = Stack(combination, open_end=False)
        maps, size = combination.gives
        self.verdict = nn.Linear(maps * math.prod(size), 1)
        require_no_batch_norm(self)

    def forward(self, windows: Tensor, images: Tensor) -> Tensor:
        """Return one value for each."""
        return self.judge(windows, self.image(images))

    def judge(self, windows: Tensor, codes: Tensor) -> Tensor:
        """Return the same where the images' codes are known, (n, 2, 115)."""
        both = torch.cat([self.signal(windows), codes], 1)
        value: Tensor = self.verdict(self.combination(both).flatten(1))
        return value.squeeze(1)


def require_no_batch_norm(critic: nn.Module) -> None:
    """Refuse a critic whose verdict on one sample depends on others.

    Raises
    ------
    ConfigError
        Naming the layers.
    """
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    found = [name for name, part in critic.named_modules() if isinstance(part, kinds)]
    if found:
        raise ConfigError(
            f"expected a critic that judges each sample by itself, came batch norm in {', '.join(found)}. Use layer "
            "norm, or fold its frozen statistics into the convolutions."
        )

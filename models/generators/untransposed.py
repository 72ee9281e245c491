"""Transposed convolutions as plain ones, for cards: the kernels of a transposed one need not repeat their bits there.

A transposed convolution of kernel 4, stride 2 and padding 1 draws two rows of pixels from two rows of its input: one
convolution of kernel 2 gives all four pixels of a square as channels, `PixelShuffle` (ONNX's DepthToSpace) puts them
in their places, and the rim is cut off. On a single pixel, a transposed convolution is a matrix. Both hold every weight
once and none that is zero; sums differ in their order alone.
"""

import copy

import torch
from torch import Tensor, nn


class Unfolded(nn.Module):
    """An Unfolded is a transposed convolution done by a plain one.

    Parameters
    ----------
    layer : nn.ConvTranspose2d
        Of kernel 4, stride 2, padding 1; or of stride 1 without padding, which is then given single pixels.

    Raises
    ------
    ValueError
        If it is another.
    """

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        weight = layer.weight.detach()  # (in, out, rows, columns)
        taken, given, kernel, _ = weight.shape
        shape = (
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.output_padding,
            layer.groups,
        )
        self._doubles = shape == ((4, 4), (2, 2), (1, 1), (1, 1), (0, 0), 1)
        if self._doubles:
            # Of each square, the row of the kernel that each row of the input meets.
            rows = torch.tensor([[2, 0], [3, 1]])
            weight = weight[:, :, rows][..., rows].permute(1, 2, 4, 0, 3, 5)
            self.plain = nn.Conv2d(taken, 4 * given, 2, padding=1)
            self.shuffle = nn.PixelShuffle(2)
        elif shape == ((kernel, kernel), (1, 1), (0, 0), (1, 1), (0, 0), 1):
            weight = weight.permute(1, 2, 3, 0)
            self.plain = nn.Conv2d(taken, kernel**2 * given, 1)
            self.shuffle = nn.PixelShuffle(kernel)
        else:
            raise ValueError(
                f"expected a transposed convolution that doubles (kernel 4, stride 2, padding 1) or spreads one pixel "
                f"(stride 1, no padding), came {layer}. Export it as it is: for_card = false."
            )
        bias = torch.zeros(given) if layer.bias is None else layer.bias.detach()
        with torch.no_grad():
            self.plain.weight.copy_(weight.reshape(self.plain.weight.shape))
            assert self.plain.bias is not None
            self.plain.bias.copy_(bias.repeat_interleave(len(self.plain.bias) // given))

    def forward(self, picture: Tensor) -> Tensor:
        """Return (n, out, 2·height, 2·width), or of single pixels (n, out, kernel, kernel)."""
        squares: Tensor = self.shuffle(self.plain(picture))
        return squares[:, :, 1:-1, 1:-1] if self._doubles else squares


def untransposed(network: nn.Module) -> nn.Module:
    """Return a copy of a network without transposed convolutions, that draws the same to the rounding of sums.

    Raises
    ------
    ValueError
        If it holds one of a kind that `Unfolded` does not know.
    """
    copied = copy.deepcopy(network).eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ConvTranspose2d):
                setattr(parent, name, Unfolded(child))
    return copied

"""Architectures of convolutional networks as data: what each layer is, and what a file of weights calls it.

The layers before the dense ones, which is what comparators and decoded features need: AlexNet as torchvision trains it
(Krizhevsky 2014), CaffeNet as the Caffe model zoo has it (two groups, local response normalisation; blue first, levels
from 0 to 255), VGG-16 and VGG-19 (Simonyan & Zisserman 2015), and a small one of ours for pictures of 64².
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Convolution:
    """A Convolution is one layer of weights, with a rectifier behind it.

    Attributes
    ----------
    name : str
        What its activation is called.
    key : str
        Beginning of its weights' names in a file: ``KEY.weight``, ``KEY.bias``.
    channels : int
        That it gives.
    kernel, stride, padding, groups : int
        As usual, the same along height and width.
    """

    name: str
    key: str
    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """A Pool takes the largest value of each square; `up` rounds the number of squares up, as Caffe does."""

    name: str
    kernel: int = 2
    stride: int = 2
    up: bool = False


@dataclass(frozen=True, slots=True)
class Normalisation:
    """A Normalisation divides by the activity of five neighbouring channels (Krizhevsky et al. 2012)."""

    name: str


Layer = Convolution | Pool | Normalisation


@dataclass(frozen=True, slots=True)
class Architecture:
    """An Architecture is a network's layers in order, and how it wants its pictures.

    Attributes
    ----------
    name : str
    layers : tuple of Layer
    mean, deviation : three floats each
        Red, green, blue: what pictures from 0 to 1 are normalised by.
    blue_first : bool
        Whether the first weights were trained on blue, green, red.
    side : int
        Pixels of the pictures that it was trained on.
    """

    name: str
    layers: tuple[Layer, ...]
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    side: int
    blue_first: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What its activations are called, in order."""
        return tuple(layer.name for layer in self.layers)

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of its pools, in order."""
        return tuple(layer.name for layer in self.layers if isinstance(layer, Pool))


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
#: Of Caffe: mean levels of red, green and blue are taken away, and nothing is divided but by a level.
_CAFFE = ((123 / 255, 117 / 255, 104 / 255), (1 / 255, 1 / 255, 1 / 255))


def _alexnet() -> tuple[Layer, ...]:
    return (
        Convolution("conv1", "features.0", 64, 11, 4, 2),
        Pool("pool1", 3),
        Convolution("conv2", "features.3", 192, 5, 1, 2),
        Pool("pool2", 3),
        Convolution("conv3", "features.6", 384),
        Convolution("conv4", "features.8", 256),
        Convolution("conv5", "features.10", 256),
        Pool("pool5", 3),
    )


def _caffenet() -> tuple[Layer, ...]:
    return (
        Convolution("conv1", "conv1", 96, 11, 4, 0),
        Pool("pool1", 3, up=True),
        Normalisation("norm1"),
        Convolution("conv2", "conv2", 256, 5, 1, 2, groups=2),
        Pool("pool2", 3, up=True),
        Normalisation("norm2"),
        Convolution("conv3", "conv3", 384),
        Convolution("conv4", "conv4", 384, groups=2),
        Convolution("conv5", "conv5", 256, groups=2),
        Pool("pool5", 3, up=True),
    )


def _stacked(blocks: Sequence[Sequence[int]]) -> tuple[Layer, ...]:
    """Return blocks of 3 × 3 convolutions, a pool behind each; names of weights as torchvision counts layers."""
    layers: list[Layer] = []
    place = 0
    for block, widths in enumerate(blocks, 1):
        for number, channels in enumerate(widths, 1):
            layers.append(Convolution(f"conv{block}_{number}", f"features.{place}", channels))
            place += 2  # a rectifier stands between
        layers.append(Pool(f"pool{block}"))
        place += 1
    return tuple(layers)


#: Every architecture by its name.
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        one.name: one
        for one in (
            Architecture("small", _stacked([[16], [32], [64], [128]]), (0.5,) * 3, (0.25,) * 3, 64),
            Architecture("alexnet", _alexnet(), *_IMAGENET, 224),
            Architecture("caffenet", _caffenet(), *_CAFFE, 227, blue_first=True),
            Architecture(
                "vgg16", _stacked([[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3]), *_IMAGENET, 224
            ),
            Architecture(
                "vgg19", _stacked([[64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4]), *_IMAGENET, 224
            ),
        )
    }
)

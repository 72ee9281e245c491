"""The networks of Shen et al. (2019, Frontiers) as data, at the published size or smaller by one factor.

The generator: three dense layers of 4096 units, 256 maps of 4 × 4, then nine transposed convolutions, six of which
double the picture, to 256², whose middle of 227² is kept. The discriminator: five convolutions, their mean over places,
two dense layers. A `width` below one narrows every layer; a smaller picture needs fewer doublings, and the
discriminator a shorter first stride.
"""

from dataclasses import dataclass

from bci.errors import ConfigError

#: Of the paper: the picture's side, the units of a dense layer, the values of a picture and of CaffeNet's pool5.
SIDE, DENSE = 227, 4096
PICTURE_VALUES, FEATURE_VALUES = 3 * SIDE**2, 256 * 6 * 6

#: Side of the first maps.
_FIRST = 4
#: Maps behind each doubling, and behind the convolution of stride 1 that follows it; None where none does.
_STAGES: tuple[tuple[int, int | None], ...] = ((256, 512), (256, 256), (128, 128), (64, None), (32, None))
#: The discriminator's convolutions: kernel, stride, maps. The first stride is shorter for smaller pictures.
_JUDGING = ((7, 4, 32), (5, 1, 64), (3, 2, 128), (3, 1, 256), (3, 2, 256))
_JUDGING_DENSE = 256
#: Slope of leaky rectifiers below zero, and the share of units that the discriminator leaves out.
SLOPE, DROPOUT = 0.3, 0.5


@dataclass(frozen=True, slots=True)
class Convolution:
    """A Convolution has square kernels; `doubles` says that it is transposed, of stride 2, and doubles the picture."""

    kernel: int
    stride: int
    maps: int
    doubles: bool = False


@dataclass(frozen=True, slots=True)
class GeneratorPlan:
    """A GeneratorPlan says what the generator's layers are.

    Attributes
    ----------
    dense : tuple of int
        Units of the dense layers; the last one's are the latent.
    maps, first : int
        Maps that the latent is laid out to, and their side.
    convolutions : tuple of Convolution
        The last gives the picture's three colours.
    drawn, side : int
        Side of what they draw, and of its middle, the picture.
    """

    dense: tuple[int, ...]
    maps: int
    first: int
    convolutions: tuple[Convolution, ...]
    drawn: int
    side: int

    @property
    def latent(self) -> int:
        """How many values the last dense layer has."""
        return self.dense[-1]


@dataclass(frozen=True, slots=True)
class DiscriminatorPlan:
    """A DiscriminatorPlan says what the discriminator's layers are.

    Attributes
    ----------
    convolutions : tuple of Convolution
        Without padding.
    pool : int
        Side of what they give, all of which is averaged.
    dense : int
        Units before the last two.
    """

    convolutions: tuple[Convolution, ...]
    pool: int
    dense: int


def plan_generator(side: int = SIDE, width: float = 1.0) -> GeneratorPlan:
    """Return the generator for pictures of a side.

    Parameters
    ----------
    side : int
        Pixels, 16 to 256.
    width : float
        Factor of every layer's units and maps.

    Raises
    ------
    ConfigError
        If the picture is too small or too large.

    Examples
    --------
    >>> plan = plan_generator()
    >>> plan.dense, plan.maps, len(plan.convolutions), plan.drawn, plan.side
    ((4096, 4096, 4096), 256, 9, 256, 227)
    >>> [one.maps for one in plan_generator(64, 1 / 16).convolutions]
    [16, 32, 16, 16, 8, 8, 3]
    """
    doublings = next((n for n in range(2, len(_STAGES) + 2) if _FIRST * 2**n >= side), None)
    if doublings is None or side < 4 * _FIRST:
        raise ConfigError(
            f"expected pictures with a side of 16 to {_FIRST * 2 ** (len(_STAGES) + 1)} pixels, came {side}. Resize "
            "them."
        )
    maps = _narrowed(256, width)
    convolutions: list[Convolution] = []
    for doubled, kept in _STAGES[: doublings - 1]:
        convolutions.append(Convolution(4, 2, _narrowed(doubled, width), doubles=True))
        if kept is not None:
            convolutions.append(Convolution(3, 1, _narrowed(kept, width)))
    convolutions.append(Convolution(4, 2, 3, doubles=True))
    dense = _narrowed(DENSE, width)
    return GeneratorPlan(
        (dense, dense, maps * _FIRST**2), maps, _FIRST, tuple(convolutions), _FIRST * 2**doublings, side
    )


def plan_discriminator(side: int = SIDE, width: float = 1.0) -> DiscriminatorPlan:
    """Return the discriminator for pictures of a side; the first stride is the longest up to 4 that leaves some.

    Raises
    ------
    ConfigError
        If the picture is too small.

    Examples
    --------
    >>> plan_discriminator().pool, plan_discriminator(64).convolutions[0].stride
    (11, 4)
    """
    for first in (4, 2, 1):
        strides = (first, *(stride for _, stride, _ in _JUDGING[1:]))
        pool = side
        for (kernel, _, _), stride in zip(_JUDGING, strides, strict=True):
            pool = (pool - kernel) // stride + 1 if pool >= kernel else 0
        if pool > 0:
            layers = tuple(
                Convolution(kernel, stride, _narrowed(maps, width))
                for (kernel, _, maps), stride in zip(_JUDGING, strides, strict=True)
            )
            return DiscriminatorPlan(layers, pool, _narrowed(_JUDGING_DENSE, width))
    raise ConfigError(f"expected pictures with a side of 19 pixels or more, came {side}. Resize them.")


def _narrowed(units: int, width: float) -> int:
    return max(8, round(units * width))

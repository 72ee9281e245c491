"""The networks of LFP-GAN as data: tables 4.1 to 4.4 of the thesis, corrected, with the arithmetic that proves them.

A `Table` whose stated lengths its kernels do not give cannot be built; the error names both. What was printed and what
is right:

=========================  =============================  ===========================================================
where                      printed                        here
=========================  =============================  ===========================================================
4.1                        313 … 115 … 313                as printed; 23 channels in (22 and the deviation), 22 out
4.2 encoder 3, decoder 8   119 × 263                      199 × 263
4.2 decoder 4              72 × 122 from 5 × 5, stride 2  with ``output_padding`` 1
4.2 decoder 10             475 × 603 from 20², stride 2   with ``output_padding`` 1; layer 11 is then 918 × 1174
4.2 decoder 11             batch norm after the sigmoid   none
4.3 layer 2                kernel 30                      kernel 40: 277 to 238
4.4 layer 1                10 channels in                 12: 10 of the signal, 2 of the image
join of the generator      2 + 10 channels into 10        the noise network ends in 8
image code                 3 × 23 = 115                   5 × 23
=========================  =============================  ===========================================================

Of a layer that none of these rows speaks of, the kernel and the number of channels are ours, chosen so that every
stated length follows: equal kernels of 23 in 4.1; in 4.2 a first kernel of 30² with padding 30, which the lengths leave
no choice about, 30² from layer 3 on, and oblong ones where height and width shrink by different amounts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bci.errors import ConfigError

#: Samples of a window, 0.25 s at 1250 Hz; channels of the probe; length and channels of the code.
LENGTH, CHANNELS, CODE, CODE_CHANNELS = 313, 22, 115, 10
#: Of the images: height and width, the code's, and its channels.
PUBLISHED_IMAGE, IMAGE_CODE, IMAGE_CHANNELS = (918, 1174), (5, 23), 2
#: What the noise network ends in, so that it and the image's code are the signal's code.
NOISE_CHANNELS = CODE_CHANNELS - IMAGE_CHANNELS
#: Layers of 4.1, each way, and of smaller images.
SIGNAL_LAYERS, SMALL_LAYERS = 9, 3
#: The largest small image, height and width: its kernels would be larger than published ones.
LARGEST_SMALL = (64, 96)

Size = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A Layer is one convolution: its kernel, how it moves, and the channels and the size that it is stated to give.

    Attributes
    ----------
    channels : int
        That it gives.
    kernel : tuple of int
        An entry for each dimension, as of `size`.
    size : tuple of int
        That it is stated to give.
    stride, padding, output_padding : int
        Alike in every dimension.
    transposed : bool
        Whether it enlarges.
    """

    channels: int
    kernel: Size
    size: Size
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    transposed: bool = False

    def gives(self, size: Size) -> Size:
        """Return the size that it makes of another.

        Examples
        --------
        >>> Layer(1, (20, 20), (), 2).gives((475, 603))
        (228, 292)
        >>> Layer(1, (20, 20), (), 2, output_padding=1, transposed=True).gives((228, 292))
        (475, 603)
        """
        if self.transposed:
            return tuple(
                (n - 1) * self.stride - 2 * self.padding + k + self.output_padding
                for n, k in zip(size, self.kernel, strict=True)
            )
        return tuple(
            (n + 2 * self.padding - k) // self.stride + 1 for n, k in zip(size, self.kernel, strict=True)
        )

    def __str__(self) -> str:
        kind = "transposed convolution" if self.transposed else "convolution"
        more = [f"padding {self.padding}"] * bool(self.padding)
        more += [f"output_padding {self.output_padding}"] * bool(self.output_padding)
        return ", ".join([f"a {kind} of kernel {across(self.kernel)}, stride {self.stride}", *more])


@dataclass(frozen=True, slots=True)
class Table:
    """A Table is one network: what goes in, and its layers.

    Attributes
    ----------
    name : str
        For errors.
    channels, size : int, tuple of int
        Of what goes in.
    layers : tuple of Layer

    Raises
    ------
    ConfigError
        If a layer does not give the size that it states.

    Examples
    --------
    >>> try:
    ...     Table("4.3", 8, (277,), (Layer(8, (30,), (238,)),))
    ... except ConfigError as error:
    ...     print(error)
    4.3, layer 1: a convolution of kernel 30, stride 1 makes 248 of 277, the table states 238. Correct one of them.
    """

    name: str
    channels: int
    size: Size
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        size = self.size
        for number, layer in enumerate(self.layers, 1):
            given = layer.gives(size)
            if given != layer.size or min(given) < 1:
                raise ConfigError(
                    f"{self.name}, layer {number}: {layer} makes {across(given)} of {across(size)}, the table states "
                    f"{across(layer.size)}. Correct one of them."
                )
            size = given

    @property
    def gives(self) -> tuple[int, Size]:
        """Channels and size that come out."""
        return self.layers[-1].channels, self.layers[-1].size

    @property
    def sizes(self) -> list[Size]:
        """The size that each layer gives."""
        return [layer.size for layer in self.layers]


def across(size: Sequence[int]) -> str:
    """Return a size in words.

    >>> across((5, 23))
    '5×23'
    """
    return "×".join(map(str, size))


def require_join(into: Table, *parts: Table) -> None:
    """Refuse parts that do not fit, put together, into another table.

    Raises
    ------
    ConfigError
        Naming the channels or the values of both sides.
    """
    channels = sum(part.gives[0] for part in parts)
    if channels != into.channels:
        each = " + ".join(str(part.gives[0]) for part in parts)
        raise ConfigError(
            f"{into.name} takes {into.channels} channels, {' and '.join(part.name for part in parts)} give {each} = "
            f"{channels}. Change one of them."
        )
    for part in parts:
        if math.prod(part.gives[1]) != math.prod(into.size):
            raise ConfigError(
                f"{into.name} takes codes of {across(into.size)}, {part.name} gives {across(part.gives[1])}. Change "
                "one of them."
            )


def signal_encoder(
    channels: int = CHANNELS,
    length: int = LENGTH,
    layers: int = SIGNAL_LAYERS,
    width: int = 20,
    *,
    variational: bool = False,
) -> Table:
    """Return table 4.1's first half: channels and their deviation to the code.

    A variational one gives twice the code's channels: its means, and the logarithms of its variances.

    Raises
    ------
    ConfigError
        If so many layers of equal kernels do not lead from this length to the code's.

    Examples
    --------
    >>> [size for size, in signal_encoder().sizes]
    [291, 269, 247, 225, 203, 181, 159, 137, 115]
    """
    each, left = divmod(length - CODE, layers)
    if left or each < 1:
        raise ConfigError(
            f"expected windows whose length is that of the code, {CODE}, and a multiple of the number of layers more, "
            f"came {length} samples and {layers} layers. Published are {LENGTH} and {SIGNAL_LAYERS}."
        )
    maps = [width] * (layers - 1) + [2 * CODE_CHANNELS if variational else CODE_CHANNELS]
    return Table(
        "4.1, variational signal encoder" if variational else "4.1, signal encoder",
        channels + 1,
        (length,),
        tuple(Layer(n, (each + 1,), (length - each * k,)) for k, n in enumerate(maps, 1)),
    )


def signal_decoder(
    channels: int = CHANNELS, length: int = LENGTH, layers: int = SIGNAL_LAYERS, width: int = 20
) -> Table:
    """Return table 4.1's second half: the code to channels, without the deviation."""
    return _mirrored(signal_encoder(channels, length, layers, width), "4.1, signal decoder", channels)


def image_encoder(size: Size = PUBLISHED_IMAGE, width: int = 8) -> Table:
    """Return table 4.2's first half; of a smaller image three layers without stride.

    Raises
    ------
    ConfigError
        If the image is neither of the published size nor a small one.

    Examples
    --------
    >>> [image_encoder().sizes[k] for k in (0, 1, 2, 6, 7, 10)]
    [(475, 603), (228, 292), (199, 263), (72, 122), (34, 59), (5, 23)]
    """
    if tuple(size) == PUBLISHED_IMAGE:
        kernels: list[Size] = [
            (30, 30),
            (20, 20),
            *[(30, 30)] * 4,
            (41, 55),
            (5, 5),
            (10, 13),
            (10, 13),
            (12, 13),
        ]
        sizes = [
            (475, 603), (228, 292), (199, 263), (170, 234), (141, 205), (112, 176), (72, 122), (34, 59), (25, 47),
            (16, 35), IMAGE_CODE,
        ]  # fmt: skip
        strides, paddings = [2, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1], [30] + [0] * 10
    else:
        kernels, sizes = _small(size)
        strides, paddings = [1] * SMALL_LAYERS, [0] * SMALL_LAYERS
    maps = [width] * (len(kernels) - 1) + [IMAGE_CHANNELS]
    rows = zip(maps, kernels, sizes, strides, paddings, strict=True)
    return Table("4.2, image encoder", 1, tuple(size), tuple(Layer(*row) for row in rows))


def image_decoder(size: Size = PUBLISHED_IMAGE, width: int = 8) -> Table:
    """Return table 4.2's second half: the code to an image.

    Examples
    --------
    >>> [layer.output_padding for layer in image_decoder().layers]
    [0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0]
    """
    return _mirrored(image_encoder(size, width), "4.2, image decoder", 1)


def noise_network(length: int = LENGTH, width: int = 8) -> Table:
    """Return table 4.3: noise of a window's length to all channels of the code but the image's.

    Examples
    --------
    >>> [size for size, in noise_network().sizes]
    [277, 238, 199, 160, 115]
    """
    if length == LENGTH:
        kernels = [37, 40, 40, 40, 46]
    else:
        each, left = divmod(length - CODE, 5)
        if each < 1:
            raise ConfigError(
                f"expected windows longer than {CODE + 5} samples, came {length}. Use longer ones."
            )
        kernels = [each + 1 + (k < left) for k in range(5)]
    layers, now = [], length
    for k, kernel in enumerate(kernels, 1):
        now -= kernel - 1
        layers.append(Layer(width if k < len(kernels) else NOISE_CHANNELS, (kernel,), (now,)))
    return Table("4.3, noise network", NOISE_CHANNELS, (length,), tuple(layers))


def combination(width: int = 12) -> Table:
    """Return table 4.4 before its last, dense layer: both codes to what is summed up to one value."""
    layers, now = [], CODE
    for n in (width, width, width):
        now -= 22
        layers.append(Layer(n, (23,), (now,)))
    return Table("4.4, combination network", CODE_CHANNELS + IMAGE_CHANNELS, (CODE,), tuple(layers))


def _small(size: Size) -> tuple[list[Size], list[Size]]:
    """Return kernels and sizes of an image that is smaller than published."""
    less = [n - code for n, code in zip(size, IMAGE_CODE, strict=True)]
    if min(less) < SMALL_LAYERS or any(n > most for n, most in zip(size, LARGEST_SMALL, strict=True)):
        low = across([code + SMALL_LAYERS for code in IMAGE_CODE])
        raise ConfigError(
            f"expected images of {across(PUBLISHED_IMAGE)}, or small ones of {low} to {across(LARGEST_SMALL)}, height "
            f"by width, came {across(size)}. Resize them."
        )
    steps = [[n // SMALL_LAYERS + (k < n % SMALL_LAYERS) for n in less] for k in range(SMALL_LAYERS)]
    kernels: list[Size] = [tuple(n + 1 for n in step) for step in steps]
    sizes: list[Size] = []
    now = tuple(size)
    for step in steps:
        now = tuple(n - k for n, k in zip(now, step, strict=True))
        sizes.append(now)
    return kernels, sizes


def _mirrored(table: Table, name: str, channels: int) -> Table:
    """Return the way back: transposed layers, each giving what the layer that it undoes took."""
    taken = [(table.channels, table.size), *((layer.channels, layer.size) for layer in table.layers)]
    layers = []
    for number, layer in reversed(list(enumerate(table.layers))):
        back = replace(
            layer, channels=taken[number][0] if number else channels, size=taken[number][1], transposed=True
        )
        # A stride drops what it does not reach; the way back adds it.
        short = back.size[0] - back.gives(layer.size)[0]
        layers.append(replace(back, output_padding=short))
    return Table(name, *table.gives, tuple(layers))

"""A Reading is how an unknown generator's graph is understood: which input is the latent, which output the picture.

What follows from the graph's own declarations is found; what does not is asked for, with the choices named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from bci.errors import BundleError
from models.generators.imported.trial import Tensor

Layout = Literal["NCHW", "NHWC"]
Colour = Literal["RGB", "BGR", "grey"]

_DTYPES = {
    "float": np.float32, "float16": np.float16, "double": np.float64, "uint8": np.uint8,
    "int32": np.int32, "int64": np.int64, "bool": np.bool_,
}  # fmt: skip
_FLOATS, _WHOLE = ("float", "float16", "double"), ("int32", "int64")
_PLANES = (1, 3, 4)
# How far beyond a range's ends pictures may go and still be of that range: networks without a last tanh overshoot.
_SLACK = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """An Asked holds what the user states of a generator; what is None or empty is found, or asked for.

    Attributes
    ----------
    latent_input, image_output, class_input : str, optional
        Names in the graph.
    class_number : int, optional
        The class that is drawn, from 0.
    constants : mapping of str to float
        Values of other inputs, such as a truncation ψ.
    low, high : float, optional
        The values that mean black and full brightness.
    layout, colour : str, optional
        ``NCHW`` or ``NHWC``; ``RGB``, ``BGR`` or ``grey``.
    """

    latent_input: str | None = None
    image_output: str | None = None
    class_input: str | None = None
    class_number: int | None = None
    constants: Mapping[str, float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    layout: Layout | None = None
    colour: Colour | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A Reading says what each input and the output of a graph are.

    Attributes
    ----------
    latent, image : Tensor
        The input that is the latent and the output that is the picture.
    size : int
        d, numbers in a latent.
    height, width, planes : int
        Of a picture.
    layout, colour : str
        Order of the axes and of the planes.
    constants : mapping of str to array
        What every other input is given, for one picture.
    repeated : frozenset of str
        Those whose first axis is the batch, and open.
    """

    latent: Tensor
    image: Tensor
    size: int
    height: int
    width: int
    planes: int
    layout: Layout
    colour: Colour
    constants: Mapping[str, NDArray[np.generic]]
    repeated: frozenset[str]

    @property
    def single(self) -> bool:
        """Whether the graph says that it draws one picture at a time."""
        return self.latent.shape[0] == 1

    def feed(self, latents: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
        """Return all inputs of the graph for latents, (n, d)."""
        n = len(latents)
        shaped = latents.reshape(n, self.size, *self.latent.shape[2:]).astype(_DTYPES[self.latent.kind])
        rest = {
            name: np.repeat(value, n, axis=0) if name in self.repeated else value
            for name, value in self.constants.items()
        }
        return {self.latent.name: shaped, **rest}

    def planes_of(self, drawn: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return what the graph gave, (n, …), as (n, 3, height, width) float32, in the graph's own range."""
        planes = drawn.astype(np.float32)
        if self.layout == "NHWC":
            planes = planes.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(planes[:, self.order])

    def facts(self) -> dict[str, JsonValue]:
        """Return how the graph was read, for the package's description."""
        held: dict[str, JsonValue] = {name: value.ravel().tolist() for name, value in self.constants.items()}
        return {
            "latent": str(self.latent), "image": str(self.image), "layout": self.layout, "colour": self.colour,
            "held": held,
        }  # fmt: skip

    @property
    def order(self) -> list[int]:
        """Which plane is red, which green, which blue; a fourth one, opacity, is left out."""
        return {"RGB": [0, 1, 2], "BGR": [2, 1, 0], "grey": [0, 0, 0]}[self.colour]


def read_graph(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], asked: Asked) -> Reading:
    """Find which input is the latent, which output the picture, and what the others are given.

    Parameters
    ----------
    name : str
        The file's, for words.
    inputs, outputs : sequence of Tensor
        As the graph declares them.
    asked : Asked
        What the user states.

    Raises
    ------
    BundleError
        If something is neither stated nor to be found, or what is stated does not fit.
    """
    others = {n for n in (asked.class_input, *asked.constants) if n is not None}
    for stated in (*others, *filter(None, [asked.latent_input])):
        if stated not in {tensor.name for tensor in inputs}:
            raise BundleError(f"{name}: expected one of its inputs, {_list(inputs)}; came {stated!r}.")
    latent = _latent(name, inputs, others, asked)
    image = _image(name, outputs, asked)
    layout, planes, height, width = _axes(name, image, asked)
    colour = asked.colour or ("grey" if planes == 1 else "RGB")
    if (colour == "grey") != (planes == 1):
        raise BundleError(
            f"{name}: expected {'one plane' if colour == 'grey' else 'three planes'} for pictures in {colour}, came "
            f"{planes} in {image}. State another --colour or --layout."
        )
    rest = [tensor for tensor in inputs if tensor.name != latent.name]
    unstated = [tensor.name for tensor in rest if tensor.name not in asked.constants]
    takes_class = asked.class_input or (unstated[0] if len(unstated) == 1 else None)
    constants = {
        tensor.name: _constant(name, tensor, asked, takes_class=tensor.name == takes_class) for tensor in rest
    }
    repeated = frozenset(tensor.name for tensor in rest if tensor.shape and tensor.shape[0] is None)
    assert latent.shape[1] is not None  # or it was no candidate
    return Reading(latent, image, latent.shape[1], height, width, planes, layout, colour, constants, repeated)


def _latent(name: str, inputs: Sequence[Tensor], others: set[str], asked: Asked) -> Tensor:
    """Return the input that is the latent."""
    fitting = [t for t in inputs if _may_be_latent(t) and t.name not in others]
    if asked.latent_input is not None:
        fitting = [t for t in fitting if t.name == asked.latent_input]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise BundleError(
            f"{name}: expected one input that can be the latent, came {_list(fitting)}. Name it with --latent-input; "
            f"if "
            "another one takes a class, name that with --class-input and --class."
        )
    raise BundleError(
        f"{name}: expected as latent an input of floating-point numbers with the axes (batch, d), or (batch, d, 1, "
        f"1), d "
        f"stated; came {_list(inputs)}. Export the generator with such an input."
    )


def _may_be_latent(tensor: Tensor) -> bool:
    shape = tensor.shape
    if tensor.kind not in _FLOATS or len(shape) not in (2, 4) or not shape[1] or shape[0] not in (None, 1):
        return False
    return all(n == 1 for n in shape[2:])


def _image(name: str, outputs: Sequence[Tensor], asked: Asked) -> Tensor:
    """Return the output that is the picture."""
    fitting = [t for t in outputs if t.kind in (*_FLOATS, "uint8") and len(t.shape) == 4]
    if asked.image_output is not None:
        fitting = [t for t in outputs if t.name == asked.image_output]
    if len(fitting) == 1 and len(fitting[0].shape) == 4 and fitting[0].kind in (*_FLOATS, "uint8"):
        return fitting[0]
    raise BundleError(
        f"{name}: expected one output that can be a picture, floating-point or uint8 numbers with the axes (batch, "
        f"planes, height, width) or (batch, height, width, planes); came {_list(fitting or outputs)}. "
        + (
            "Name it with --image-output."
            if len(fitting) > 1
            else "Export the generator with such an output."
        )
    )


def _axes(name: str, image: Tensor, asked: Asked) -> tuple[Layout, int, int, int]:
    """Return the order of the axes, and the number of planes, height and width."""
    fits: list[Layout] = []
    if image.shape[1] in _PLANES:
        fits.append("NCHW")
    if image.shape[3] in _PLANES:
        fits.append("NHWC")
    layout = asked.layout or (fits[0] if len(fits) == 1 else None)
    if layout is None or layout not in fits:
        raise BundleError(
            f"{name}: expected a picture with 1, 3 or 4 planes on its second or its last axis, came {image}"
            + (f", read as {asked.layout}" if asked.layout else "")
            + ". State --layout NCHW or NHWC, or export the generator with the sizes written down."
        )
    sizes = image.shape[1:] if layout == "NCHW" else (image.shape[3], *image.shape[1:3])
    planes, height, width = sizes
    if not (planes and height and width):
        raise BundleError(
            f"{name}: expected pictures of a stated size, came {image}. Export the generator with height and width "
            "written down."
        )
    return layout, planes, height, width


def _constant(name: str, tensor: Tensor, asked: Asked, *, takes_class: bool) -> NDArray[np.generic]:
    """Return what an input that is not the latent is given, for one picture."""
    if tensor.kind not in _DTYPES:
        raise BundleError(
            f"{name}: expected inputs of numbers, came {tensor}. Export the generator without it."
        )
    shape = tuple(1 if n is None else n for n in tensor.shape)
    if tensor.name in asked.constants:
        return np.full(shape, asked.constants[tensor.name], _DTYPES[tensor.kind])
    if not takes_class or asked.class_number is None:
        raise BundleError(
            f"{name}: expected a value for its input {tensor}, came none. If it takes a class, state --class NUMBER; "
            f"else --set {tensor.name}=VALUE, such as a truncation ψ."
        )
    number = asked.class_number
    if tensor.kind in _WHOLE:
        return np.full(shape, number, _DTYPES[tensor.kind])
    if len(shape) != 2 or not 0 <= number < shape[1]:
        raise BundleError(
            f"{name}: expected a class that its input {tensor} has a place for, came class {number}. State another, or "
            f"--set {tensor.name}=VALUE."
        )
    one_hot = np.zeros(shape, _DTYPES[tensor.kind])
    one_hot[0, number] = 1
    return one_hot


def find_range(name: str, kind: str, drawn: NDArray[np.float32], asked: Asked) -> tuple[float, float]:
    """Return the values that mean black and full brightness: as stated, else as pictures of the prior fill it.

    Parameters
    ----------
    name : str
        The file's, for words.
    kind : str
        Type of the output's values.
    drawn : (n, …) float32
        Pictures of latents of the prior.
    asked : Asked
        What the user states.

    Raises
    ------
    BundleError
        If the pictures are not finite, or fit no range that generators have.
    """
    low, high = float(drawn.min()), float(drawn.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BundleError(f"{name}: expected finite pictures for latents of a standard normal, came others.")
    if asked.low is not None and asked.high is not None:
        if not asked.low < asked.high:
            raise BundleError(
                f"--range: expected black below full brightness, came {asked.low:g} and {asked.high:g}."
            )
        return asked.low, asked.high
    if kind == "uint8" or (low >= -_SLACK and 2.0 < high <= 256.0):
        return 0.0, 255.0
    if -1.0 - _SLACK <= low < -0.1 and high <= 1.0 + _SLACK:
        return -1.0, 1.0
    if low >= -0.1 and 0.1 < high <= 1.1:
        return 0.0, 1.0
    raise BundleError(
        f"{name}: expected pictures that fill −1 … 1, 0 … 1 or 0 … 255, came values from {low:g} to {high:g}. State "
        f"what "
        "means black and full brightness with --range LOW HIGH."
    )


def _list(tensors: Sequence[Tensor]) -> str:
    return "; ".join(str(tensor) for tensor in tensors) or "none"

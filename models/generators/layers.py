"""Layers of a generator by their number: the activations that a readout may be asked to get right.

An ONNX graph lets no gradient through, so a package whose layers can be asked for also holds the network's weights
(``weights.safetensors``), as `bci import-generator` leaves them of weights whose architecture is known.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bci.errors import BundleError, ConfigError, DataError
from bci.io.files.regular import require_regular
from models.generators.interface import ImageGenerator, build, normaliser
from models.generators.package import GeneratorPackage
from models.generators.spec import WEIGHTS

_LARGEST = 2**31 - 1
#: Latents that pass a layer together.
_AT_ONCE = 128


def weights_of(generator: ImageGenerator) -> bytes:
    """Return the content of ``weights.safetensors``."""
    return save({name: value.contiguous() for name, value in generator.state_dict().items()})


def network_of(package: GeneratorPackage) -> ImageGenerator:
    """Build the network of a package, with its weights, in evaluation mode; no weight learns.

    Raises
    ------
    BundleError
        If the package holds no weights, or weights of another network.
    """
    path = package.folder / WEIGHTS
    if WEIGHTS not in package.spec.files:
        raise BundleError(
            f"{package.folder}: expected a generator whose layers can be asked for, with {WEIGHTS}, came "
            f"{', '.join(sorted(package.spec.files))}. Import its weights with their architecture: "
            "bci import-generator WEIGHTS.safetensors --architecture FILE."
        )
    require_regular(path, BundleError, largest=_LARGEST)
    network = build(package.spec.architecture)
    try:
        network.load_state_dict(load(path.read_bytes()))
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise BundleError(
            f"{path}: expected the weights of {package.spec.architecture}, came: "
            f"{' '.join(str(error).split())[:300]}. Import the generator again."
        ) from None
    return network.eval().requires_grad_(False)


class Layers:
    """Layers are the activations of a package's generator, by number from 1; the last one is the picture.

    Parameters
    ----------
    package : GeneratorPackage
        With weights; its rule for latents is in force.

    Attributes
    ----------
    names : tuple of str
        Of layers 1, 2, …: their channels, height and width.

    Raises
    ------
    BundleError
        As `network_of`.
    """

    def __init__(self, package: GeneratorPackage) -> None:
        self._network = network_of(package)
        self._rule = normaliser(package.spec.rule, package.spec.limit)
        self._size = package.spec.latent
        with torch.no_grad():
            found = self._network.layers(self._rule(torch.ones(1, self._size)))
        self.names = tuple(
            f"layer {k}, {' × '.join(map(str, one.shape[1:]))}" for k, one in enumerate(found, 1)
        )

    def __call__(self, number: int) -> Callable[[Tensor], Tensor]:
        """Return the function from latents (n, d) to one layer's activations; gradients pass through it.

        Raises
        ------
        ConfigError
            If there is no such layer.
        """
        if not 1 <= number <= len(self.names):
            raise ConfigError(
                f"expected one of the generator's layers, 1 to {len(self.names)} ({'; '.join(self.names)}), came "
                f"{number}. Name one of them."
            )
        return lambda latents: self._network.layers(self._rule(latents))[number - 1]

    def activations(
        self, number: int, latents: NDArray[np.floating], crop: int | None = None
    ) -> NDArray[np.float32]:
        """Return activations of a layer, or of its centre, flattened: (n, d) to (n, values)."""
        return self.several([number], latents, crop)[0]

    def several(
        self, numbers: Sequence[int], latents: NDArray[np.floating], crop: int | None = None
    ) -> list[NDArray[np.float32]]:
        """Return the same of several layers, for which the latents pass the generator once.

        Raises
        ------
        ConfigError
            If there is no such layer.
        """
        for number in numbers:
            self(number)
        rows = torch.from_numpy(np.ascontiguousarray(latents, np.float32))
        found: list[list[NDArray[np.float32]]] = [[] for _ in numbers]
        with torch.no_grad():
            for start in range(0, len(rows), _AT_ONCE):
                layers = self._network.layers(self._rule(rows[start : start + _AT_ONCE]))
                for number, parts in zip(numbers, found, strict=True):
                    parts.append(centre(layers[number - 1], crop).flatten(1).numpy())
        return [np.concatenate(parts) for parts in found]


def centre(activations: Tensor, crop: int | None) -> Tensor:
    """Return the centre of activations (n, channels, height, width), `crop` to a side; all of them without it.

    Raises
    ------
    DataError
        If they are smaller than that.
    """
    if crop is None:
        return activations
    if activations.ndim != 4 or min(activations.shape[2:]) < crop:
        raise DataError(
            f"expected activations (n, channels, height, width) of at least {crop} × {crop} to crop, came "
            f"{tuple(activations.shape)}. Name a smaller crop or another layer."
        )
    top, left = ((size - crop) // 2 for size in activations.shape[2:])
    return activations[:, :, top : top + crop, left : left + crop]

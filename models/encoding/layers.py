"""A layer bank is the features that a layer of a convolutional network gives; it is named ``"convnet-faces/conv3_1"``.

The first part is the name of a shipped network, or a file of weights from the folder in which the command runs or
`$BCI_DATA`; behind a slash stands the layer. Weights of another architecture than the small one say which, and a colon:
``"alexnet:alexnet.safetensors/conv5"`` (`models.networks.architectures`).
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.networks.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from torch import Tensor

    from models.networks.convnet import Convnet

Features = NDArray[np.float32]

#: Cells along each side over which a layer's channels are averaged, where it has more values.
_GRID = 4


def is_layer(bank: str) -> bool:
    """Return whether a bank is a layer of a network: it names weights, and a layer behind a slash."""
    return "/" in bank


def layer_features(bank: str, pictures: Features) -> Features:
    """Return each channel's compressed activation in each cell: (n, height, width, 3) from 0 to 1, to (n, features).

    Raises
    ------
    ConfigError
        If there are no such weights, or they have no such layer.
    DataError
        If the pictures are too small for it.
    """
    import torch

    with torch.no_grad():
        planes = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
        features: Features = layer_cells(bank, planes).numpy()
    return features


def layer_cells(bank: str, planes: "Tensor") -> "Tensor":
    """Return the same with gradients: (n, 3, height, width) to (n, features); raises as `layer_features` does."""
    from torch.nn.functional import adaptive_avg_pool2d

    network, layer = _opened(bank), bank.rpartition("/")[2]
    values = network(planes, [layer])[layer]
    cells = adaptive_avg_pool2d(values, [min(_GRID, side) for side in values.shape[2:]])
    # The root of nothing has no slope: under a gradient such a cell keeps still.
    silent = cells <= 0
    return cells.masked_fill(silent, 1.0).sqrt().masked_fill(silent, 0.0).flatten(1)


def _opened(bank: str) -> "Convnet":
    weights = bank.rpartition("/")[0]
    architecture, colon, file = weights.partition(":")
    if not colon or architecture not in ARCHITECTURES:
        architecture, file = "small", weights
    return _network(architecture, file)


@lru_cache(maxsize=4)
def _network(architecture: Any, weights: str) -> "Convnet":
    from models.networks.settings import NetworkSettings
    from models.networks.weights import open_network

    side = None if architecture == "small" else ARCHITECTURES[architecture].side
    return open_network(NetworkSettings(architecture=architecture, weights=weights, side=side), Path())

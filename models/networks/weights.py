"""Weights of a convolutional network: from the user's file, from what is shipped, or random; which is said plainly.

Nothing is downloaded. A file is in safetensors, with the names that torchvision gives (AlexNet, VGG) or those of
Caffe's layers (CaffeNet, ``conv1.weight``); dense layers in it are left out. It becomes one by::

    import torch, safetensors.torch
    safetensors.torch.save_file(torch.load("vgg19.pth", weights_only=True), "vgg19.safetensors")
"""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bci.errors import ConfigError
from bci.io.files.regular import require_regular
from bci.io.shipped import locate, not_found
from models.networks.architectures import ARCHITECTURES, Convolution
from models.networks.convnet import Convnet
from models.networks.settings import NetworkSettings

#: Name of the file in the folder of a shipped network.
FILE = "weights.safetensors"
_LARGEST = 2 * 2**30 - 1


def open_network(settings: NetworkSettings, folder: Path) -> Convnet:
    """Build the network that a section names, its weights from the file if it names one; no weight learns.

    Parameters
    ----------
    settings : NetworkSettings
    folder : Path
        Of the settings: where a relative path starts.

    Raises
    ------
    ConfigError
        If the file is missing, no safetensors, or holds the weights of another network.
    """
    architecture = ARCHITECTURES[settings.architecture]
    network = Convnet(architecture, seed=settings.seed, pooling=settings.pooling, side=settings.side)
    if settings.weights is not None:
        load_weights(network, locate(settings.weights, folder, "bundles"))
    return network.eval().requires_grad_(False)


def load_weights(network: Convnet, path: Path) -> None:
    """Give a network the weights of a file, or of a folder that holds `FILE`.

    Raises
    ------
    ConfigError
        As `open_network`.
    """
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        raise ConfigError(
            f"expected weights of {network.architecture.name}, came {path}, but {not_found(path, 'bundles')}. Name a "
            "file in safetensors, or leave weights out: they are random then."
        )
    require_regular(file, ConfigError, largest=_LARGEST)
    try:
        held = load(file.read_bytes())
    except (SafetensorError, ValueError) as error:
        raise ConfigError(
            f"{file}: expected weights in safetensors, came: {' '.join(str(error).split())[:200]}. A file of PyTorch "
            "is saved as one by safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW)."
        ) from None
    for layer in network.architecture.layers:
        if isinstance(layer, Convolution):
            made = network.convolutions[layer.name]
            for part in ("weight", "bias"):
                _copy(file, network, held, f"{layer.key}.{part}", getattr(made, part))
    network.origin = f"weights of {file.parent.name if path.is_dir() else file.name}"


def _copy(file: Path, network: Convnet, held: dict[str, Tensor], name: str, place: Tensor) -> None:
    """Copy one tensor of a file into the network, once it is known to be what belongs there."""
    expected = (
        f"{file}: expected weights of {network.architecture.name}, {name} of shape {tuple(place.shape)}"
    )
    if name not in held:
        raise ConfigError(
            f"{expected}, came {', '.join(sorted(held)[:4]) or 'no tensor'} … Name the network's own file, or another "
            "architecture."
        )
    if held[name].shape != place.shape:
        raise ConfigError(
            f"{expected}, came {tuple(held[name].shape)}: they are another network's. Name its architecture."
        )
    value = held[name].to(torch.float32)
    if not torch.isfinite(value).all():
        raise ConfigError(f"{expected}, came values that are no numbers. Save the file again.")
    with torch.no_grad():
        place.copy_(value)


def weights_file(network: Convnet, *, half: bool = False) -> bytes:
    """Return the content of `FILE`; `half` stores two bytes a number, as `load_weights` reads them back."""
    kind = torch.float16 if half else torch.float32
    return save(
        {
            f"{layer.key}.{part}": getattr(network.convolutions[layer.name], part)
            .detach()
            .cpu()
            .to(kind)
            .contiguous()
            for layer in network.architecture.layers
            if isinstance(layer, Convolution)
            for part in ("weight", "bias")
        }
    )


def identity(network: Convnet) -> str:
    """Return the SHA-256 of a network's weights: its identity in a bundle's provenance."""
    return hashlib.sha256(weights_file(network)).hexdigest()

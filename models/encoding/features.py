"""Features of pictures, bank after bank: those that early vision answers to, and layers of networks.

The banks are `bci.signal.picture_features`. Where the user has weights of a convolutional network, its layers are banks
too (`models.encoding.layers`).
"""

from collections.abc import Sequence
from functools import partial

from bci.errors import ConfigError, nearest
from bci.signal.picture_features import BANKS, Features, Pictures, stacked
from models.encoding.layers import is_layer, layer_features

__all__ = ["BANKS", "Features", "Pictures", "features_of"]


def features_of(pictures: Pictures, banks: Sequence[str]) -> Features:
    """Return the features of pictures, bank after bank: (n, height, width, 3) uint8 to (n, features) float32.

    Raises
    ------
    ConfigError
        If there is no such bank or no such layer, or a side of the pictures is no multiple of 8.
    """
    require_banks(banks)
    return stacked(
        pictures, [partial(layer_features, name) if is_layer(name) else BANKS[name] for name in banks]
    )


def require_banks(banks: Sequence[str]) -> None:
    """Refuse banks that are not known.

    Raises
    ------
    ConfigError
        If there is no such bank, and no such layer.
    """
    if unknown := [name for name in banks if name not in BANKS and not is_layer(name)]:
        raise ConfigError(
            f"expected banks of features {', '.join(BANKS)}, or WEIGHTS/LAYER of a network, came {unknown[0]!r}"
            f"{nearest(unknown[0], BANKS)}."
        )

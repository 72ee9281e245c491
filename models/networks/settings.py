"""The section of a training file that names a convolutional network and its weights."""

from typing import Annotated, Literal

from pydantic import Field

from bci.config.paths import PathText
from models.settings import Count, Section


class NetworkSettings(Section):
    """NetworkSettings names a network that looks at pictures."""

    architecture: Literal["small", "alexnet", "caffenet", "vgg16", "vgg19"] = "small"
    """Which network; small is ours, for pictures of 64²."""
    weights: PathText | None = None
    """Its weights in safetensors, from the file's own folder, or a shipped network's name (``convnet-faces``, of the
    small one); random weights when left out."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of random weights."""
    pooling: Literal["largest", "mean"] = "largest"
    """What a pool gives: the largest value, as trained, or the mean, whose gradients are smoother."""
    side: Count | None = None
    """Pixels at which it sees every picture, resized; as they are when left out."""

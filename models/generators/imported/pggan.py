r"""PGGAN's weights as InterFaceGAN keeps them (Shen et al. 2020), renamed to ours; HYPER's boundaries are of it.

Theirs: ``layer1.conv.weight`` to ``layerN.conv.weight`` with ``layer1.wscale.bias``, and ``output_RxR`` for the colours
at R × R. Their convolutions have weights of unit variance and are scaled while they run (Karras et al. 2018, §4.1), by
:math:`\sqrt{2 / n}` for `n` inputs of a unit, :math:`\sqrt{1 / n}` for the colours; here the factor is put into the
weights. Their first layer is a convolution of a picture of 1 × 1 with its surroundings, ours a transposed one: its
kernel is turned.
"""

import re
from collections.abc import Mapping

from torch import Tensor

_LAYER = re.compile(r"layer(\d+)\.(conv\.weight|wscale\.bias)")
_COLOURS = re.compile(r"output_(\d+)x\1\.(conv\.weight|wscale\.bias)")


def is_interfacegan(weights: Mapping[str, Tensor]) -> bool:
    """Return whether a file holds PGGAN in that layout."""
    return "layer1.conv.weight" in weights and any(_COLOURS.fullmatch(name) for name in weights)


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with the names and the scale of `models.generators.progressive.ProgressiveGenerator`.

    What has another name in the layout, such as a level of detail, is left as it is, for the network to refuse.
    """
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        if match := _LAYER.fullmatch(name):
            number = int(match[1])
            place, gain = ("first" if number == 1 else f"convolved.{number - 2}"), 2.0
        elif match := _COLOURS.fullmatch(name):
            number, place, gain = 0, "colours", 1.0
        else:
            found[name] = value
            continue
        if match[2] == "wscale.bias":
            found[f"{place}.bias"] = value
            continue
        scaled = value * (gain / value[0].numel()) ** 0.5
        found[f"{place}.weight"] = scaled.flip(2, 3).transpose(0, 1) if number == 1 else scaled
    return {name: value.contiguous() for name, value in found.items()}

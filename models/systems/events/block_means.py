"""Block means: the means of every channel over short blocks of an epoch are its features (Blankertz et al. 2011)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.export import GraphParts

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BlockMeans:
    """A BlockMeans averages `block` samples of each channel into a feature; what is left over is not used."""

    block: int

    def __call__(self, epochs: NDArray[np.floating[Any]]) -> Floats:
        """Return features of epochs: (n, length, *shape) to (n, features)."""
        n, length = epochs.shape[:2]
        blocks = length // self.block
        rows = epochs.reshape(n, length, -1)[:, : blocks * self.block]
        means: Floats = rows.reshape(n, blocks, self.block, -1).mean(axis=2, dtype=np.float64)
        return means.reshape(n, -1)

    def add(self, graph: GraphParts, shape: Sequence[int]) -> str:
        """Add the features of ``window`` (1, *shape) to a graph; return their name, (1, features) float32."""
        blocks = shape[0] // self.block
        for name, value in {
            "block_first": np.array([0]),
            "block_end": np.array([blocks * self.block]),
            "block_time": np.array([1]),
            "in_blocks": np.array([1, blocks, self.block, -1]),
            "within_block": np.array([2]),
        }.items():
            graph.constant(name, value)
        graph.node("Slice", ["window", "block_first", "block_end", "block_time"], "whole_blocks")
        graph.node("Reshape", ["whole_blocks", "in_blocks"], "blocks")
        graph.node("ReduceMean", ["blocks", "within_block"], "block_means", keepdims=0)
        return graph.node("Flatten", ["block_means"], "features", axis=1)

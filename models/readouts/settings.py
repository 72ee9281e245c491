"""Sections of training and comparison files that choose a readout and its voxels."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from models.settings import Section


class VoxelSettings(Section):
    """VoxelSettings describes the choice of voxels, made on training trials alone."""

    count: Annotated[int, Field(ge=1, le=10_000_000)]
    """How many."""
    by: Literal["activation", "encoding"] = "encoding"
    """By the mean answer over its deviation (HYPER), or by how well the latents predict a voxel."""


class ReadoutSettings(Section):
    """ReadoutSettings names a readout of `models.readouts.family`, and its options."""

    name: str = "ridge"
    """Which readout: see Readouts below."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Its options."""

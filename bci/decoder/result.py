"""A Result is what a bundle gives: a picture, or without one class probabilities, a number, a rhythm, or a word.

Each kind is one model of bundle.json's optional section ``result``. A result that is no picture comes out of a readout
alone; its values are what a reconstruction's latent holds, and its picture is drawn by `bci.decoder.renderers`.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Label = Annotated[str, Field(min_length=1, max_length=100)]


class _Result(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PictureResult(_Result):
    """A picture, drawn by a generator; the latent is its place in the generator's space. The default."""

    output: ClassVar[str] = "latent"
    """The output of the readout's graph that holds the values."""

    kind: Literal["picture"] = "picture"

    @property
    def size(self) -> int | None:
        """How many values there are; None where the result leaves that open."""
        return None

    def output_shape(self, size: int) -> list[int]:
        """Return the shape of the graph's output, given the number of values."""
        return [1, size]

    def value_names(self, size: int) -> tuple[str, ...]:
        """Return what each value is called for other programs."""
        return tuple(f"latent-{i}" for i in range(size))

    def describe(self, values: Sequence[float]) -> str:
        """Return what was read, (d,), in a few words."""
        return f"latent {values[0]:+.2f}" if len(values) == 1 else f"{len(values)} latents"

    def __str__(self) -> str:
        return "a picture"


class _Probabilities(_Result):
    """A result whose values are the probabilities of things with labels."""

    output: ClassVar[str] = "probabilities"

    @property
    def labels_in_order(self) -> tuple[str, ...]:
        """What the probabilities are of, in the order of the graph's output."""
        raise NotImplementedError  # each kind below keeps its labels under a key of its own

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.labels_in_order)

    def output_shape(self, size: int) -> list[int]:
        """Return the shape of the graph's output."""
        return [1, size]

    def value_names(self, size: int) -> tuple[str, ...]:
        """Return what each value is called for other programs."""
        return tuple(f"probability-{label}" for label in self.labels_in_order)

    def describe(self, values: Sequence[float]) -> str:
        """Return what was read, (k,), in a few words: the most probable label and its probability."""
        best = max(range(len(values)), key=lambda place: values[place])
        return f"{self.labels_in_order[best]} {values[best]:.0%}"

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        if len(set(self.labels_in_order)) < len(self.labels_in_order):
            raise ValueError(f"each label names one thing; got {', '.join(self.labels_in_order)}")
        return self


class ClassesResult(_Probabilities):
    """Probabilities of classes, drawn as one bar each, or as pictures of the classes.

    Attributes
    ----------
    labels : tuple of str
        The classes, in the order of the graph's output ``probabilities``, (1, k) float32, which sums to 1.
    pictures : str or None
        The file of the bundle that holds a picture of each class, (k, height, width, 3) uint8, NumPy's format; None for
        bars.
    """

    kind: Literal["classes"]
    labels: Annotated[tuple[Label, ...], Field(min_length=2, max_length=64)]
    pictures: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}\.npy$")] | None = None

    @property
    def labels_in_order(self) -> tuple[str, ...]:
        """The classes."""
        return self.labels

    def __str__(self) -> str:
        return f"probabilities of {', '.join(self.labels)}"


class TextResult(_Probabilities):
    """One of a few words, drawn as the most probable of them.

    Attributes
    ----------
    words : tuple of str
        The words, in the order of the graph's output ``probabilities``, (1, k) float32, which sums to 1.
    """

    kind: Literal["text"]
    words: Annotated[tuple[Label, ...], Field(min_length=2, max_length=10_000)]

    @property
    def labels_in_order(self) -> tuple[str, ...]:
        """The words."""
        return self.words

    def __str__(self) -> str:
        shown = ", ".join(self.words[:8]) + (" …" if len(self.words) > 8 else "")
        return f"one of {len(self.words)} words ({shown}), by their probabilities"


class NumberResult(_Result):
    """One number, drawn as a bar or a disc that is as large as it.

    Attributes
    ----------
    name, unit : str
        What the number is, and its unit; empty when it has none.
    low, high : float
        The values that are drawn as nothing and as full size; what lies outside is drawn as the nearer of the two. The
        graph's output ``value``, (1,) float32, is kept as it is.
    shape : str
        ``bar``: its height is the number. ``disc``: its area is.
    """

    output: ClassVar[str] = "value"

    kind: Literal["number"]
    name: Label
    unit: str = ""
    low: float = 0.0
    high: float = 1.0
    shape: Literal["bar", "disc"] = "bar"

    @property
    def size(self) -> int:
        """How many values there are: one."""
        return 1

    def output_shape(self, size: int) -> list[int]:
        """Return the shape of the graph's output."""
        return [1]

    def value_names(self, size: int) -> tuple[str, ...]:
        """Return what the value is called for other programs."""
        return (f"value-{self.name}" + (f" ({self.unit})" if self.unit else ""),)

    def describe(self, values: Sequence[float]) -> str:
        """Return what was read, (1,), in a few words."""
        return f"{self.name} {values[0]:.3g}" + (f" {self.unit}" if self.unit else "")

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"the range goes from low to high; got low={self.low}, high={self.high}")
        return self

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"a number, {self.name}, from {self.low:g} to {self.high:g}{unit}"


class RhythmResult(_Result):
    """The phase and the power of a rhythm at the newest sample, drawn as a disc on a dial.

    Attributes
    ----------
    name : str
        The rhythm and where it is: ``theta, CA1``.
    low, high : float
        Its band, Hz.
    unit : str
        Of the power; empty when it has none.
    full : float
        The power that is drawn at the rim of the dial, in `unit`; what is stronger is drawn there too. The graph's
        output ``rhythm``, (1, 2) float32, is kept as it is: phase in radians, -π to π, 0 at the peak of the wave, then
        power.
    """

    output: ClassVar[str] = "rhythm"

    kind: Literal["rhythm"]
    name: Label
    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]
    unit: str = ""
    full: Annotated[float, Field(gt=0)] = 1.0

    @property
    def size(self) -> int:
        """How many values there are: two."""
        return 2

    def output_shape(self, size: int) -> list[int]:
        """Return the shape of the graph's output."""
        return [1, size]

    def value_names(self, size: int) -> tuple[str, ...]:
        """Return what the two values are called for other programs."""
        return "phase (rad)", "power" + (f" ({self.unit})" if self.unit else "")

    def describe(self, values: Sequence[float]) -> str:
        """Return what was read, (2,), in a few words."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} {math.degrees(values[0]):+.0f}°, {values[1]:.3g}{unit}"

    @model_validator(mode="after")
    def _band_goes_up(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"the band goes from low to high; got low={self.low}, high={self.high} Hz")
        return self

    def __str__(self) -> str:
        return f"phase and power of a rhythm, {self.name}, {self.low:g} to {self.high:g} Hz"


#: What a bundle gives, told apart by ``kind``.
Result = Annotated[
    PictureResult | ClassesResult | NumberResult | RhythmResult | TextResult, Field(discriminator="kind")
]

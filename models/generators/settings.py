"""Sections of every generator's training file: pictures, run, and package.

Each kind adds sections of its own. A key that does not exist is an error that names it. The file as read goes into the
package's provenance.
"""

from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from models.generators.rules import Rule
from models.settings import Count, Positive, Section


class PictureSettings(Section):
    """PictureSettings describes the training pictures."""

    source: Literal["faces", "characters", "folder"]
    """Drawn faces, handwritten characters, or the pictures of a folder."""
    path: str = ""
    """Of characters and folders: below the data root, or absolute."""
    number: Count = 12000
    """How many faces are drawn."""
    held_out: Count = 1000
    """How many pictures are kept for scores, never learned from."""
    pose: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of faces: how far they turn, tilt and come closer, of what they can; sets of photographs are aligned too."""

    @model_validator(mode="after")
    def _named_where_it_is_read(self) -> Self:
        if (self.source == "faces") != (not self.path):
            raise ValueError("path names the folder of characters or pictures; faces are drawn and have none")
        if self.source != "faces" and self.pose != 1.0:
            raise ValueError("pose is of drawn faces; other pictures are as they are")
        return self


class RunSettings(Section):
    """RunSettings describes the run; of these settings only threads, precision and device change the result."""

    threads: Count = 1
    """Threads of torch; part of the configuration because sums depend on it."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: mixed, on a GPU only; not run yet."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What it learns on: an NVIDIA card where torch can use one, the processor alone, or a card and nothing else."""
    look_every: Count = 500
    """Updates between two looks at pictures and monitors, each with a checkpoint."""


class PackageSettings(Section):
    """PackageSettings describes the package that is shipped."""

    rule: Rule = "truncate"
    """What a decoded latent passes before it is drawn: kept, rescaled to norm √d, or truncated to ± limit."""
    limit: Positive = 2.0
    """Of truncation, standard deviations."""
    half: bool = False
    """Store weights as float16; they are computed with as float32."""
    for_card: bool = False
    """Write no transposed convolutions, whose bits an NVIDIA card need not repeat: for a generator that is to run on
    one. On a processor it draws the same, but takes longer."""


class GeneratorFile(Protocol):
    """A GeneratorFile is a training file of any kind, as far as training needs it."""

    kind: str
    name: str
    title: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    pictures: PictureSettings
    run: RunSettings
    package: PackageSettings

    @property
    def size(self) -> int:
        """Height and width of the pictures, pixels."""
        ...

    @property
    def fewest(self) -> int:
        """Smallest number of training pictures."""
        ...

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]:
        """Return the file as JSON holds it."""
        ...

"""RunSettings is what a session fixes beyond its bundle: the ``[run]`` section of a session file."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from bci.config.paths import PathText
from bci.io.files.run import load_run
from bci.io.shipped import locate
from bci.signal.run import Run

_Label = Annotated[str, Field(min_length=1, max_length=100)]


class RunSettings(BaseModel):
    """The ``[run]`` section of a session file; what a step of a bundle does not ask for is kept with the session."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    design: PathText | None = None
    """Planned events: a tab-separated table with onset, duration (seconds) and trial_type, as BIDS has it."""
    reference: PathText | None = None
    """The volume that others are aligned to: one NIfTI file, or a .npy file (x, y, z) and `affine`."""
    affine: tuple[tuple[float, ...], ...] | None = None
    """Four rows of four numbers, from voxels to millimetre (x to the right, y forward, z up); by default
    that of a NIfTI reference."""
    trained_reference: PathText | None = None
    """The reference volume of the session that the decoder was trained on, a NIfTI file, registered to today's; masks
    lie on its grid then."""
    masks: dict[_Label, PathText] = Field(default_factory=dict)
    """Masks by name, each a NIfTI or .npy file (x, y, z) of zeros and ones, on the reference's grid."""
    channels: dict[_Label, _Label] = Field(default_factory=dict)
    """The stream's label of a channel to the bundle's, where they differ: ``channels = { A1 = "O1" }``."""

    def placed(self, folder: Path) -> Self:
        """Return it with its files where they are: in `folder`, or under ``$BCI_DATA``."""
        return self.model_copy(
            update={
                "design": self.design and locate(self.design, folder),
                "reference": self.reference and locate(self.reference, folder),
                "trained_reference": self.trained_reference and locate(self.trained_reference, folder),
                "masks": {name: locate(path, folder) for name, path in self.masks.items()},
            }
        )

    def load(self) -> Run:
        """Read the files.

        Raises
        ------
        ConfigError
            If one cannot be read, or holds something else; named.
        """
        return load_run(
            design=self.design,
            reference=self.reference,
            masks=self.masks,
            channel_map=self.channels,
            affine=self.affine,
            trained_reference=self.trained_reference,
        )

"""Settings of protocols whose next picture is chosen by what was read of those before."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bci.config.numbers import Seed
from bci.config.paths import PathText
from bci.config.protocol import Count, ProtocolSettings
from bci.io.shipped import locate


class ExpectedInformationSettings(ProtocolSettings):
    """The next picture is the one whose answer is expected to tell most of how the brain answers pictures."""

    reads: ClassVar[bool] = True

    protocol: Literal["expected_information"]
    folder: PathText | None = None
    """Folder of the candidates, or the name of a shipped one: faces; absent means points of the generator's latent
    space."""
    features: Literal["latents", "pictures"] = "latents"
    """What answers are taken to depend on. "latents": the latent of each picture, ``latents.json`` in its folder.
    "pictures": features of the pictures that early vision answers to, ``features.json``, which
    ``python -m models.encoding.candidates FOLDER`` writes; they tell more where a brain answers what is seen."""
    points: Annotated[int, Field(ge=2, le=10_000)] = 200
    """Without a folder: how many random points are candidates."""
    spread: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Without a folder: standard deviation of every coordinate of a point; of a generator's own latents it is 1."""
    choose: Literal["expected_information", "random"] = "expected_information"
    """"random" shows the same candidates in random order: the control."""
    encoding: PathText | None = None
    """A bundle, the session's own, whose encoding model says what is expected to be read of each picture: the protocol
    begins with it instead of learning that anew. Its training writes one where the readout dreams
    (``readout.name = "dreamed"``, ``"dreamed-network"``). Needs a folder, and no ``features``."""
    learns: bool = True
    """With ``encoding``: whether the session's readings change what is expected, and how far the bundle's model is
    believed beside them; if not, only what was shown counts."""
    trials: Count = 100
    """After how many trials the experiment ends."""
    repeats: Count = 1
    """How often one candidate may be shown at most."""
    seed: Seed = 0
    """Which random points, and which random order."""

    @property
    def draws_latents(self) -> bool:  # type: ignore[override]  # a constant of other protocols
        """Whether its stimuli are latents, which the session's bundle must draw."""
        return self.folder is None

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the pictures' folder where it is, beside the file or elsewhere."""
        return self.model_copy(
            update={
                "folder": self.folder and locate(self.folder, folder, "stimuli"),
                "encoding": self.encoding and locate(self.encoding, folder, "bundles"),
            }
        )

    @model_validator(mode="after")
    def _features_are_of_files(self) -> Self:
        if self.features == "pictures" and self.folder is None:
            raise ValueError(
                'features = "pictures" needs the folder of the pictures; points have latents alone'
            )
        if self.encoding is not None and (self.folder is None or self.features == "pictures"):
            raise ValueError(
                "encoding: the bundle's model looks at pictures by features of its own; it needs the folder of the "
                "pictures, and no features"
            )
        if self.encoding is None and not self.learns:
            raise ValueError(
                "learns = false needs an encoding: a bundle whose model is there from the beginning"
            )
        return self

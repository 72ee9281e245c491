"""The encoding model of a bundle: a section of bundle.json says what it is, one file of numbers holds it.

A decoder runs without it; an experiment that shows the picture expected to tell most begins with it
(`stimuli.protocols.expected_information`). It is read here, by the bundle's own hashes, so that the screen's programs
need no decoder for it.
"""

import io
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bci.errors import BundleError
from bci.io.files.hashed_folder import HashedFolder
from bci.io.files.npy import read_header
from bci.signal.picture_encoding import PictureEncoding
from bci.signal.picture_features import feature_count

#: Name of the file of numbers.
ENCODING = "encoding.npy"

_FOLDER = HashedFolder("bundle.json", "bundle", "export it again")
_LARGEST_TEXT = 2**20  # bytes of bundle.json
_VERSION = 1


class EncodingRecipe(BaseModel):
    """An EncodingRecipe says what the encoding model of a bundle looks at, and what it rests on."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: Literal[1] = 1
    """Layout of this section and of its file."""
    banks: tuple[Literal["brightness", "colour", "energy"], ...] = Field(min_length=1, max_length=3)
    """Features of pictures, of `bci.signal.picture_features.BANKS`."""
    height: int = Field(ge=8, le=8192, multiple_of=8)
    """At which pictures are looked at, pixels."""
    width: int = Field(ge=8, le=8192, multiple_of=8)
    """At which pictures are looked at, pixels."""
    components: int = Field(ge=1, le=1024)
    """Components of the features that answers are taken to depend on."""
    trials: int = Field(ge=1)
    """Training trials."""
    latents: Literal["standard normal"] = "standard normal"
    """The prior of the latents whose pictures it was dreamed with."""

    def shapes(self, latent: int) -> dict[str, tuple[int, ...]]:
        """Return the arrays of the file, in order, for a decoder that reads so many values."""
        f, k = feature_count(self.banks), self.components
        return {
            "mean": (f,),
            "scale": (f,),
            "axes": (f, k),
            "weights": (k + 1, latent),
            "noise": (latent, latent),
            "gram": (k + 1, k + 1),
        }


def encoding_part(encoding: PictureEncoding) -> tuple[EncodingRecipe, bytes]:
    """Return the section of bundle.json and the content of the file that hold an encoding model, in float32.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    height, width = encoding.size
    recipe = EncodingRecipe.model_validate(
        {"banks": encoding.banks, "height": height, "width": width}
        | {"components": encoding.axes.shape[1], "trials": encoding.trials}
    )
    parts = [np.ravel(getattr(encoding, name)) for name in recipe.shapes(encoding.latent)]
    numbers = np.concatenate(parts).astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError("expected an encoding model of finite numbers, came others")
    content = io.BytesIO()
    np.save(content, numbers, allow_pickle=False)
    return recipe, content.getvalue()


def parse_encoding(recipe: EncodingRecipe, content: bytes, latent: int) -> PictureEncoding:
    """Return the encoding model in a file's content, of a bundle that reads `latent` values.

    Raises
    ------
    BundleError
        If the file holds something else.
    """
    opened = io.BytesIO(content)
    offset, dtype, shape, _ = read_header(ENCODING, opened, len(content), BundleError)
    shapes = recipe.shapes(latent)
    sizes = [int(np.prod(one)) for one in shapes.values()]
    if dtype != np.float32 or shape != (sum(sizes),):
        raise BundleError(
            f"{ENCODING}: expected {sum(sizes)} numbers, float32, as bundle.json says, came {dtype} {shape}. Train the "
            "bundle again."
        )
    numbers = np.frombuffer(content, np.float32, offset=offset).astype(np.float64)
    arrays: dict[str, NDArray[np.float64]] = {
        name: part.reshape(one)
        for (name, one), part in zip(shapes.items(), np.split(numbers, np.cumsum(sizes)[:-1]), strict=True)
    }
    if not np.isfinite(numbers).all() or not (arrays["scale"] > 0).all():
        raise BundleError(
            f"{ENCODING}: expected finite numbers and scales above 0, came others. Train the bundle again."
        )
    return PictureEncoding(
        banks=recipe.banks, size=(recipe.height, recipe.width), trials=recipe.trials, **arrays
    )


def read_encoding(folder: Path, identity: str | None = None) -> PictureEncoding:
    """Return the encoding model of a bundle, verified by its hash.

    Parameters
    ----------
    folder : Path
        The bundle's.
    identity : str, optional
        The hash that the bundle must have.

    Raises
    ------
    BundleError
        If it has none, is another bundle, or is not, or no longer, what bundle.json says.
    """
    text = _FOLDER.read(folder, _FOLDER.description, _LARGEST_TEXT)
    try:
        described: dict[str, Any] = json.loads(text)
        files: dict[str, str] = dict(described["files"])
        latent, section = int(described["latent"]), described.get("encoding")
        recipe = None if section is None else EncodingRecipe.model_validate(section)
    except (ValueError, TypeError, KeyError, RecursionError, ValidationError) as error:
        raise BundleError(
            f"{folder}: expected a bundle's description with an encoding model of version {_VERSION}, came: {error}. "
            "Export it again."
        ) from None
    if identity is not None and _FOLDER.identity(text, files) != identity:
        raise BundleError(
            f"{folder}: expected the bundle whose hash begins {identity[:12]}, which the session began with, came "
            "another. Put it back."
        )
    if recipe is None or ENCODING not in files:
        raise BundleError(f"{folder}: {no_encoding(folder.name)}")
    return parse_encoding(recipe, _FOLDER.read_verified(folder, ENCODING, files[ENCODING]), latent)


def no_encoding(name: str) -> str:
    """Return what is said of a bundle that has no encoding model."""
    return (
        f"expected a bundle with an encoding model, came {name!r}, which has none: it was trained with a readout that "
        'does not dream (readout.name = "dreamed" or "dreamed-network"), where ridge read better, or by an older '
        "release. Train it again, or leave encoding out: the protocol then learns anew."
    )

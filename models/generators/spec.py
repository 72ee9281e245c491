"""A GeneratorSpec is the content of generator.json: a generator's input, output and provenance.

Every part is frozen and refuses unknown keys, so a misspelt key is an error that names the key.
"""

from typing import Literal

from pydantic import Field, JsonValue

from bci.decoder.spec import FileName, ImageSpec, Provenance, Section, Sha256
from models.generators.rules import Rule

#: Name of the description in a package's folder, and of the graph beside it.
DESCRIPTION, GRAPH = "generator.json", "generator.onnx"

#: The file of a package that holds the network's weights, of those whose layers can be asked for.
WEIGHTS = "weights.safetensors"


class GeneratorSpec(Section):
    """A GeneratorSpec holds the content of generator.json.

    Attributes
    ----------
    schema_version : int
        Layout of this description.
    name, title : str
        The generator's name, and one sentence about it.
    architecture : mapping
        Kind and settings, as `models.generators.interface.build` takes them; of kind ``imported`` how a file from
        elsewhere was read, which nothing builds again.
    latent : int
        d.
    image : ImageSpec
        Size of the pictures and the values that mean black and full brightness.
    rule, limit : str, float
        What a decoded latent passes before it is drawn: kept, rescaled to norm √d, or truncated to ± limit.
    batch : int
        How many latents the graph takes at once: 1, or 0 for any number.
    provenance : Provenance
        Pictures, configuration, seeds, versions.
    scores : mapping
        What was measured on pictures held out, beside baselines.
    files : mapping of str to str
        SHA-256 of every other file; filled in when the package is saved.
    """

    schema_version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=100)
    title: str = ""
    architecture: dict[str, JsonValue]
    latent: int = Field(ge=1, le=2**20)
    image: ImageSpec
    rule: Rule = "keep"
    limit: float = Field(default=2.0, gt=0)
    batch: Literal[0, 1] = 0
    provenance: Provenance = Provenance()
    scores: dict[str, JsonValue] = Field(default_factory=dict)
    files: dict[FileName, Sha256] = Field(default_factory=dict)

"""A BundleSpec is what bundle.json says: the signal, window and pictures that a decoder was made for.

Every part is frozen and refuses unknown keys, so a misspelt key is an error that names the key.
"""

import math
import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    ValidationError,
    model_validator,
)

from bci.config.faults import describe_errors
from bci.decoder.pattern import MarkerPattern
from bci.decoder.result import PictureResult, Result
from bci.errors import BundleError
from bci.io.files.encoding import EncodingRecipe
from bci.signal.types import Signal

#: The layout of bundle.json that this release writes and reads.
SCHEMA_VERSION = 1

#: What is said of a decoder that was written although it read nothing, wherever it is used.
AT_CHANCE = "this decoder was no better than chance"

#: What is said of a decoder that no stream can feed, wherever it is used.
ONLY_EVALUATED = "this decoder can be evaluated, not run live"

#: Name of the description in a bundle's folder, and of the page for people beside it.
DESCRIPTION, CARD = "bundle.json", "card.md"

_LARGEST_ARRAY = 2**30  # bytes of one window or one picture
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Names that open a device instead of a file on Windows, with any extension.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))}


def _plain_name(name: str) -> str:
    """Accept only what names a file in the bundle's own folder on every platform."""
    if not _NAME.fullmatch(name) or name.endswith(".") or name.split(".")[0].lower() in _DEVICES:
        raise ValueError(
            f"a file of a bundle is named by letters, digits, '.', '_' and '-' alone, without a folder; got {name!r}"
        )
    return name


FileName = Annotated[str, AfterValidator(_plain_name)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Role = Literal["readout", "generator", "whole", "drawing"]
Precision = Literal["float32", "float16"]

#: What a session may ask of a card: ``tf32`` is the float32 graphs with inputs of products rounded to 10 bits.
Arithmetic = Literal["float32", "tf32", "float16"]


class Section(BaseModel):
    """A Section is one section of bundle.json: frozen, without unknown keys or infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SignalSpec(Section):
    """The signal that the bundle expects.

    Attributes
    ----------
    name : str
        Name of the stream that it was made with; any name is accepted later.
    rate : float
        Samples per second; 0 means irregular.
    shape : tuple of int
        Shape of one sample.
    channels : tuple of str
        Labels along the sample's first axis; empty when it has none.
    unit : str
        Unit of the values; empty when they have none.
    """

    name: str = "stream"
    rate: float = Field(ge=0)
    shape: tuple[Annotated[int, Field(ge=1, le=2**31)], ...] = Field(min_length=1, max_length=8)
    channels: tuple[str, ...] = ()
    unit: str = ""

    @classmethod
    def of(cls, signal: Signal) -> Self:
        """Describe a signal."""
        return cls(
            name=signal.name, rate=signal.rate, shape=signal.shape, channels=signal.channels, unit=signal.unit
        )

    @model_validator(mode="after")
    def _one_label_per_channel(self) -> Self:
        self.signal()
        return self

    def signal(self) -> Signal:
        """Return it as a `Signal`."""
        return Signal(self.name, self.rate, self.shape, self.channels, self.unit)


class WindowSpec(Section):
    """Sliding windows: length and hop, both counted in samples of the pipeline's output."""

    length: int = Field(ge=1)
    """How many samples are decoded at once."""
    hop: int = Field(ge=1)
    """How many samples from one window to the next."""

    def samples(self, rate: float) -> int:
        """Return the length of a window."""
        return self.length

    def __str__(self) -> str:
        return f"Windows of {self.length} samples every {self.hop}, counted after the pipeline"


class EpochSpec(Section):
    """Epochs: the samples around each marker.

    Attributes
    ----------
    start, stop : float
        Seconds from the marker: ``-0.2, 0.8``.
    markers : str
        Regular expression that the whole text of a marker must match (`bci.decoder.pattern`); the default takes every
        marker.
    """

    start: float
    stop: float
    markers: str = ".*"

    @model_validator(mode="after")
    def _can_be_cut(self) -> Self:
        if not self.start < self.stop <= self.start + 3600:
            raise ValueError(f"an epoch goes from start to a later stop; got {self.start} to {self.stop} s")
        try:
            MarkerPattern(self.markers)
        except ValueError as error:
            raise ValueError(f"markers: {error}; got {self.markers[:100]!r}") from None
        return self

    def samples(self, rate: float) -> int:
        """Return the length of an epoch at an output rate of `rate`."""
        return round((self.stop - self.start) * rate)

    def __str__(self) -> str:
        return (
            f"Epochs from {self.start:g} to {self.stop:g} s around each marker that matches `{self.markers}`"
        )


def _cut(window: object) -> str:
    keys = window if isinstance(window, dict) else getattr(window, "__dict__", {})
    return "epochs" if "start" in keys else "windows"


#: What is decoded; told apart by their keys.
Cut = Annotated[
    Annotated[WindowSpec, Tag("windows")] | Annotated[EpochSpec, Tag("epochs")], Discriminator(_cut)
]


class ImageSpec(Section):
    """Size of the pictures, and the values that mean black and full brightness in the generator's output."""

    height: int = Field(ge=1, le=8192)
    """Of the pictures, pixels."""
    width: int = Field(ge=1, le=8192)
    """Of the pictures, pixels."""
    low: float = -1.0
    """The value that means black."""
    high: float = 1.0
    """The value that means full brightness."""

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"the output range goes from low to high; got low={self.low}, high={self.high}")
        return self


class GraphSpec(Section):
    """One ONNX file: ``readout`` (window → latent), ``generator`` (latent → image) or ``whole`` (both).

    Of a result that is no picture, ``readout`` gives its values, and ``drawing`` (values → image) draws them.
    """

    file: FileName
    """Name of the .onnx file."""
    role: Role
    """The part of the decoder that it computes."""
    precision: Precision = "float32"
    """Of its weights and sums."""


class CpuOptions(Section):
    """CpuOptions configures the graphs on a CPU; tuned once, because choosing at load would defeat reproduction."""

    threads: int = Field(default=1, ge=1, le=256)
    """Threads of one decoder; sums depend on it."""


class CudaOptions(Section):
    """CudaOptions configures the graphs on an NVIDIA GPU.

    Attributes
    ----------
    graph : bool
        Capture a CUDA graph where the network allows it.
    tf32 : bool
        Let matrix products round their inputs to 10 bits of mantissa.
    convolution : str
        How cuDNN chooses its algorithm; ``exhaustive`` times them all at the first run, so two runs may differ.
    """

    graph: bool = True
    tf32: bool = False
    convolution: Literal["heuristic", "default", "exhaustive"] = "heuristic"


class Options(Section):
    """Options of each compute provider."""

    cpu: CpuOptions = CpuOptions()
    cuda: CudaOptions = CudaOptions()


class ConfidenceSpec(Section):
    """A ConfidenceSpec describes the decoder's confidence.

    Attributes
    ----------
    kind : str
        ``gaussian``: share of the latent's variance that the posterior explains. ``classifier``: probability of
        the class it stands for. ``none``: the decoder claims no confidence.
    calibrated_on : str
        The held-out data that it was calibrated on.
    classes : int
        Number of classes of a classifier: chance is one in so many.
    """

    kind: Literal["none", "gaussian", "classifier"] = "none"
    calibrated_on: str = ""
    classes: int = Field(default=2, ge=2)

    @model_validator(mode="after")
    def _claims_name_their_data(self) -> Self:
        if self.kind != "none" and not self.calibrated_on:
            raise ValueError(
                f"a {self.kind} confidence names the held-out data it was calibrated on in calibrated_on"
            )
        return self


class NoveltySpec(Section):
    """A NoveltySpec says that the readout's graph tells input unlike its training data: its output ``novelty``, (1,).

    At most 1 is like training, above 1 is not; then the reconstruction is invalid. A bundle without this section is of
    a release that had none: its confidence is not guarded.

    Attributes
    ----------
    calibrated_on : str
        The held-out data that the limits were drawn on.
    flagged : float
        Share of the trials of another held-out set, those that the bundle was scored on, that lie above 1.
    """

    calibrated_on: str = Field(min_length=1)
    flagged: float = Field(ge=0, le=1)


class Provenance(Section):
    """Provenance is the bundle's origin: files and their hashes, training configuration, seeds, library versions."""

    data: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each file that it was made from."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """The training file as read."""
    seeds: dict[str, int] = Field(default_factory=dict)
    """Every seed."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of the libraries."""


class BundleSpec(Section):
    """A BundleSpec holds the content of bundle.json.

    Attributes
    ----------
    schema_version : int
        Layout of this description.
    name, title : str
        What the bundle is called, and one sentence about it.
    signal, window, image : SignalSpec, WindowSpec or EpochSpec, ImageSpec
        What goes in, what is cut of it, and what comes out.
    live : bool
        Whether a stream can feed it. One that was trained on arrays of which no rate is stated can be evaluated alone.
    pixels : bool
        Whether the graphs make the bytes of the picture themselves: outputs ``pixels`` and ``finite`` beside ``image``.
    result : Result
        What is read: a picture, or without one class probabilities, a number or a word (`bci.decoder.result`).
    pipeline : tuple of mappings
        Steps from signal to window, as `bci.signal.pipeline.Pipeline.to_json` writes them.
    latent : int
        Size of the latent space; of a result that is no picture, how many values it has.
    graphs : tuple of GraphSpec
        A readout and a generator, or one whole graph; of a result that is no picture, a readout, and a drawing where
        a generator draws its values. Beside each a float16 twin where there is one.
    options : Options
        How to run them.
    confidence : ConfidenceSpec
        What the confidence means.
    novelty : NoveltySpec, optional
        Whether input unlike the training data is told, and how that was calibrated.
    recorded : str, optional
        File of windows on which another precision is compared with float32 (`bci.decoder.recorded`).
    encoding : EncodingRecipe, optional
        What its encoding model looks at, where it has one (`bci.io.files.encoding`).
    masked_limit : float
        Share of bad values in a window above which its reconstruction is invalid.
    provenance : Provenance
        Where it comes from.
    scores : mapping
        What evaluation found, with its baselines.
    files : mapping of str to str
        SHA-256 of every other file; filled in when the bundle is saved.
    """

    schema_version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=100)
    title: str = ""
    signal: SignalSpec
    pipeline: tuple[dict[str, JsonValue], ...] = ()
    window: Cut
    latent: int = Field(ge=1, le=2**20)
    image: ImageSpec
    live: bool = True
    pixels: bool = False
    result: Result = PictureResult()
    graphs: tuple[GraphSpec, ...] = Field(min_length=1, max_length=8)
    options: Options = Options()
    confidence: ConfidenceSpec = ConfidenceSpec()
    novelty: NoveltySpec | None = None
    recorded: FileName | None = None
    encoding: EncodingRecipe | None = None
    masked_limit: float = Field(default=0.2, ge=0, le=1)
    provenance: Provenance = Provenance()
    scores: dict[str, JsonValue] = Field(default_factory=dict)
    files: dict[FileName, Sha256] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _graphs_form_a_chain(self) -> Self:
        roles = sorted(graph.role for graph in self.graphs if graph.precision == "float32")
        if self.result.kind != "picture":
            if roles not in (["readout"], ["drawing", "readout"]):
                raise ValueError(
                    f"a bundle whose result is {self.result} has one readout alone, or with one drawing, in "
                    f"float32; got {roles}"
                )
            if "drawing" in roles and getattr(self.result, "pictures", None) is not None:
                raise ValueError("classes are drawn by a drawing or as pictures of their own; got both")
        elif roles not in (["whole"], ["generator", "readout"]):
            raise ValueError(
                f"a bundle has one readout and one generator, or one whole graph, in float32; got {roles}"
            )
        halves = [graph.role for graph in self.graphs if graph.precision == "float16"]
        if len(set(halves)) < len(halves) or not set(halves) <= set(roles):
            raise ValueError(f"each float16 graph is the twin of one float32 graph; got float16 {halves}")
        if self.pixels and set(roles) == {"readout"}:
            raise ValueError(
                "pixels are made by a generator, a drawing or a whole graph; got a readout alone"
            )
        return self

    @model_validator(mode="after")
    def _latent_is_the_result(self) -> Self:
        if self.result.size not in (None, self.latent):
            raise ValueError(
                f"latent is how many values the result has, {self.result.size} for {self.result}; got {self.latent}"
            )
        return self

    @model_validator(mode="after")
    def _epochs_wait_for_their_betas(self) -> Self:
        """Refuse epochs that begin where their trial's beta is not given: they would hold another trial's."""
        for step in self.pipeline:
            if step.get("step") != "single_trial_betas" or not isinstance(self.window, EpochSpec):
                continue
            wait = step.get("wait_s")
            if not isinstance(wait, int | float) or not math.isclose(wait, self.window.start, abs_tol=1e-6):
                raise ValueError(
                    f"betas are given wait_s after an onset, {wait} s, and an epoch that holds one begins then; got "
                    f"one from {self.window.start:g} s"
                )
        return self

    @property
    def value_names(self) -> tuple[str, ...]:
        """What each value of a reconstruction's latent is called for other programs, (latent,)."""
        return self.result.value_names(self.latent)

    @property
    def at_chance(self) -> bool:
        """Whether it was written although it was no better than chance; not where its scores do not say."""
        return self.scores.get("beats_chance") is False

    def graph(self, role: Role, precision: Precision = "float32") -> GraphSpec | None:
        """Return the graph that plays `role` at `precision`, or None."""
        for graph in self.graphs:
            if (graph.role, graph.precision) == (role, precision):
                return graph
        return None

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Self:
        """Read bundle.json.

        Raises
        ------
        BundleError
            If it is no JSON, of another schema version, or a key is unknown, missing or out of range; every fault
            is named on a line of its own.
        """
        try:
            version = _SchemaVersion.model_validate_json(text).schema_version
            if version != SCHEMA_VERSION:
                raise BundleError(
                    f"{where}: expected schema version {SCHEMA_VERSION}, came {version}. "
                    f"{'Update this program' if version > SCHEMA_VERSION else 'Export the bundle again'}."
                )
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise BundleError(
                f"{where} is not what a bundle's description must be:\n{describe_errors(error, cls)}\n"
                "Correct the keys named, or export the bundle again."
            ) from None


class _SchemaVersion(BaseModel):
    """The one key that every layout has, read first so that a newer layout is called newer, not misspelt."""

    schema_version: int


def check_size(what: str, shape: tuple[int, ...]) -> None:
    """Refuse an array that no decoder of this kind needs before anything is allocated for it.

    Raises
    ------
    BundleError
        If a float32 array of that shape is larger than 1 GiB.
    """
    nbytes = 4 * math.prod(shape)
    if nbytes > _LARGEST_ARRAY:
        raise BundleError(
            f"{what}: expected at most {_LARGEST_ARRAY / 2**30:.0f} GiB, came {nbytes / 2**30:.3g} GiB for shape "
            f"{shape}. Shorten the window, or reduce the signal in the pipeline."
        )

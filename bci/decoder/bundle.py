"""A Bundle is a trained decoder in a folder: description, pipeline, ONNX graphs, a card for people, hashes of all.

It is data, never code: nothing in it is unpickled or imported, every byte that is used was hashed, and the graphs
have run in a capped process (`bci.decoder.probe`) before they are loaded here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bci.decoder import matching
from bci.decoder.card import write_card
from bci.decoder.cut import Cut
from bci.decoder.epoch_cut import EpochCut
from bci.decoder.probe import chain_of, probe
from bci.decoder.recorded import read_recorded
from bci.decoder.sandbox import Chain
from bci.decoder.spec import (
    CARD,
    DESCRIPTION,
    Arithmetic,
    BundleSpec,
    EpochSpec,
    Precision,
    WindowSpec,
    check_size,
)
from bci.decoder.window_cut import WindowCut
from bci.decoder.wire import GraphFacts
from bci.errors import BundleError, ConfigError
from bci.io.files.encoding import ENCODING, parse_encoding
from bci.io.files.hashed_folder import HashedFolder, as_bytes
from bci.io.files.kinds import BUNDLE, kind_of, what_is
from bci.io.shipped import not_found, shipped_names
from bci.signal.pipeline import Pipeline
from bci.signal.run import NO_RUN, Run
from bci.signal.types import Signal

_FOLDER = HashedFolder(DESCRIPTION, "bundle", "export it again")
#: What is decoded where a stimulus comes again: each epoch alone, or the mean of its epochs so far.
Repeats = Literal["single", "mean"]

_LARGEST_TEXT = 2**20  # bytes of bundle.json

# What this process, or the one that started it, has tried and found sound: by bundle hash. Loading again costs only
# the hashing.
_tried: dict[str, Mapping[str, GraphFacts]] = {}


def take_over(tried: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Let bundles that another process of this session has tried (`Bundle.tried`) be loaded without a second trial.

    Bundles are known by the hash over all their files, which loading verifies as always.
    """
    for identity, files in tried.items():
        _tried.setdefault(identity, {name: GraphFacts.from_plain(facts) for name, facts in files.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A decoder that was read, verified and tried.

    Attributes
    ----------
    folder : Path
        Where it lies.
    spec : BundleSpec
        What bundle.json says.
    hash : str
        SHA-256 over the hashes of all its files, 64 hexadecimal digits: the bundle's identity.
    signal : Signal
        What it expects.
    pipeline : Pipeline
        From that signal to the samples that its windows are cut from.
    output : Signal
        What the pipeline gives.
    cut : Cut
        How windows are cut of what the pipeline gives, live and offline.
    facts : mapping of str to GraphFacts
        What each graph's file says about itself.
    """

    folder: Path
    spec: BundleSpec
    hash: str
    signal: Signal
    pipeline: Pipeline
    output: Signal
    cut: Cut
    facts: Mapping[str, GraphFacts]

    @property
    def name(self) -> str:
        """What the bundle is called."""
        return self.spec.name

    @property
    def length(self) -> int:
        """Samples of the pipeline's output in one window, or in one epoch."""
        return self.cut.length

    @property
    def hop(self) -> int:
        """Samples of the pipeline's output between two windows; an epoch's length where epochs are decoded."""
        return self.cut.hop

    @property
    def tried(self) -> dict[str, dict[str, Any]]:
        """What its trial has found, for `take_over` in another process: by the bundle's hash, by file."""
        return {self.hash: {name: facts.plain() for name, facts in self.facts.items()}}

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of its pictures."""
        return (self.spec.image.height, self.spec.image.width)

    @property
    def latent_size(self) -> int:
        """Size of its latent space; of a result that is no picture, how many values it has."""
        return self.spec.latent

    @property
    def palette(self) -> dict[str, Any]:
        """What stimuli can be made of with it: the fields of `stimuli.trials.Palette`.

        ``size`` of pictures; ``latent``, the size of the latent space if its generator can draw latents, else 0;
        ``reading``, how many values it reads of a trial.
        """
        return {
            "size": self.image_size,
            "latent": self.latent_size if self.spec.graph("generator") is not None else 0,
            "reading": self.latent_size,
        }

    @property
    def window_shape(self) -> tuple[int, ...]:
        """Shape of one window, samples first."""
        return (self.length, *self.output.shape)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read and verify a bundle, and try its graphs in a capped process.

        The trial is made once for each bundle and process; it costs about as much as starting Python.

        Parameters
        ----------
        path : str or Path
            The bundle's folder.

        Raises
        ------
        BundleError
            If the bundle is incomplete, damaged, of another version, inconsistent or hostile.
        ProviderError
            If ONNX Runtime is not installed.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise BundleError(
                f"expected a bundle's folder, came {folder}, which is none: {not_found(folder, 'bundles')}. "
                f"Check the path; shipped are {', '.join(shipped_names('bundles'))}."
            )
        if kind_of(folder) not in (BUNDLE, None):
            raise BundleError(f"expected a bundle's folder, came {folder}, which is {what_is(folder)}.")
        text = _FOLDER.read(folder, DESCRIPTION, _LARGEST_TEXT)
        spec = BundleSpec.from_json(text, str(folder / DESCRIPTION))
        needed = {CARD, *(graph.file for graph in spec.graphs)} | (
            {spec.recorded} if spec.recorded else set()
        )
        needed |= {ENCODING} if spec.encoding else set()
        _FOLDER.verify(folder, spec.files, needed, no_others=True)
        identity = _FOLDER.identity(text, spec.files)
        signal = spec.signal.signal()
        try:
            pipeline = Pipeline.from_json([dict(step) for step in spec.pipeline])
            # Started once, here, so that settings which ask for too much are refused before a session begins.
            output = pipeline.start(signal).output
        except (ConfigError, MemoryError) as error:
            raise BundleError(
                f"{folder}: expected a pipeline that fits its signal, came: {error}. Export the bundle again."
            ) from error
        window = (_samples(folder, spec, output), *output.shape)
        check_size(f"{folder}: one window", window)
        if isinstance(spec.window, WindowSpec):
            check_size(f"{folder}: one hop", (spec.window.hop, *output.shape))
        check_size(f"{folder}: one picture", (3, spec.image.height, spec.image.width))
        if spec.recorded is not None:
            read_recorded(_FOLDER.read(folder, spec.recorded), window)
        if spec.encoding is not None:
            parse_encoding(spec.encoding, _FOLDER.read(folder, ENCODING), spec.latent)
        if identity not in _tried:
            _tried[identity] = probe(folder, _chains(spec, window))
        return cls(
            folder, spec, identity, signal, pipeline, output, _cut(spec, signal, pipeline), _tried[identity]
        )

    def check(self, signal: Signal) -> None:
        """Compare a stream with the signal that this bundle was made for.

        Raises
        ------
        BundleMismatch
            Naming every difference.
        """
        matching.check(self.signal, signal, self.name)

    def adapt(self, signal: Signal, run: Run = NO_RUN) -> Pipeline:
        """Return the pipeline for a stream that holds the bundle's channels in any order, and others.

        Parameters
        ----------
        signal : Signal
            The stream's.
        run : Run
            What the session fixes beyond the bundle.

        Raises
        ------
        BundleMismatch
            As `check`.
        ConfigError
            If a step needs what the session does not fix.
        """
        return matching.adapt(self.signal, signal, self.pipeline, self.name, run)

    def reading(self, repeats: Repeats) -> Self:
        """Return the bundle as a session runs it: on single epochs, or on means over the repeats of a stimulus so far.

        Raises
        ------
        ConfigError
            If it decodes no epochs, and is to average them.
        """
        return self if repeats == "single" else replace(self, cut=self.cut.averaging(self.spec.masked_limit))

    def chain(self, precision: Precision = "float32") -> Chain:
        """Return the graphs that run at `precision`, in order, and their sizes."""
        return chain_of(self.spec, self.window_shape, precision)

    def reduced(self, precision: Arithmetic) -> frozenset[str]:
        """Return the roles of the graphs that do not compute in float32 when `precision` is asked for."""
        graphs = self.spec.graphs
        return frozenset(
            graph.role for graph in graphs if precision == "tf32" or graph.precision == precision != "float32"
        )

    def recorded(self) -> NDArray[np.float32]:
        """Return windows that were recorded, (n, *window_shape); none of a bundle that holds none.

        Raises
        ------
        BundleError
            If their file is not, or no longer, what the bundle says.
        """
        if self.spec.recorded is None:
            return np.empty((0, *self.window_shape), np.float32)
        return read_recorded(self.read(self.spec.recorded), self.window_shape)

    def read(self, name: str) -> bytes:
        """Return one file, verified at this moment.

        Raises
        ------
        BundleError
            If it is not, or no longer, what the bundle says.
        """
        if name not in self.spec.files:
            raise BundleError(
                f"{self.folder}: there is no {name!r}; it has {', '.join(sorted(self.spec.files))}"
            )
        return _FOLDER.read_verified(self.folder, name, self.spec.files[name])


def save_bundle(folder: str | Path, spec: BundleSpec, files: Mapping[str, bytes | str | Path]) -> Bundle:
    """Write a bundle, with its hashes and its card, and load it as a check.

    It is assembled and tried beside its place and then moved there; a bundle that was there is replaced.

    Parameters
    ----------
    folder : str or Path
        Where it goes.
    spec : BundleSpec
        The description; its `files` are filled in here.
    files : mapping of str to bytes, str or Path
        Content of every ONNX file named by the spec: bytes, or the file to copy. ``card.md`` is written from the
        spec unless it is given too, as text or file.

    Raises
    ------
    BundleError
        If `folder` holds something that is no bundle, or what was written does not load.
    """
    folder = Path(folder)
    contents = {name: as_bytes(given) for name, given in files.items()}
    contents.setdefault(CARD, write_card(spec).encode())
    _FOLDER.write(folder, contents, lambda hashes: _described(spec, hashes), Bundle.load)
    return Bundle.load(folder)


def _described(spec: BundleSpec, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return what bundle.json says, with the hashes of the other files."""
    described = spec.model_copy(update={"files": dict(hashes)}).model_dump(mode="json")
    if spec.result.kind == "picture":
        # The default is not written: older releases read such a bundle, and a picture's bytes stay what they were.
        del described["result"]
    if getattr(spec.result, "pictures", "") is None:
        del described["result"]["pictures"]  # bars, as always: older releases read them
    if spec.novelty is None:
        del described["novelty"]
    if spec.recorded is None:
        del described["recorded"]
    if spec.encoding is None:
        del described["encoding"]
    if spec.live:
        del described["live"]  # as with all bundles of older releases
    if not spec.pixels:
        del described["pixels"]
    return described


def _cut(spec: BundleSpec, signal: Signal, pipeline: Pipeline) -> Cut:
    if isinstance(spec.window, EpochSpec):
        return EpochCut(spec.window, signal, pipeline)
    return WindowCut(spec.window, signal, pipeline)


def _samples(folder: Path, spec: BundleSpec, output: Signal) -> int:
    """Return the length of what is decoded, once it is known to have one."""
    samples = spec.window.samples(output.rate)
    if samples < 1 or (isinstance(spec.window, EpochSpec) and not output.rate):
        raise BundleError(
            f"{folder}: expected epochs of at least one sample of a regular signal, came {spec.window} of "
            f"{output.rate:g} Hz. Export the bundle again."
        )
    return samples


def require_place(folder: Path) -> None:
    """Refuse, before minutes are spent, a place where no bundle can be written.

    Raises
    ------
    BundleError
        If `folder` holds something that is no bundle.
    """
    _FOLDER.require_place(folder)


def _chains(spec: BundleSpec, window: tuple[int, ...]) -> list[Chain]:
    precisions = sorted({graph.precision for graph in spec.graphs})
    return [chain_of(spec, window, precision) for precision in precisions]

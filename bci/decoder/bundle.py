"""A Bundle is a trained decoder in a folder: description, pipeline, ONNX graphs, a card for people, hashes of all.

It is data, never code: nothing in it is unpickled or imported, every byte that is used was hashed, and the graphs
have run in a capped process (`bci.decoder.probe`) before they are loaded here.
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Self

from bci.decoder import matching
from bci.decoder.card import write_card
from bci.decoder.cut import Cut
from bci.decoder.epoch_cut import EpochCut
from bci.decoder.probe import chain_of, probe
from bci.decoder.sandbox import Chain
from bci.decoder.spec import CARD, DESCRIPTION, BundleSpec, EpochSpec, Precision, WindowSpec, check_size
from bci.decoder.window_cut import WindowCut
from bci.decoder.wire import GraphFacts
from bci.errors import BundleError, ConfigError
from bci.signal.pipeline import Pipeline
from bci.signal.run import NO_RUN, Run
from bci.signal.types import Signal

_LARGEST_TEXT = 2**20  # bytes of bundle.json or card.md
_LARGEST_GRAPH = 2**31  # where a protocol buffer ends

# What this process has tried and found sound: by bundle hash. Loading again costs only the hashing.
_tried: dict[str, Mapping[str, GraphFacts]] = {}


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
    def image_size(self) -> tuple[int, int]:
        """Height and width of its pictures."""
        return (self.spec.image.height, self.spec.image.width)

    @property
    def latent_size(self) -> int:
        """Size of its latent space."""
        return self.spec.latent

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
            raise BundleError(f"expected a bundle's folder, came {folder}, which is none. Check the path.")
        text = _read(folder, DESCRIPTION, _LARGEST_TEXT)
        spec = BundleSpec.from_json(text, str(folder / DESCRIPTION))
        _verify_files(folder, spec)
        identity = _identity(text, spec)
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

    def chain(self, precision: Precision = "float32") -> Chain:
        """Return the graphs that run at `precision`, in order, and their sizes."""
        return chain_of(self.spec, self.window_shape, precision)

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
        content = _read(self.folder, name, _LARGEST_GRAPH)
        if hashlib.sha256(content).hexdigest() != self.spec.files[name]:
            raise BundleError(_changed(self.folder, name))
        return content


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
    require_place(folder)
    contents = {name: _content(name, given) for name, given in files.items()}
    contents.setdefault(CARD, write_card(spec).encode())
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    filled = spec.model_copy(update={"files": hashes})
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as workshop:
        new = Path(workshop) / folder.name
        new.mkdir()
        for name, content in contents.items():
            (new / name).write_bytes(content)
        text = json.dumps(filled.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        (new / DESCRIPTION).write_bytes(text.encode() + b"\n")
        Bundle.load(new)
        if folder.exists():
            os.replace(folder, Path(workshop) / "old")
        os.replace(new, folder)
    return Bundle.load(folder)


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
    if (
        folder.exists()
        and not (folder / DESCRIPTION).is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise BundleError(
            f"expected a new folder or a bundle to replace, came {folder}. Choose another place (--out)."
        )


def _content(name: str, given: bytes | str | Path) -> bytes:
    if isinstance(given, bytes):
        return given
    return given.read_bytes() if isinstance(given, Path) else given.encode()


def _chains(spec: BundleSpec, window: tuple[int, ...]) -> list[Chain]:
    precisions = sorted({graph.precision for graph in spec.graphs})
    return [chain_of(spec, window, precision) for precision in precisions]


def _identity(description: bytes, spec: BundleSpec) -> str:
    """Return the hash over all file hashes."""
    hashes = {**spec.files, DESCRIPTION: hashlib.sha256(description).hexdigest()}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _verify_files(folder: Path, spec: BundleSpec) -> None:
    """Compare the folder with the list of files, name by name and byte by byte."""
    wanted = {CARD, *(graph.file for graph in spec.graphs)}
    if unlisted := wanted - set(spec.files):
        raise BundleError(
            f"{folder}: expected a SHA-256 of every file, came none for {', '.join(sorted(unlisted))}. "
            "Export the bundle again."
        )
    if unknown := {p.name for p in folder.iterdir() if p.name[0] != "."} - set(spec.files) - {DESCRIPTION}:
        raise BundleError(
            f"{folder}: expected the files that {DESCRIPTION} lists and no others, came {', '.join(sorted(unknown))}. "
            "Move them elsewhere."
        )
    for name, digest in spec.files.items():
        with _open(folder, name, _LARGEST_GRAPH) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise BundleError(_changed(folder, name))


def _open(folder: Path, name: str, largest: int) -> BufferedReader:
    """Open a file of the bundle, once it is known to be one: in the folder, regular, not too large."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(
            f"{path}: expected a file in the bundle's folder, came a link to {path.resolve()}. Copy it in."
        )
    try:
        status = path.stat()
    except OSError as error:
        raise BundleError(
            f"{path}: expected a file of the bundle, came: {error.strerror}. Copy or export it again."
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path}: expected a regular file, came something else. Copy or export it again.")
    if status.st_size > largest:
        raise BundleError(
            f"{path}: expected at most {largest / 1e6:.0f} MB, came {status.st_size / 1e6:.0f} MB. Reduce it."
        )
    return path.open("rb")


def _read(folder: Path, name: str, largest: int) -> bytes:
    with _open(folder, name, largest) as file:
        return file.read()


def _changed(folder: Path, name: str) -> str:
    return (
        f"{folder / name}: expected the file whose SHA-256 {DESCRIPTION} gives, came other bytes. "
        "Copy the bundle again from where it was published, or export it again."
    )

"""A GeneratorPackage is a trained generator in a folder, for trainers, analyses and the export of decoders.

::

    generator.json   input and output, rule for its latents, provenance, scores, hashes
    generator.onnx   latent (n, d) → image (n, 3, height, width), any n or one, the rule not applied
    card.md          the same for people
    training.json    what was seen at each look, samples.png a sheet of pictures

Like a decoder's bundle it is data, never code, and its graph has run in a capped process (`bci.decoder.probe`) before
it is loaded here. It is no decoder: `models.generators.frozen.for_decoder` makes of it the graph that a decoder's
bundle holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bci.config.faults import describe_errors
from bci.decoder.bundle import Bundle
from bci.decoder.probe import probe
from bci.decoder.providers import open_cpu_session
from bci.decoder.quantiser import Quantiser
from bci.decoder.sandbox import Chain
from bci.decoder.spec import CARD, check_size
from bci.errors import BundleError, BundleMismatch
from bci.io.files.capped import printable
from bci.io.files.hashed_folder import HashedFolder, as_bytes
from bci.io.files.kinds import what_is
from bci.io.shipped import SHIPPED, not_found
from models.generators.rules import Rule, apply_rule
from models.generators.spec import DESCRIPTION, GRAPH, GeneratorSpec

_FOLDER = HashedFolder(DESCRIPTION, "generator's package", "train the generator again")
_LARGEST_TEXT = 2**20  # bytes of generator.json
# In one run of the graph: latents, and bytes of their pictures.
_AT_ONCE, _MOST_PICTURES = 32, 2**28
Floats = NDArray[np.float32]

# Packages that this process has tried and found sound, by their hash.
_tried: set[str] = set()


@dataclass(frozen=True, eq=False)
class GeneratorPackage:
    """A GeneratorPackage is a generator that was read from its folder and verified.

    Attributes
    ----------
    folder : Path
        Where it lies.
    spec : GeneratorSpec
        Content of generator.json.
    hash : str
        SHA-256 over the hashes of all its files: the package's identity.
    """

    folder: Path
    spec: GeneratorSpec
    hash: str

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read and verify a package, and try its graph in a capped process.

        The trial is made once for each package and process; it costs about as much as starting Python.

        Raises
        ------
        BundleError
            If it is incomplete, damaged, of another version, hostile, or its graph is no generator's.
        ProviderError
            If ONNX Runtime is not installed.
        """
        folder = Path(path)
        spec, identity = _read(folder)
        if identity not in _tried:
            _try_graph(folder, spec)
            _tried.add(identity)
        return cls(folder, spec, identity)

    @property
    def graph(self) -> bytes:
        """The ONNX graph, verified at this moment.

        Raises
        ------
        BundleError
            If its hash is no longer the one in the description.
        """
        return _FOLDER.read_verified(self.folder, GRAPH, self.spec.files[GRAPH])

    @cached_property
    def session(self) -> Any:
        """An ONNX Runtime session of the graph on the CPU, with one thread, as a decoder runs it."""
        return open_cpu_session(self.graph, threads=1)

    def draw(self, latents: Floats, *, rule: Rule | None = None) -> NDArray[np.uint8]:
        """Draw latents, (n, d): (n, height, width, 3) uint8.

        Parameters
        ----------
        latents : (n, d) float32
            Any number.
        rule : str, optional
            Another than the package's own.

        Raises
        ------
        BundleMismatch
            If these are latents of another generator.
        BundleError
            If the graph does not run with these latents, or a picture is not finite.
        """
        latents = np.asarray(latents, np.float32)
        if latents.ndim != 2 or latents.shape[1] != self.spec.latent:
            raise BundleMismatch(
                f"expected latents of {self.spec.name}, (n, {self.spec.latent}), came {latents.shape}. "
                "Use the latents that belong to this generator."
            )
        ruled = apply_rule(latents, rule or self.spec.rule, self.spec.limit)
        drawn = np.empty((len(latents), *self._quantise.shape), np.uint8)
        batch = _at_once(self.spec)
        for i in range(0, len(latents), batch):
            planes = self._run(ruled[i : i + batch])
            for k, image in enumerate(planes, i):
                levels = self._quantise(image)
                if levels is None:
                    raise BundleError(
                        f"{self.folder}: expected finite pictures, came others for latent {k} of {len(latents)}. "
                        "Check that the latents are finite; else train the generator again."
                    )
                drawn[k] = levels
        return drawn

    @cached_property
    def _quantise(self) -> Quantiser:
        """The conversion of values to levels, as in a decoder."""
        return Quantiser(self.spec.image)

    def _run(self, ruled: Floats) -> Floats:
        """Pass latents, (n, d), through the graph: (n, 3, height, width)."""
        try:
            planes: Floats = self.session.run(["image"], {"latent": ruled})[0]
        except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
            raise BundleError(
                f"{self.folder}: expected a graph that runs with any latents, came: {printable(error)}. Train the "
                "generator again."
            ) from error
        if planes.shape != (len(ruled), 3, *self._quantise.shape[:2]):
            raise BundleError(
                f"{self.folder}: expected pictures of shape {(len(ruled), 3, *self._quantise.shape[:2])} for these "
                f"latents, came {planes.shape}. Train the generator again."
            )
        return planes


def _read(folder: Path) -> tuple[GeneratorSpec, str]:
    """Read a package's description, compare every file with its hash, and return it with the package's own."""
    if not (folder / DESCRIPTION).is_file():
        came = what_is(folder) if folder.exists() else f"nothing: {not_found(folder, 'bundles')}"
        raise BundleError(
            f"expected a generator's folder with {DESCRIPTION}, came {folder}, which is {came}. Check the path."
        )
    text = _FOLDER.read(folder, DESCRIPTION, _LARGEST_TEXT)
    try:
        spec = GeneratorSpec.model_validate_json(text, strict=True)
    except ValidationError as error:
        faults = describe_errors(error, GeneratorSpec)
        raise BundleError(
            f"{folder / DESCRIPTION} is not what a generator's description must be:\n{faults}\n"
            "Correct the keys named, or train the generator again."
        ) from None
    _FOLDER.verify(folder, spec.files, {GRAPH, CARD}, no_others=False)
    return spec, _FOLDER.identity(text, spec.files)


def _at_once(spec: GeneratorSpec) -> int:
    """Return how many latents go through the graph in one run."""
    fitting = max(1, min(_AT_ONCE, _MOST_PICTURES // (12 * spec.image.height * spec.image.width)))
    return spec.batch or fitting


def _try_graph(folder: Path, spec: GeneratorSpec) -> None:
    """Refuse a graph with control flow, tensors elsewhere, other sizes than stated, or no bounds."""
    picture = (spec.image.height, spec.image.width)
    check_size(f"{folder}: one picture", (3, *picture))
    chain = Chain(
        graphs=(("generator", GRAPH, spec.files[GRAPH]),),
        window=(),
        latent=spec.latent,
        image=picture,
        confidence=False,
        free_batch=_at_once(spec),
    )
    facts = probe(folder, [chain])[GRAPH]
    if facts.control_flow:
        raise BundleError(
            f"{folder / GRAPH}: expected a graph without control flow, came {', '.join(facts.control_flow)}. "
            "Export the generator again."
        )


def save_package(
    folder: str | Path, spec: GeneratorSpec, files: Mapping[str, bytes | str]
) -> GeneratorPackage:
    """Write a package with its hashes, and load it as a check; an existing package is replaced.

    Parameters
    ----------
    folder : str or Path
        Where it goes.
    spec : GeneratorSpec
        The description; its `files` are filled in here.
    files : mapping of str to bytes or str
        Content of ``generator.onnx``, ``card.md`` and whatever goes with them.

    Raises
    ------
    BundleError
        If `folder` holds something that is no package, or the written package does not load.
    """
    folder = Path(folder)
    _FOLDER.write(
        folder,
        {name: as_bytes(given) for name, given in files.items()},
        lambda hashes: spec.model_copy(update={"files": hashes}).model_dump(mode="json"),
        GeneratorPackage.load,
    )
    return GeneratorPackage.load(folder)


def package_of(bundle: Bundle) -> GeneratorPackage | None:
    """Return the generator's package that a bundle was trained with, from beside it or from those shipped."""
    wanted = {digest for name, digest in bundle.spec.provenance.data.items() if name.startswith("generator ")}
    for place in dict.fromkeys((bundle.folder.resolve().parent, SHIPPED["bundles"])):
        for folder in sorted(place.iterdir()) if place.is_dir() else ():
            if (folder / DESCRIPTION).is_file():
                try:
                    # Only the one that is wanted is tried: a stranger beside the bundle costs no more than its hash.
                    if _read(folder)[1] in wanted:
                        return GeneratorPackage.load(folder)
                except BundleError:
                    continue  # a damaged neighbour is none of ours
    return None


def require_place(folder: Path) -> None:
    """Refuse a place that holds something else than a package, before a long training begins.

    Raises
    ------
    BundleError
        If it does.
    """
    _FOLDER.require_place(folder)

"""Import a generator from elsewhere: looked at and run in a capped child, read, adapted, compared, drawn, packaged.

::

    FILE.onnx ── capped child: inputs, outputs ──> Reading (found or stated)
              ── capped child: pictures of known latents ──> range, whether any batch fits
              ── adapted graph ──> package ──> the same latents drawn again, compared picture by picture
"""

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.probe import BASE_BYTES, PER_BYTE, TIME_LIMIT_S
from bci.decoder.quantiser import Quantiser
from bci.decoder.spec import CARD, ImageSpec, Provenance, check_size
from bci.errors import BundleError
from bci.io.files.capped import ChildLimits, ask
from bci.io.files.folder import path_name
from bci.io.files.npy import load_array
from bci.io.files.regular import require_regular
from bci.io.files.scratch import scratch_folder
from models.generators.adversarial.record import grid
from models.generators.imported.adapted import adapt
from models.generators.imported.card import describe, reading_sheet
from models.generators.imported.reading import Asked, Reading, find_range, read_graph
from models.generators.imported.trial import DRAWN, Tensor
from models.generators.package import GeneratorPackage, require_place, save_package
from models.generators.rules import Rule
from models.generators.spec import GRAPH, WEIGHTS, GeneratorSpec
from models.provenance import versions

#: Bytes of the largest file; protocol buffers end at 2 GiB.
LARGEST_FILE = 2 * 2**30 - 1

_TRIAL = "models.generators.imported.trial"
_SEED, _SHOWN, _MOST_BYTES = 0, 96, 48 << 20
# How far pictures drawn together may differ from those drawn one by one, as a share of the range: the order of sums.
_SAME = 1e-3
_PACKAGES = ("numpy", "onnx", "onnxruntime", "pillow")
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Wish:
    """A Wish is how the package is to be called and what its latents pass.

    Attributes
    ----------
    name, title : str
        The package's; an empty name is the file's.
    rule, limit : str, float
        See `models.generators.rules.Rule`.
    memory_limit_mb, time_limit_s : float
        What the child that tries the file may use; 0 for memory leaves it to the file's size.
    architecture, origin : mapping, Path
        Of weights whose architecture is known: what builds it, and the file that they came in.
    """

    name: str = ""
    title: str = ""
    rule: Rule = "keep"
    limit: float = 2.0
    memory_limit_mb: float = 0.0
    time_limit_s: float = TIME_LIMIT_S
    architecture: Mapping[str, Any] | None = None
    origin: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """An Imported is a package made of an unknown file, and how that was understood.

    Attributes
    ----------
    package : GeneratorPackage
        As any other.
    reading : Reading
        What each input and the output are.
    unchanged : bool
        Whether the package holds the file's graph, byte for byte.
    alike : float
        Share of pixels, of latents drawn by the file as it came and by the package, that are equal.
    """

    package: GeneratorPackage
    reading: Reading
    unchanged: bool
    alike: float


def import_generator(file: Path, out: Path, asked: Asked, wish: Wish) -> Imported:
    """Make a package of an ONNX file.

    Parameters
    ----------
    file : Path
        The graph, weights inside.
    out : Path
        Folder of the package; an earlier package there is replaced, anything else refused.
    asked : Asked
        What is stated of it.
    wish : Wish
        Name, rule for latents, limits of the trial.

    Raises
    ------
    BundleError
        If the file is hostile, damaged or no generator, something must be stated that is not, the latent changes
        nothing, or the package draws other pictures than the file. Nothing is written then.
    """
    require_place(out)
    require_regular(file, BundleError, largest=LARGEST_FILE)
    graph = file.read_bytes()
    child = _Child(file, hashlib.sha256(graph).hexdigest(), wish)
    reading = read_graph(file.name, *child.look(), asked)
    check_size(f"{file.name}: one picture", (3, reading.height, reading.width))
    check_size(f"{file.name}: a latent", (reading.size,))
    latents = _prior(reading.size, _fitting(reading))
    planes = child.draw(reading, [latents[k : k + 1] for k in range(len(latents))])
    _require_response(file.name, planes)
    ends = find_range(file.name, reading.image.kind, planes, asked)
    within = _SAME * (ends[1] - ends[0])
    single = reading.single or not child.draws_together(reading, latents[:3], planes[:3], within)
    adapted = adapt(graph, reading, single=single)
    spec = _spec(file, child.digest, reading, ends, wish, single=single)
    with scratch_folder("bci-import-") as aside:
        package = save_package(aside / "package", spec, {GRAPH: adapted, CARD: ""})
        alike = _compare(package, latents, planes)
        shown = package.draw(_prior(reading.size, _SHOWN))
    sheet = io.BytesIO()
    Image.fromarray(grid(shown, 12)).save(sheet, "PNG", optimize=True)
    unchanged = adapted == graph
    files: dict[str, bytes | str] = {
        GRAPH: adapted,
        "samples.png": sheet.getvalue(),
        "reading.png": reading_sheet(shown[:8]),
        CARD: describe(spec, reading, unchanged=unchanged, alike=alike),
    }
    if wish.origin is not None:
        files[WEIGHTS] = wish.origin.read_bytes()
    return Imported(save_package(out, spec, files), reading, unchanged, alike)


class _Child:
    """Tries one file in capped processes."""

    def __init__(self, file: Path, digest: str, wish: Wish) -> None:
        self.file, self.digest, self._wish = file, digest, wish

    def look(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the graph's inputs and outputs."""
        said = self._ask({}, 0)
        return tuple(
            [Tensor(t["name"], t["kind"], tuple(t["shape"])) for t in said[which]]
            for which in ("inputs", "outputs")
        )

    def draw(self, reading: Reading, sets: Sequence[Floats]) -> Floats:
        """Return the pictures of every set of latents, (n, 3, height, width), in the graph's own range."""
        drawn = self._drawn(reading, sets, may_fail=False)
        assert drawn is not None  # else it was refused
        return drawn

    def draws_together(self, reading: Reading, latents: Floats, alone: Floats, within: float) -> bool:
        """Return whether several latents at once give what each gives alone."""
        together = self._drawn(reading, [latents], may_fail=True)
        return together is not None and bool(np.abs(together - alone).max() <= within)

    def _drawn(self, reading: Reading, sets: Sequence[Floats], *, may_fail: bool) -> Floats | None:
        with scratch_folder("bci-import-") as folder:
            for k, latents in enumerate(sets):
                np.savez(folder / f"feed-{k}.npz", **reading.feed(latents))
            request = {
                "folder": str(folder), "feeds": len(sets), "output": reading.image.name, "may_fail": may_fail,
            }  # fmt: skip
            values = sum(latents.size for latents in sets)
            pictures = sum(len(latents) for latents in sets) * reading.planes * reading.height * reading.width
            if self._ask(request, 8 * (values + 4 * pictures))["failed"]:
                return None
            drawn = load_array(folder / DRAWN, BundleError, largest=2 * _MOST_BYTES)
        shape = (len(sets), len(sets[0]), *_sizes(reading))
        if drawn.shape != shape:
            if may_fail:
                return None
            raise BundleError(
                f"{self.file.name}: expected pictures of the shape that it declares, {shape[1:]}, came "
                f"{drawn.shape[1:]}. Export it again."
            )
        return reading.planes_of(drawn.reshape(-1, *shape[2:]))

    def _ask(self, request: dict[str, Any], arrays: int) -> dict[str, Any]:
        size = self.file.stat().st_size
        memory = int(self._wish.memory_limit_mb * 1e6) or BASE_BYTES + PER_BYTE * (size + arrays)
        limits = ChildLimits(
            memory=memory,
            seconds=self._wish.time_limit_s,
            expected="a generator that loads and draws",
            advice="Do not use it; if you know where it comes from, allow it more with --memory-limit and "
            "--time-limit.",
        )
        whole = {"file": str(self.file.resolve()), "sha256": self.digest, **request}
        return ask(_TRIAL, whole, limits, lambda words: BundleError(f"{self.file}: {words}"))


def _sizes(reading: Reading) -> tuple[int, ...]:
    """Return the shape of one picture as the graph gives it."""
    planar = (reading.planes, reading.height, reading.width)
    return planar if reading.layout == "NCHW" else (reading.height, reading.width, reading.planes)


def _fitting(reading: Reading) -> int:
    """Return how many pictures are compared: what a child may leave in a file, at least three and at most 16."""
    one = 8 * math.prod(_sizes(reading))
    return max(3, min(16, _MOST_BYTES // one))


def _prior(size: int, n: int) -> Floats:
    return np.random.default_rng(_SEED).standard_normal((n, size), np.float32)


def _require_response(name: str, planes: Floats) -> None:
    """Refuse a graph whose pictures do not depend on what is taken for the latent."""
    if np.isfinite(planes).all() and float(np.ptp(planes, axis=0).max()) == 0.0:
        raise BundleError(
            f"{name}: expected another picture for another latent, came {len(planes)} equal ones. Name the input "
            f"that is "
            "the latent with --latent-input."
        )


def _spec(
    file: Path, digest: str, reading: Reading, ends: tuple[float, float], wish: Wish, *, single: bool
) -> GeneratorSpec:
    """Describe the package."""
    if wish.origin is not None:
        file, digest = wish.origin, hashlib.sha256(wish.origin.read_bytes()).hexdigest()
    title = wish.title or f"Pictures of {reading.width} x {reading.height} pixels, imported from {file.name}"
    return GeneratorSpec(
        name=wish.name or path_name(file.stem),
        title=title,
        architecture=dict(wish.architecture or {"kind": "imported", **reading.facts()}),
        latent=reading.size,
        image=ImageSpec(height=reading.height, width=reading.width, low=ends[0], high=ends[1]),
        rule=wish.rule,
        limit=wish.limit,
        batch=1 if single else 0,
        provenance=Provenance(
            data={file.name: digest}, seeds={"samples": _SEED}, versions=versions(_PACKAGES)
        ),
    )


def _compare(package: GeneratorPackage, latents: Floats, planes: Floats) -> float:
    """Return the share of equal pixels between the file's own pictures and the package's.

    Raises
    ------
    BundleError
        If more than one in a thousand differs by more than one level.
    """
    quantise = Quantiser(package.spec.image)
    expected = [quantise(picture) for picture in planes]
    came = package.draw(latents, rule="keep")
    differences = np.abs(np.stack([e for e in expected if e is not None]).astype(int) - came)
    if np.mean(differences > 1) > 1e-3:
        raise BundleError(
            f"{package.folder}: expected a package that draws what the file draws, came "
            f"{100 * np.mean(differences > 1):.2g} % "
            "of pixels more than a level off. This is a fault of the import: please report it with the file."
        )
    return float(np.mean(differences == 0))

"""Generators from elsewhere, imported: those of this house bit for bit, others as they draw, hostile ones not at all.

Every generator that is shipped is imported again from its graph: the bytes of the graph, and of the pictures of 32
latents, must be equal. Graphs as other programs write them (`benchmarks.foreign_generators`) must draw what NumPy says,
within the level that the order of a sum may move. Files that are hostile, damaged or no generators must be refused, in
words that name what is wrong, and nothing may be written.

::

    python -m benchmarks.import_generator [--json]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import BundleError
from bci.io.shipped import SHIPPED
from benchmarks.foreign_generators import LATENT, Foreign, Hostile, foreign, hostile
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.generators.imported.importing import Imported, Wish, import_generator
from models.generators.imported.reading import Asked
from models.generators.package import GeneratorPackage

#: Latents whose pictures are compared; pixels of a foreign one may be so many levels off.
DRAWN, LEVELS = 32, 1


@dataclass(frozen=True, slots=True)
class Row:
    """A Row is one file: what was measured of its import, what was wanted, whether it was met, and how long it took."""

    file: str
    measured: str
    wanted: str
    met: bool
    seconds: float


def packages() -> dict[str, GeneratorPackage]:
    """Return the generators that are shipped, by name."""
    found = {}
    for folder in sorted(SHIPPED["bundles"].iterdir()):
        if (folder / "generator.json").is_file():
            found[folder.name] = GeneratorPackage.load(folder)
    return found


def of_ours(package: GeneratorPackage, work: Path) -> tuple[str, str, bool]:
    """Import the graph of a package of ours again; return what was measured, what is wanted, and whether it was met."""
    file = work / "generator.onnx"
    file.write_bytes(package.graph)
    made = import_generator(file, work / "again", Asked(), Wish())
    latents = _latents(package.spec.latent)
    ours, theirs = package.draw(latents, rule="keep"), made.package.draw(latents, rule="keep")
    equal, graph = int((ours == theirs).sum()), made.package.graph == package.graph
    said = f"graph {'equal' if graph else 'changed'}; {equal} of {ours.size} bytes of {DRAWN} pictures equal"
    return said, "graph and pictures equal, bit for bit", graph and made.unchanged and equal == ours.size


def of_another(given: Foreign, work: Path) -> tuple[str, str, bool]:
    """Import a graph as another program writes it; return as `of_ours`."""
    file = work / "theirs.onnx"
    file.write_bytes(given.content)
    made = import_generator(file, work / "package", Asked(**given.asked), Wish())
    latents = _latents(LATENT)
    truth = np.clip(np.rint(255 * given.pictures(latents.astype(np.float64))), 0, 255)
    apart = np.abs(made.package.draw(latents, rule="keep").astype(np.float64) - truth)
    said = f"{_read_as(made)}: largest difference {apart.max():.0f}, {(apart == 0).mean():.2%} equal"
    return said, f"as NumPy draws, ≤ {LEVELS} level", bool(apart.max() <= LEVELS)


def of_hostile(given: Hostile, work: Path) -> tuple[str, str, bool]:
    """Try to import a hostile file; return as `of_ours`."""
    file = work / "theirs.onnx"
    file.write_bytes(given.content)
    wanted = f"refused, naming {given.says!r}; nothing written"
    try:
        import_generator(file, work / "package", Asked(), Wish())
    except BundleError as error:
        words = " ".join(str(error).replace(f"{file}: ", "").split())
        written = [path.name for path in work.iterdir() if path != file]
        return _short(words), wanted, given.says in words and not written
    return "imported", wanted, False


def measured() -> Iterator[Row]:
    """Yield a row for each file."""
    cases = [
        *((f"ours: {name}", lambda work, of=one: of_ours(of, work)) for name, one in packages().items()),
        *((name, lambda work, of=one: of_another(of, work)) for name, one in foreign().items()),
        *((f"hostile: {name}", lambda work, of=one: of_hostile(of, work)) for name, one in hostile().items()),
    ]
    for name, case in cases:
        progress(name)
        with tempfile.TemporaryDirectory(prefix="bci-import-") as work:
            began = time.perf_counter()
            said, wanted, met = case(Path(work))
            yield Row(name, said, wanted, met, time.perf_counter() - began)


def _latents(size: int) -> NDArray[np.float32]:
    return np.random.default_rng(4).standard_normal((DRAWN, size), np.float32)


def _read_as(made: Imported) -> str:
    image = made.package.spec.image
    return f"read as {made.reading.layout}, {image.low:g} to {image.high:g}, {made.reading.colour}, {image.height}²"


def _short(words: str, most: int = 110) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it from the command line; 1 where a file is not as it must be."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.import_generator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print only the last line")
    options = parser.parse_args(arguments)
    rows = list(measured())
    facts = machine_facts(("onnx", "onnxruntime"))
    if not options.json:
        print_machine(facts)
        print_table(
            ["file", "came", "wanted", "s", ""],
            [
                [row.file, row.measured, row.wanted, f"{row.seconds:.1f}", "met" if row.met else "MISSED"]
                for row in rows
            ],
        )
    missed = [row.file for row in rows if not row.met]
    print_last_line(
        {
            "benchmark": "import_generator",
            "machine": facts,
            "rows": [asdict(row) for row in rows],
            "missed": missed,
        }
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

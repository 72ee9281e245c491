"""Training of a generator: one file in, one package out, and a run folder from which a killed run goes on."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.spec import CARD, ImageSpec, Provenance
from bci.errors import ConfigError
from bci.io.files.folder import path_name
from models.generators.adversarial.record import CHECKPOINT, grid
from models.generators.adversarial.replicas import Replicas
from models.generators.interface import ImageGenerator, parameter_count
from models.generators.kind import Learned, Progress
from models.generators.package import GeneratorPackage, require_place, save_package
from models.generators.quality import face_coverage, says_questions, score
from models.generators.registry import generator_kind, load_generator_config
from models.generators.rules import truncated
from models.generators.settings import GeneratorFile
from models.generators.sources import Source, open_source
from models.generators.spec import GRAPH, GeneratorSpec
from models.provenance import versions

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "onnx", "onnxscript", "safetensors", "pillow")
_LEARNED_FROM = 4000  # training pictures that scores are computed with
_CAUTION = {
    "faces": "The faces are drawings. Nothing here says anything about photographs of people.",
    "characters": "The characters are inventions in the manner of the alphabets learned from; most are no letters.",
    "folder": "Rights to the pictures learned from, and to what is drawn, are the business of whoever trained it.",
}


def train_generator(
    config_path: Path,
    out: Path,
    data_root: Path | None = None,
    progress: Progress | None = None,
    *,
    run_folder: Path | None = None,
    fresh: bool = False,
) -> dict[str, Any]:
    """Train a generator and write its package.

    Parameters
    ----------
    config_path : Path
        A training file; see `models.generators.settings.GeneratorFile`.
    out : Path
        Folder of the package; one that is there is replaced.
    data_root : Path, optional
        Folder that paths of pictures start from; see `models.settings.find_data_root`.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.
    run_folder : Path, optional
        Checkpoint, sample grids, curve and TensorBoard's event files; else ``runs/<name>``.
    fresh : bool
        Start again although the run folder has a checkpoint.

    Returns
    -------
    dict
        The scores, and under ``hash`` the package's identity.

    Raises
    ------
    ConfigError
        If the file or the pictures cannot be used, or the checkpoint belongs to something else.
    BundleError
        If `out` holds something else than a package.
    """
    say = progress or (lambda done, text: None)
    config = load_generator_config(config_path)
    require_place(out)
    folder = run_folder or Path("runs") / path_name(config.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the run's folder {folder}: {error}. Name another with --run."
        ) from None
    if fresh:
        (folder / CHECKPOINT).unlink(missing_ok=True)
    replicas = Replicas.join(config.run.precision, config.run.device)
    try:
        source = open_source(config, data_root, folder, lambda done, text: say(0.05 * done, text))
        kind = generator_kind(config.kind)
        assert kind.learn is not None  # or the file would not have been read
        learned = kind.learn(
            config, source, folder, replicas, lambda done, text: say(0.05 + 0.87 * done, text)
        )
        if replicas.rank:
            return {}
    finally:
        replicas.leave()
    say(0.93, "scoring on pictures held out")
    return write_package(config, config_path.name, source, learned, out, say)


def write_package(
    config: GeneratorFile,
    file: str,
    source: Source,
    learned: Learned,
    out: Path,
    say: Progress,
) -> dict[str, Any]:
    """Export a trained generator, score what was exported, and write both; the card names the training file."""
    shipped, generator = config.package, learned.generator.cpu()
    height, width = generator.image_size
    low, high = generator.output_range
    spec = GeneratorSpec(
        name=config.name,
        title=config.title,
        architecture=generator.architecture,
        latent=generator.latent_size,
        image=ImageSpec(height=height, width=width, low=low, high=high),
        rule=shipped.rule,
        limit=shipped.limit,
        provenance=Provenance(
            data={source.says: source.sha256},
            config=config.model_dump(mode="json"),
            seeds={"all": config.seed},
            versions=versions(_PACKAGES),
        ),
    )
    files: dict[str, bytes | str] = {
        GRAPH: generator_kind(config.kind).export(
            generator, half=shipped.half, **({"for_card": True} if shipped.for_card else {})
        ),
        "training.json": json.dumps(learned.history, indent=1) + "\n",
        CARD: "",
    }
    # The written graph is scored, not the network that it came from.
    package = save_package(out, spec, files)
    random = np.random.default_rng([config.seed, 10])
    drawn = package.draw(_latents(generator, config, len(source.held_out), random))
    # Pictures from a folder or an archive come in order, so the first of them are not like the others.
    some = np.random.default_rng([config.seed, 11]).permutation(len(source.train))[:_LEARNED_FROM]
    train = source.train[some]
    scores = score(drawn, source.held_out, train, config.seed)
    scores["parameters"] = parameter_count(generator)
    if source.attributes is not None and source.held_out_attributes is not None:
        say(0.97, "asking what the faces show")
        known = source.attributes[some], source.held_out_attributes
        scores["coverage"] = face_coverage(drawn, source.held_out, train, *known)
    files |= learned.files
    sheet = io.BytesIO()
    Image.fromarray(grid(drawn[:96], 12)).save(sheet, "PNG", optimize=True)
    spec = spec.model_copy(update={"scores": scores})
    files |= {CARD: _card(spec, config, file, source, package), "samples.png": sheet.getvalue()}
    package = save_package(out, spec, files)
    say(1.0, "done")
    return {**scores, "hash": package.hash}


def _latents(
    generator: ImageGenerator, config: GeneratorFile, n: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Draw latents as the package's rule leaves them."""
    if config.package.rule == "truncate":
        return truncated(n, generator.latent_size, config.package.limit, random)
    return generator.sample(n, random)


def _card(
    spec: GeneratorSpec, config: GeneratorFile, file: str, source: Source, package: GeneratorPackage
) -> str:
    """Return card.md."""
    scores: dict[str, Any] = dict(spec.scores)
    distance, count = scores["frechet"], scores["pictures"]
    rule = {
        "keep": "used as it comes",
        "rescale": "rescaled to norm √d",
        "truncate": f"clipped to ± {spec.limit:g}",
    }[spec.rule]
    lines = [
        f"# {spec.name}",
        "",
        spec.title,
        "",
        "## What it draws",
        "",
        f"- {spec.image.width} × {spec.image.height} pixels from a latent of {spec.latent}; a decoded latent is {rule}",
        f"- {scores['parameters']:,} parameters, {len(package.graph) / 1e6:.2f} MB"
        + (", stored as float16, computed with as float32" if config.package.half else ""),
        f"- Learned from {source.says}; {count['held_out']} of them held out",
        "- `samples.png`: the first 96 pictures of a fixed seed, none chosen",
        "",
        "## Scores",
        "",
        f"On {count['drawn']} drawn pictures. Fréchet distances are on fixed features "
        "(models/generators/features.py) and compare only with each other.",
        "",
        "| Fréchet distance from held-out pictures | |",
        "| --- | --- |",
        f"| other real pictures (floor) | {distance['other_real_pictures']:.3f} |",
        f"| **drawn** | **{distance['drawn']:.3f}** |",
        f"| a linear generator: Gaussian over 64 principal components | {distance['linear_generator']:.3f} |",
        "",
        f"- Diversity: two drawn pictures differ {scores['diversity']:.2f} times as much as two real ones",
        f"- Nearest training picture: {scores['nearest']:.2f} times as far as from a held-out picture (copies would be "
        "near 0)",
    ]
    if "coverage" in scores:
        lines += [
            "",
            "A linear classifier, fitted on training pictures, asked about pictures it never saw:",
            "",
            "| a face … | right | yes, real | yes, drawn |",
            "| --- | --- | --- | --- |",
            *says_questions(scores["coverage"]),
        ]
    lines += [
        "",
        "## Where it comes from",
        "",
        *(f"- Pictures: {name} ({digest})" for name, digest in spec.provenance.data.items()),
        f"- Command: `bci train {file} --out FOLDER`, seed {config.seed}",
        *(f"- Made with: {name} {number}" for name, number in spec.provenance.versions.items()),
        "",
        "## What it cannot do",
        "",
        f"- {_CAUTION[config.pictures.source]}",
        "- Far from the latents it was trained on, standard normal ones, what it draws means nothing.",
        "",
    ]
    return "\n".join(lines)

"""Weights of a stated architecture: a safetensors file and the kind and settings of a generator of this project."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from bci.errors import BundleError, ConfigError
from bci.io.files.regular import read_text, require_regular
from bci.io.files.scratch import scratch_folder
from models.generators.imported.importing import LARGEST_FILE, Imported, Wish, import_generator
from models.generators.imported.pggan import is_interfacegan, renamed
from models.generators.imported.reading import Asked
from models.generators.interface import ImageGenerator, build
from models.generators.registry import generator_kind

#: How far the exported graph may be from the network, as a share of its range.
PARITY = 1e-5


def import_weights(file: Path, architecture: Path, out: Path, wish: Wish) -> Imported:
    """Make a package of weights.

    Parameters
    ----------
    file : Path
        safetensors, with the names that the architecture's ``state_dict`` has; of PGGAN also with InterFaceGAN's.
    architecture : Path
        JSON: ``{"kind": "dcgan", "latent": 64, …}``, or a package's generator.json.
    out, wish
        As `models.generators.imported.importing.import_generator` takes them.

    Raises
    ------
    BundleError
        If the weights do not fit the architecture, or the exported graph draws something else than the network.
    ConfigError
        If the architecture is none of this project's.
    """
    generator = _load(file, _read_architecture(architecture))
    with scratch_folder("bci-import-") as folder:
        graph = folder / f"{file.stem}.onnx"
        graph.write_bytes(generator_kind(generator.kind).export(generator, half=False))
        low, high = generator.output_range
        wish = replace(wish, name=wish.name or file.stem, architecture=generator.architecture, origin=file)
        _require_parity(generator, graph, high - low)
        return import_generator(graph, out, Asked(low=low, high=high), wish)


def _read_architecture(path: Path) -> dict[str, Any]:
    """Return kind and settings."""
    try:
        told = json.loads(read_text(path, ConfigError, largest=2**20))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{path}: expected JSON with the kind and settings of a generator: {error}"
        ) from None
    if isinstance(told, dict) and isinstance(told.get("architecture"), dict):
        told = told["architecture"]
    if not isinstance(told, dict):
        raise ConfigError(
            f'{path}: expected an object such as {{"kind": "dcgan", "latent": 64}}, came {type(told).__name__}.'
        )
    return told


def _load(file: Path, architecture: dict[str, Any]) -> ImageGenerator:
    """Build the network and give it the weights."""
    require_regular(file, BundleError, largest=LARGEST_FILE)
    generator = build(architecture)
    try:
        weights = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(
            f"{file}: expected weights in safetensors, came: {error}. Save them again."
        ) from None
    if architecture.get("kind") == "progressive" and is_interfacegan(weights):
        weights = renamed(weights)
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        words = " ".join(str(error).split())
        raise BundleError(
            f"{file}: expected the weights of {json.dumps(generator.architecture)}, came others: {words[:400]}. "
            f"State the "
            "architecture that they were trained in."
        ) from None
    if bad := [name for name, tensor in weights.items() if not torch.isfinite(tensor.float()).all()]:
        raise BundleError(f"{file}: expected weights that are numbers, came others in {bad[0]!r}.")
    return generator.eval()


def _require_parity(generator: ImageGenerator, graph: Path, span: float) -> None:
    """Compare the exported graph with the network; it is this project's own, so it may run in this process."""
    from bci.decoder.providers import open_cpu_session

    latents = generator.sample(4, np.random.default_rng(0))
    with torch.no_grad():
        expected = generator(torch.from_numpy(latents)).numpy()
    came = open_cpu_session(graph.read_bytes(), threads=1).run(["image"], {"latent": latents})[0]
    if not (worst := float(np.abs(came - expected).max()) / span) <= PARITY:
        raise BundleError(
            f"{graph.name}: expected pictures within {PARITY:g} of the network's, came {worst:.2g}."
        )

"""Results of training HYPER in silico: the bundle that runs live, and the pictures for live sessions."""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.spec import (
    BundleSpec,
    ConfidenceSpec,
    EpochSpec,
    GraphSpec,
    NoveltySpec,
    Provenance,
    SignalSpec,
    WindowSpec,
)
from bci.errors import ConfigError
from bci.signal.pipeline import Pipeline
from bci.signal.run import Run
from bci.signal.types import Signal
from models.generators.frozen import for_decoder
from models.generators.package import GeneratorPackage
from models.insilico.scans import MASK
from models.provenance import versions
from models.readouts.export import export_readout, from_window
from models.readouts.interface import Readout
from models.readouts.size import LatentSize
from models.readouts.voxels import VoxelMask
from models.systems.hyper.settings import HyperConfig, portable

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]

#: Files of a folder of stimuli beside its pictures: the latent of each, and the pictures that scaled responses.
LATENTS, REFERENCE = "latents.json", "reference.npy"
_STIMULI = re.compile(rf"\d{{3,}}\.png|{re.escape(LATENTS)}|{re.escape(REFERENCE)}")
_SCAN = re.compile(rf"(reference|{MASK})\.nii\.gz")

_PACKAGES = ("numpy", "scipy", "onnx", "onnxruntime")


def require_stimuli_place(folder: Path) -> None:
    """Refuse a place for stimuli that holds something else, which would be gone when they are replaced.

    Raises
    ------
    ConfigError
        Naming what it holds.
    """
    _require_ours(
        "stimuli", folder, _STIMULI, f"stimuli to replace (pictures by number, {LATENTS}, {REFERENCE})"
    )


def require_scan_place(folder: Path) -> None:
    """Refuse a place for reference volume and mask that holds something else, as `require_stimuli_place`."""
    _require_ours("scan", folder, _SCAN, f"a reference volume to replace (reference.nii.gz, {MASK}.nii.gz)")


def _require_ours(key: str, folder: Path, ours: re.Pattern[str], what: str) -> None:
    if not folder.exists():
        return
    others = sorted(p.name for p in folder.iterdir() if not ours.fullmatch(p.name)) if folder.is_dir() else []
    if others or not folder.is_dir():
        came = f"it holds {others[0]!r}" if others else "it is no folder"
        raise ConfigError(
            f"{key} = {folder}: expected a new folder, or one of {what}, but {came}. Choose another place."
        )


def write_stimuli(folder: Path, pictures: Pictures, latents: Floats, reference: Pictures) -> None:
    """Write the test pictures as PNG into an empty folder, their latents, and the pictures that scaled responses."""
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:03d}.png", optimize=True)
    rows = {f"{number:03d}": [round(float(v), 6) for v in latent] for number, latent in enumerate(latents)}
    np.save(folder / REFERENCE, reference)
    (folder / LATENTS).write_text(json.dumps(rows) + "\n", encoding="utf-8")


def write_scan(folder: Path, run: Run, tr: float) -> None:
    """Write the reference volume and the masks of a training session into an empty folder, as NIfTI files."""
    from bci.io.volumes.nifti import nifti_bytes

    volume, affine = run.aligned_to()
    images = {"reference": volume.astype(np.int16)} | {
        name: mask.astype(np.uint8) for name, mask in run.masks.items()
    }
    for name, values in images.items():
        content = nifti_bytes(values, affine, tr if name == "reference" else float("nan"))
        (folder / f"{name}.nii.gz").write_bytes(gzip.compress(content, mtime=0))


def with_mask(pipeline: Sequence[Mapping[str, Any]], run: Run) -> tuple[dict[str, Any], ...]:
    """Return steps of a pipeline in which each mask of a run is named by its hash, so that no other is taken for it."""
    hashes = {name: run.hashes[f"masks.{name}"] for name in run.masks}
    return tuple(
        {**step, "sha256": hashes[step["mask"]]} if step.get("mask") in hashes else dict(step)
        for step in pipeline
    )


def bundle_of(
    config: HyperConfig,
    package: GeneratorPackage,
    signal: Signal,
    readout: Readout,
    mask: VoxelMask | None,
    size: LatentSize,
    scores: dict[str, Any],
    claim: ConfidenceSpec,
    novelty: NoveltySpec,
    window: WindowSpec | None = None,
) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle and write its graphs.

    Parameters
    ----------
    signal : Signal
        Signal of the participant.
    readout, mask
        As fitted; `mask` where only some voxels are read.
    size : LatentSize
        What is done to the length of a latent before it is drawn.
    scores, claim, novelty
        Scores on held-out pictures, the claim of confidence, and how input unlike training is told.
    window : WindowSpec, optional
        How many samples are read at once, where no stream can feed it; else epochs around flips are.
    """
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    output = pipeline.output(signal)
    cut = window or EpochSpec(start=config.epoch.start, stop=config.epoch.stop, markers="stimulus .*")
    shape = (cut.samples(output.rate), *output.shape)
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(signal),
        pipeline=tuple(pipeline.to_json()),
        window=cut,
        live=window is None,
        latent=package.spec.latent,
        image=package.spec.image,
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
        confidence=claim,
        novelty=novelty,
        provenance=Provenance(
            data={f"generator {package.spec.name}": package.hash},
            config=portable(config),
            seeds={"all": config.seed},
            versions=versions(_PACKAGES),
        ),
        scores=scores,
    )
    graph = from_window(
        export_readout(readout.frozen(1), mask=mask, size=size),
        shape,
        mean=config.epoch.mean,
        claims=claim.kind != "none",
    )
    generator = for_decoder(package.graph, package.spec.rule, package.spec.limit)
    return spec, {"readout.onnx": graph, "generator.onnx": generator}

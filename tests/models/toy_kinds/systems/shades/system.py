"""Shades, as a system: three latents planted in twelve channels, read by ridge and drawn as gradients."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bci.config.toml import load_settings
from bci.decoder.bundle import Bundle, require_place, save_bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.renderer import Artist
from bci.decoder.spec import BundleSpec, GraphSpec, ImageSpec, Provenance, SignalSpec, WindowSpec
from bci.signal.clock import ManualClock
from bci.signal.types import Window
from models.reports.decoded import Decoded
from models.settings import Section
from models.systems.system import Progress, System

RATE, LENGTH, CHANNELS, LATENTS, PICTURES, REPEATS = 100.0, 10, 12, 3, 8, 2


class ShadesConfig(Section):
    """A training file of kind ``shades``."""

    kind: Literal["shades"]
    name: str
    seed: int
    noise: float


def answers(config: ShadesConfig, latents: NDArray[np.float32], session: int) -> NDArray[np.float32]:
    """Return windows (n, LENGTH, CHANNELS) that answer to latents (n, LATENTS)."""
    mixing = np.random.default_rng(config.seed).standard_normal((LATENTS, CHANNELS))
    noise = np.random.default_rng([config.seed, session]).standard_normal((len(latents), LENGTH, CHANNELS))
    return ((latents @ mixing)[:, None] + config.noise * noise).astype(np.float32)


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool
) -> dict[str, Any]:
    """Fit ridge to 80 trials."""
    from blobs import SIDE, Blobs

    from models.export import export_generator
    from models.readouts.export import export_readout, from_window
    from models.readouts.linear import LinearReadout
    from models.readouts.solvers import Ridge

    config = load_settings(path, ShadesConfig, "training")
    require_place(out)
    latents = np.random.default_rng([config.seed, 7]).standard_normal((80, LATENTS)).astype(np.float32)
    readout = LinearReadout(Ridge()).fit(answers(config, latents, 1).mean(1), latents)
    progress(0.8, "exporting")
    spec = BundleSpec(
        name=config.name,
        signal=SignalSpec(name="shades", rate=RATE, shape=(CHANNELS,)),
        pipeline=(),
        window=WindowSpec(length=LENGTH, hop=LENGTH),
        latent=LATENTS,
        image=ImageSpec(height=SIDE, width=SIDE, low=-1.0, high=1.0),
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
        provenance=Provenance(config=config.model_dump(mode="json"), seeds={"all": config.seed}),
    )
    graph = from_window(export_readout(readout.frozen(1)), (LENGTH, CHANNELS), mean=True)
    files = {"readout.onnx": graph, "generator.onnx": export_generator(Blobs().eval(), LATENTS)}
    return {"left_out_accuracy": readout.collapse_.accuracy, "hash": save_bundle(out, spec, files).hash}


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the file: it names nothing."""
    load_settings(path, ShadesConfig, "training")
    return []


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Decode answers to other latents than those of training."""
    config = ShadesConfig.model_validate(bundle.spec.provenance.config)
    latents = np.random.default_rng([config.seed, 8]).standard_normal((PICTURES, LATENTS)).astype(np.float32)
    which = np.tile(np.arange(PICTURES), REPEATS)
    decoder, pictures = OnnxDecoder(bundle, clock=ManualClock()), Artist(bundle)(latents)
    read = []
    for trial, samples in enumerate(answers(config, latents[which], 2)):
        first = trial * LENGTH
        times = (first + np.arange(LENGTH)) / RATE
        bad = np.zeros(samples.shape, bool)
        read.append(decoder.decode(Window(bundle.output, first, samples, times, bad, first + LENGTH - 1)))
    predicted = np.stack([frame.latent for frame in read])
    return Decoded(
        names=tuple(f"{number:03d}" for number in range(PICTURES)),
        latents=latents,
        seen=pictures,
        predicted=predicted,
        which=which,
        confidence=np.full(len(which), np.nan),
        averaged=np.stack([predicted[which == k].mean(0) for k in range(PICTURES)]),
        how=f"mean of what was read in {REPEATS} trials",
        mean_picture=pictures.astype(np.float64).mean(0) / 255.0,
        mean_of="the held-out pictures",
    )


SYSTEM = System(
    kind="shades", about="planted latents, drawn as gradients", train=train, held_out=held_out, check=check
)

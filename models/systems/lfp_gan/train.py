"""Training: one file in, networks that make windows for images, what they reach, one bundle out."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bci.decoder.bundle import require_place
from bci.decoder.spec import (
    BundleSpec,
    EpochSpec,
    GraphSpec,
    ImageSpec,
    NoveltySpec,
    Provenance,
    SignalSpec,
)
from bci.sim.made import CODES, FACTS, GRAPH
from models.devices import device_of
from models.metrics.identification import headline, identify
from models.provenance import versions
from models.readouts.novelty import Novelty
from models.readouts.ridge_solver import RidgeFit, fit_ridge
from models.reports.pixels import Pixels
from models.settings import find_data_root
from models.systems.lfp_gan.classifier import classify, compare_seen, require_enough
from models.systems.lfp_gan.data import ShownWindows, open_windows
from models.systems.lfp_gan.export import Scale, grown_graph, image_graph, lfp_graph, readout_graph
from models.systems.lfp_gan.game import ConditionalMaker, Played, play
from models.systems.lfp_gan.networks import SignalEncoder
from models.systems.lfp_gan.pretraining import Pretrained, pretrain
from models.systems.lfp_gan.progressive_game import ProgressiveMaker, play_progressive
from models.systems.lfp_gan.settings import LfpGanConfig, RecordedData, SurrogateData, load_lfp_gan
from models.systems.lfp_gan.statistics import (
    Likeness,
    compare_windows,
    gaussian,
    mean_spectrum,
    plain,
    white_noise,
)
from models.systems.lfp_gan.variational import NO_GAME, drawn_windows
from models.systems.saving import save_trained
from models.systems.system import Progress, check_worth

Floats = NDArray[np.float64]
Windows = NDArray[np.float32]

_PENALTIES = tuple(float(p) for p in np.logspace(-2, 6, 17))
_PACKAGES = ("numpy", "scipy", "torch", "onnx", "onnxruntime")
_AT_ONCE = 128
#: Parts of the training's windows, in their order, of which each is held out where novelty's limits are drawn.
_PARTS = 5


def train_lfp_gan(
    path: Path, out: Path, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train a file and write its bundle; see `models.systems.system.Train`."""
    config = load_lfp_gan(path)
    device_of(config.device)  # one that is not there is refused before anything is spent
    require_place(out)
    progress(0.0, "windows of the recording")
    shown = open_windows(config, find_data_root(data_root, needed=not isinstance(config.data, SurrogateData)))
    require_enough(config.classifier, shown)
    pretrained = pretrain(config, shown, lambda done, text: progress(0.05 + 0.25 * done, text))

    def say(done: float, text: str) -> None:
        progress(0.3 + 0.6 * done, text)

    if config.variant == "eeg-gan":
        played = play_progressive(config, shown, say)
    else:
        played = play(config, shown, pretrained, say)
    progress(0.92, "comparing made windows with measured ones")
    made = windows_by_name(config, shown, pretrained, played)
    likeness = compare(config, shown, made)
    images = coded(pretrained, shown)
    fitted = fit_readout(pretrained.networks.signal_encoder, shown, images)
    novelty = fit_novelty(shown)
    scores = {
        "simulated": bool(shown.recording.simulated),
        "trials": len(shown.test[1]),
        **pretrained.scores,
        **read_images(pretrained, shown, fitted, config.seed),
        "made": {name: plain(one) for name, one in likeness.items()},
        "unlike_training": {name: unlike(novelty, windows) for name, windows in made.items()},
    }
    if config.classifier.steps:
        classified = classify(
            config, shown, pretrained, lambda done, text: progress(0.93 + 0.03 * done, text)
        )
        seen = compare_seen(classified.network, shown.test[0], made)
        scores["classifier"] = classified.scores | {"seen": seen}
    worth = headline(scores)
    scores |= check_worth(worth["informed"], worth["headline"], even_at_chance)
    progress(0.97, "exporting")
    spec, files = bundle_of(config, shown, pretrained, played, fitted, novelty, images, scores)
    early = {f"{share:g}": mean_spectrum(some, shown.signal.rate) for share, some in played.early.items()}
    record = {"pretraining": pretrained.record, "game": played.record, "early": early}
    saved = save_trained(out, spec, files, scores | {"record": record})
    progress(1.0, "done")
    return {name: value for name, value in saved.items() if name != "record"}


def windows_by_name(
    config: LfpGanConfig, shown: ShownWindows, pretrained: Pretrained, played: Played
) -> dict[str, Windows]:
    """Return as many windows as were measured of tested images: made for these, and drawn by each baseline."""
    training, _ = shown.training
    _, which = shown.test
    random = np.random.default_rng([config.seed, 31])
    rows = {config.variant: played.maker.make(which, torch.Generator().manual_seed(config.seed + 5))}
    if config.pretraining.divergence:
        deviations = random.choice(training.std((1, 2)), len(which))
        drawn = torch.Generator().manual_seed(config.seed + 6)
        rows[NO_GAME] = drawn_windows(pretrained.networks.signal_decoder, deviations, drawn)
    return rows | {
        "Gaussian, training mean and covariance": gaussian(training, len(which), random),
        "white noise": white_noise(training, len(which), random),
    }


def compare(config: LfpGanConfig, shown: ShownWindows, rows: Mapping[str, Windows]) -> dict[str, Likeness]:
    """Compare windows with measured ones of tested images; what knows no image by all but its images."""
    real, which = shown.test
    blind = {NO_GAME} | ({config.variant} if config.variant == "eeg-gan" else set())
    return {
        name: compare_windows(
            real,
            made,
            shown.signal.rate,
            training=shown.training[0],
            images=None if name in blind else (which, which),
            seed=config.seed,
        )
        for name, made in rows.items()
    }


def coded(pretrained: Pretrained, shown: ShownWindows) -> NDArray[np.float32]:
    """Return the code of every image: (images, 230)."""
    with torch.no_grad():
        codes = pretrained.networks.image_encoder(torch.from_numpy(shown.images)[:, None])
    return np.asarray(codes.flatten(1).numpy())


def encode(encoder: SignalEncoder, windows: Windows) -> Floats:
    """Return codes of windows, (n, 1150)."""
    with torch.no_grad():
        parts = [
            encoder(torch.from_numpy(windows[k : k + _AT_ONCE])).flatten(1)
            for k in range(0, len(windows), _AT_ONCE)
        ]
    return np.asarray(torch.cat(parts).numpy(), np.float64)


def fit_readout(encoder: SignalEncoder, shown: ShownWindows, images: NDArray[np.float32]) -> RidgeFit:
    """Fit ridge from codes of training windows to their images' codes."""
    windows, which = shown.training
    return fit_ridge(encode(encoder, windows), images[which].astype(np.float64), _PENALTIES)


def fit_novelty(shown: ShownWindows) -> Novelty:
    """Fit what tells a window unlike those of training: its samples in all channels, limits from fifths held out."""
    windows, _ = shown.training
    parts = np.arange(len(windows), dtype=np.int64) * _PARTS // len(windows)
    return Novelty.fit_by(windows.reshape(len(windows), -1), parts)


def unlike(novelty: Novelty, windows: Windows) -> float:
    """Return which share of windows, (n, channels, length), is unlike those of training."""
    return float((novelty(windows.reshape(len(windows), -1)) > 1).mean())


def read_images(pretrained: Pretrained, shown: ShownWindows, fitted: RidgeFit, seed: int) -> dict[str, Any]:
    """Identify tested images by what is read of their windows, drawn and compared as pictures."""
    windows, which = shown.test
    codes = encode(pretrained.networks.signal_encoder, windows) @ fitted.weights + fitted.intercept
    with torch.no_grad():
        places = torch.from_numpy(codes.astype(np.float32)).unflatten(1, (2, -1))
        drawn = pretrained.networks.image_decoder(places)[:, 0].numpy()
    present, place = np.unique(which, return_inverse=True)
    pixels = Pixels(*drawn.shape[1:])
    return identify(
        pixels.values(as_pictures(drawn)), pixels.values(as_pictures(shown.images[present])), place,
        np.random.default_rng(seed),
    )  # fmt: skip


def as_pictures(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return grey images from 0 to 1, (n, height, width), as pictures (n, height, width, 3)."""
    return np.repeat(np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8)[..., None], 3, axis=3)


def bundle_of(
    config: LfpGanConfig,
    shown: ShownWindows,
    pretrained: Pretrained,
    played: Played,
    fitted: RidgeFit,
    novelty: Novelty,
    images: NDArray[np.float32],
    scores: dict[str, Any],
) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle and write its graphs."""
    height, width = shown.images.shape[1:]
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(shown.signal),
        window=EpochSpec(start=0.0, stop=shown.length / shown.signal.rate, markers=_markers(config)),
        latent=images.shape[1],
        image=ImageSpec(height=height, width=width, low=0.0, high=1.0),
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
        novelty=NoveltySpec(
            calibrated_on=f"fifths held out of {len(shown.training[1])} training windows",
            flagged=unlike(novelty, shown.test[0]),
        ),
        provenance=Provenance(
            data=shown.origin,
            config=config.model_dump(mode="json"),
            seeds={"all": config.seed},
            versions=versions(_PACKAGES),
        ),
        scores=scores,
    )
    scale = Scale(shown.mean, shown.scale)
    maker, beside = played.maker, {}
    if isinstance(maker, ConditionalMaker):
        graph, noise = lfp_graph(maker.generator.generator, scale)
        with torch.no_grad():
            codes = maker.generator.image(maker.images).flatten(1).numpy()
        stored = io.BytesIO()
        np.save(stored, codes.astype(np.float32))
        beside[CODES] = stored.getvalue()
    else:
        assert isinstance(maker, ProgressiveMaker)
        graph, noise = grown_graph(maker.generator, scale), maker.generator.latent
    return spec, {
        **beside,
        "readout.onnx": readout_graph(
            pretrained.networks.signal_encoder, scale, fitted.weights, fitted.intercept, novelty
        ),
        "generator.onnx": image_graph(pretrained.networks.image_decoder),
        GRAPH: graph,
        FACTS: json.dumps({"noise": noise, "length": shown.length}) + "\n",
    }


def _markers(config: LfpGanConfig) -> str:
    """Return which markers a session decodes: of a recording of one's own every one."""
    return ".*" if isinstance(config.data, RecordedData) else "image .*"

"""The test faces of HYPER's release, decoded by a bundle as a session would."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.renderer import Artist
from bci.errors import BundleError
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Window
from models.datasets.hyper import load_hyper
from models.datasets.trials import Trials
from models.reports.decoded import Decoded
from models.settings import find_data_root
from models.systems.hyper_release.settings import HyperReleaseConfig, parse_release

#: Training faces whose mean picture is the baseline.
_MEAN_OF = 200


def config_of(bundle: Bundle) -> HyperReleaseConfig:
    """Return the training configuration that a bundle carries."""
    return parse_release(bundle.spec.provenance.config, f"the configuration in bundle {bundle.name!r}")


def release_of(bundle: Bundle, data_root: Path | None) -> tuple[Path, Trials, Trials]:
    """Return the folder of the release that a bundle was trained on, with its training and test trials.

    Raises
    ------
    BundleError
        If the file there is another one.
    """
    config = config_of(bundle)
    folder = find_data_root(data_root) / config.data
    train, test = load_hyper(folder, config.subject)
    name = f"data_{config.subject}.dat"
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    if (then := bundle.spec.provenance.data[f"HYPER {name}"]) != digest:
        raise BundleError(
            f"{folder / name}: expected the file that bundle {bundle.name!r} was trained on, with SHA-256 {then}, "
            f"came {digest}. Name its folder with --data, or train again."
        )
    return folder, train, test


def decode_faces(bundle: Bundle, data_root: Path | None) -> Decoded:
    """Decode the response to every test face, the mean of its presentations."""
    _, train, test = release_of(bundle, data_root)
    artist = Artist(bundle)
    seen = test.stimuli.images
    drawn = artist(test.latents) if seen is None else _fitted(seen, bundle.spec.image.width)
    decoder = OnnxDecoder(bundle, clock=LslClock(), unlike="keep")
    frames = [decoder.decode(window) for window in _windows(bundle, test)]
    some = np.linspace(0, len(train) - 1, min(_MEAN_OF, len(train))).astype(int)
    mean = artist(train.latents[some]).astype(np.float64).mean(0) / 255.0
    return Decoded(
        names=test.stimuli.names,
        latents=test.latents,
        seen=drawn,
        predicted=np.stack([frame.latent for frame in frames]),
        which=test.shown,
        confidence=np.array([frame.confidence for frame in frames], np.float64),
        averaged=None,
        how="",
        mean_picture=mean,
        mean_of=f"{len(some)} training faces, drawn again",
        brain=test.brain,
        simulated=config_of(bundle).simulated,
    )


def _windows(bundle: Bundle, test: Trials) -> list[Window]:
    flags = np.zeros((1, *bundle.output.flag_shape), bool)
    return [
        Window(bundle.output, k, row[None].astype(np.float32), np.zeros(1), flags, 0)
        for k, row in enumerate(test.brain)
    ]


def _fitted(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return pictures at the size of the generator's: the release shows 224² of 1024²."""
    if pictures.shape[1:3] == (side, side):
        return pictures
    how = Image.Resampling.BOX if pictures.shape[2] > side else Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), how)) for one in pictures])

"""The figures of a training file, decoded by its bundle as a session would."""

from pathlib import Path

import numpy as np

from bci.config.toml import check_settings
from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Window
from models.reports.decoded import Decoded
from models.settings import find_data_root
from models.systems.miyawaki.data import ContrastData, open_data
from models.systems.miyawaki.settings import FileData, MiyawakiConfig


def decode_figures(bundle: Bundle, data_root: Path | None) -> Decoded:
    """Decode every response to a figure, and the mean response of each."""
    config = check_settings(
        bundle.spec.provenance.config, MiyawakiConfig, f"the training file in {bundle.folder}"
    )
    data = open_data(config, find_data_root(data_root, needed=isinstance(config.data, FileData)))
    decoder = OnnxDecoder(bundle, clock=LslClock())
    rows = data.test_voxels.astype(np.float32)
    predicted = np.stack([_decoded(decoder, bundle, row) for row in rows])
    repeated = np.bincount(data.which).min() > 1
    means = [rows[data.which == k].mean(0) for k in range(len(data.names))] if repeated else []
    averaged = np.stack([_decoded(decoder, bundle, row) for row in means]) if repeated else None
    return Decoded(
        names=data.names,
        latents=data.shown.astype(np.float32),
        seen=_pictures(data, config.zoom),
        predicted=predicted,
        which=data.which,
        confidence=np.full(len(rows), np.nan),
        averaged=averaged,
        how=f"mean of {np.bincount(data.which).min()} responses",
        mean_picture=np.full((data.side * config.zoom,) * 2 + (3,), data.pictures.mean()),
        mean_of=f"the {len(data.pictures)} random pictures",
        brain=rows,
        simulated=data.simulated,
    )


def _decoded(decoder: OnnxDecoder, bundle: Bundle, row: np.ndarray) -> np.ndarray:
    flags = np.zeros((1, *bundle.output.flag_shape), bool)
    window = Window(bundle.output, 0, row[None].astype(np.float32), np.zeros(1), flags, 0)
    return decoder.decode(window).latent


def _pictures(data: ContrastData, zoom: int) -> np.ndarray:
    squares = data.shown.reshape(-1, data.side, data.side).repeat(zoom, 1).repeat(zoom, 2)
    return np.repeat((255 * squares).astype(np.uint8)[..., None], 3, axis=3)

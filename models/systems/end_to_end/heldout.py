"""The test pictures of a training file, decoded by its bundle as a session would, and compared as pictures."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.renderer import Artist
from bci.errors import BundleError
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Window
from models.reports.decoded import Decoded
from models.reports.pixels import Pixels
from models.settings import find_data_root
from models.systems.end_to_end.data import PictureResponses, open_data
from models.systems.end_to_end.settings import (
    EndToEndConfig,
    FileData,
    InsilicoData,
    parse_end_to_end,
    placed,
)
from models.systems.saving import settings_of


def decode_pictures(bundle: Bundle, data_root: Path | None) -> Decoded:
    """Decode every response to a test picture, and the mean response to each.

    Raises
    ------
    BundleError
        If it does not say how it was trained, or the data are not those that it was trained on.
    """
    data = data_of(bundle, data_root)
    decoder, artist, pixels = (
        OnnxDecoder(bundle, clock=LslClock()),
        Artist(bundle),
        Pixels(data.side, data.side),
    )

    def read(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        latents = np.stack([decoder.decode(_window(bundle, data, row)).latent for row in rows])
        return pixels.values(artist(latents))

    counts = np.bincount(data.which)
    return Decoded(
        names=data.names,
        latents=pixels.values(data.shown),
        seen=data.shown,
        predicted=read(data.test_voxels),
        which=data.which,
        confidence=np.full(len(data.which), np.nan),
        averaged=read(data.averaged) if counts.min() > 1 else None,
        how=f"mean of {counts.min()} responses",
        mean_picture=data.pictures.mean(axis=0) / 255,
        mean_of=f"the {len(data.pictures)} training pictures",
        brain=data.test_voxels,
        simulated=data.simulated,
        draw=pixels,
    )


def data_of(bundle: Bundle, data_root: Path | None) -> PictureResponses:
    """Open again what a bundle was trained on; raises BundleError where it is not the same."""
    config = _located(parse_end_to_end(*settings_of(bundle, "end-to-end")), bundle)
    data = open_data(config, find_data_root(data_root, needed=isinstance(config.data, FileData)))
    if data.origin != dict(bundle.spec.provenance.data):
        raise BundleError(
            f"bundle {bundle.name!r}: expected the data that it was trained on, {dict(bundle.spec.provenance.data)}, "
            f"came {data.origin}. Name their folder with --data, or train again."
        )
    return data


def _located(config: EndToEndConfig, bundle: Bundle) -> EndToEndConfig:
    """Return the settings with the generator's package where it is on this machine: beside the bundle, or shipped."""
    if not isinstance(config.data, InsilicoData):
        return config
    data = placed(config.data, bundle.folder.parent)
    if not data.generator.is_dir():
        raise BundleError(
            f"bundle {bundle.name!r}: expected the generator's package {config.data.generator} that drew its pictures, "
            "beside it or among those shipped, came none. Put it there."
        )
    return config.model_copy(update={"data": data})


def _window(bundle: Bundle, data: PictureResponses, row: NDArray[np.float32]) -> Window:
    """Return a window that holds one response: where samples are averaged, it is each of them."""
    shape = data.live.shape
    samples = np.broadcast_to(row, shape) if data.live.mean else row.reshape(shape)
    flags = np.zeros((shape[0], *bundle.output.flag_shape), bool)
    return Window(bundle.output, 0, np.ascontiguousarray(samples, np.float32), np.zeros(shape[0]), flags, 0)

"""The tested images of a bundle of LFP-GAN: their windows cut again, decoded as in a session, compared as pictures."""

from pathlib import Path

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.renderer import Artist
from bci.errors import BundleError
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Window
from models.reports.decoded import Decoded
from models.reports.pixels import Pixels
from models.settings import find_data_root
from models.systems.lfp_gan.data import ShownWindows, open_windows
from models.systems.lfp_gan.settings import SurrogateData, parse_lfp_gan
from models.systems.lfp_gan.train import as_pictures
from models.systems.saving import settings_of


def data_of(bundle: Bundle, data_root: Path | None) -> ShownWindows:
    """Open again what a bundle was trained on.

    Raises
    ------
    BundleError
        If it is not the same.
    """
    config = parse_lfp_gan(*settings_of(bundle, "lfp-gan"))
    shown = open_windows(config, find_data_root(data_root, needed=not isinstance(config.data, SurrogateData)))
    if shown.origin != dict(bundle.spec.provenance.data):
        raise BundleError(
            f"bundle {bundle.name!r}: expected the data that it was trained on, {dict(bundle.spec.provenance.data)}, "
            f"came {shown.origin}. Name their folder with --data, or train again."
        )
    return shown


def decode_windows(bundle: Bundle, shown: ShownWindows) -> Decoded:
    """Decode every window of a tested image."""
    decoder, artist = OnnxDecoder(bundle, clock=LslClock()), Artist(bundle)
    pixels = Pixels(*bundle.image_size)
    windows, which = shown.test
    raw = (windows * np.float32(shown.scale) + shown.mean).transpose(0, 2, 1)
    latents = np.stack([decoder.decode(_window(bundle, samples)).latent for samples in raw])
    present, place = np.unique(which, return_inverse=True)
    seen = as_pictures(shown.images[present])
    return Decoded(
        names=tuple(f"image {k:03d}" for k in present),
        latents=pixels.values(seen),
        seen=seen,
        predicted=pixels.values(artist(latents)),
        which=place.astype(np.int64),
        confidence=np.full(len(place), np.nan),
        averaged=None,
        how="",
        mean_picture=as_pictures(shown.images[~shown.tested].mean(0)[None])[0] / 255,
        mean_of=f"the {int((~shown.tested).sum())} training images",
        brain=windows.reshape(len(windows), -1),
        simulated=bool(shown.recording.simulated),
        draw=pixels,
    )


def _window(bundle: Bundle, samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Window:
    flags = np.zeros((len(samples), *bundle.output.flag_shape), bool)
    return Window(bundle.output, 0, np.ascontiguousarray(samples), np.zeros(len(samples)), flags, 0)

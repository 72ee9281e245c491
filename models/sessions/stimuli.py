"""The stimuli of a session, again: their pictures, their latents, or pixels in place of latents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import Artist
from bci.errors import RecordingError
from bci.io.files.picture import read_pixels
from bci.session.recorded import RecordedSession
from models.reports.pixels import Pixels
from models.sessions.readings import LATENTS, Reading, drawn_latents, known_latents
from models.systems.registry import compares_pictures

Latents = Mapping[str, NDArray[np.float32]]
Picture = Callable[[str], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Shown:
    """Shown is what a session showed.

    Attributes
    ----------
    folder : Path
        Where the pictures come from: theirs, or that of the bundle that drew them.
    latents : mapping of str to (d,) float32
        Of each picture by its name; empty where what was read is compared as pictures.
    picture : callable
        Gives a picture by its name, at the size that the decoder draws: (height, width, 3) uint8.
    """

    folder: Path
    latents: Latents
    picture: Picture


def shown_in(session: RecordedSession, bundle: Bundle) -> Shown:
    """Return what a session showed, for readings of a bundle.

    Raises
    ------
    RecordingError
        If nothing tells what should have been read.
    """
    experiment, size = session.experiment(), bundle.image_size
    as_pictures = compares_pictures(bundle)
    if experiment.get("protocol") == "latents":
        return _drawn(session, bundle, experiment.get("drawn_by"), as_pictures)
    folder = experiment.get("folder")
    if folder and as_pictures:
        return Shown(Path(folder), {}, lambda name: _picture(Path(folder), name, size))
    if not folder or not (Path(folder) / LATENTS).is_file():
        raise RecordingError(
            f"{session.folder}: {LATENTS} was expected beside the pictures that were shown, in {folder}, and is not "
            "there: without the pictures' latents nothing tells what should have been read. Name a session of pictures "
            "that a generator drew."
        )
    stimuli = Path(folder)
    return Shown(stimuli, known_latents(stimuli), lambda name: _picture(stimuli, name, size))


def _drawn(session: RecordedSession, bundle: Bundle, drawn_by: str | None, as_pictures: bool) -> Shown:
    """Return the same of a session whose pictures a generator drew while it ran, drawn again by that generator."""
    latents = drawn_latents(session, None if as_pictures else bundle.latent_size)
    painter = bundle if drawn_by is None else Bundle.load(drawn_by)
    paint = Artist(painter)
    return Shown(
        painter.folder,
        {} if as_pictures else latents,
        lambda name: resized(paint(latents[name][None])[0], bundle.image_size),
    )


def in_pixels(
    bundle: Bundle, readings: Sequence[Reading], shown: Shown
) -> tuple[Pixels, list[Reading], dict[str, NDArray[np.float32]]]:
    """Return what draws pixels, and pixels in place of latents: of what was read, drawn, and of what was shown."""
    pixels, drawn = Pixels(*bundle.image_size), Artist(bundle)
    rows = [pixels.values(drawn(reading.latent[None]))[0] for reading in readings]
    latents = {name: pixels.values(shown.picture(name)[None])[0] for name in {one.name for one in readings}}
    return pixels, [replace(one, latent=row) for one, row in zip(readings, rows, strict=True)], latents


def _picture(stimuli: Path, name: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    path = stimuli / f"{name}.png"
    if path.parent != stimuli:
        raise RecordingError(f"expected the picture that was shown in {stimuli}, came the name {name!r}")
    return resized(
        read_pixels(
            path, lambda words: RecordingError(f"expected the picture that was shown, came: {words}")
        ),
        size,
    )


def resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture at another height and width."""
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))

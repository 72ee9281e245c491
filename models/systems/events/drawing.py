"""What draws the probabilities of classes, where bars are not wanted: pictures of one's own, or a generator.

A generator draws the mix of the classes' latents, each by its probability (`models.generators.frozen.steered`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.decoder.renderers.blend import class_pictures_file
from bci.decoder.spec import ImageSpec
from bci.errors import ConfigError
from bci.io.files.picture import fit_picture, read_picture
from models.generators.frozen import steered
from models.generators.steering import Latents, Steering, open_steering, place_of, read_latents
from models.sessions.latents import latents_shown
from models.systems.events.settings import EventsConfig

#: Files of a bundle: the pictures of its classes, or the graph that draws their probabilities.
PICTURES, GRAPH = "classes.npy", "drawing.onnx"


@dataclass(frozen=True, slots=True)
class ClassDrawing:
    """A ClassDrawing is what a bundle holds to draw its classes by.

    Attributes
    ----------
    image : ImageSpec
        Of what it draws.
    files : mapping of str to bytes
        `PICTURES`, `GRAPH`, or neither, for bars.
    data : mapping of str to str
        What it was made of: the hash of the generator's package, by its name.
    """

    image: ImageSpec
    files: Mapping[str, bytes] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)


def open_drawing(config: EventsConfig, root: Path, folder: Path) -> ClassDrawing:
    """Return what draws the classes of a training file, whose sessions and classes are written out.

    Parameters
    ----------
    config : EventsConfig
    root : Path
        The data root.
    folder : Path
        Of the training file: where the generator's path starts.

    Raises
    ------
    ConfigError
        If a picture or a table of latents is not there, or is none, or a class has no latent.
    RecordingError
        If the latent of a picture that a session showed is not known.
    BundleError
        If the generator's package is not whole.
    """
    height, width = config.picture
    image = ImageSpec(height=height, width=width, low=0.0, high=1.0)
    if config.draw is None:
        return ClassDrawing(image)
    if config.draw.generator is None:
        return ClassDrawing(image, {PICTURES: class_pictures_file(_class_pictures(config, root))})
    steering = open_steering(config.draw.generator, folder)
    latents = class_latents(config, root, steering)
    return ClassDrawing(steering.package.spec.image, {GRAPH: steered(steering.graph, latents)}, steering.data)


def class_latents(config: EventsConfig, root: Path, steering: Steering) -> NDArray[np.float32]:
    """Return the latent of each class, (k, d), in the order of the classes: its own, else the mean of its pictures'.

    Raises
    ------
    ConfigError, RecordingError
        As `open_drawing`.
    """
    known, where = _known_latents(config, root, steering)
    steering.checked(known, where)
    found = []
    for label in config.labels:
        rows = [known[label]] if label in known else []
        rows = rows or [row for name, row in known.items() if label in config.labels_of(f"stimulus 0 {name}")]
        if not rows:
            raise ConfigError(
                f"draw: expected the latent of class {label!r}, or of pictures of it, in {where}, came none among "
                f"{', '.join(sorted(known)[:6])}. Add it."
            )
        found.append(np.mean(rows, axis=0, dtype=np.float64).astype(np.float32))
    return np.stack(found)


def _known_latents(config: EventsConfig, root: Path, steering: Steering) -> tuple[Latents, str]:
    """Return latents by the names of classes or pictures, and where they stand."""
    assert config.draw is not None  # or there is nothing to draw
    if config.draw.latents is not None:
        place = place_of(config.draw.latents, root)
        return read_latents(place), str(place)
    if config.data is None or not config.data.sessions:
        raise ConfigError(
            "draw: expected the latents of the classes, came none. Name a file with them: [draw] latents. Of sessions "
            "of yours in which a generator's pictures were shown they are known without."
        )
    spec = steering.package.spec
    return latents_shown(config.data, root, spec.latent, spec.name), "the sessions"


def _class_pictures(config: EventsConfig, root: Path) -> NDArray[np.uint8]:
    """Return the picture of each class, (k, height, width, 3) uint8, in the order of the classes."""
    assert config.draw is not None  # or bars are drawn
    drawn = []
    for label in config.labels:
        picture = read_picture(place_of(config.draw.pictures[label], root), ConfigError)
        drawn.append(fit_picture(picture, config.picture))
    return np.stack(drawn)

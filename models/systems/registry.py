"""The registry of systems: by the kind that a training file or a bundle names."""

from collections.abc import Mapping
from pathlib import Path

import models.systems
from bci.config.toml import read_toml
from bci.decoder.bundle import Bundle
from bci.errors import BundleError, ConfigError, nearest
from bci.io.shipped import locate
from models.registry import Registry
from models.systems.system import UNNAMED, Calibrating, System

_systems: Registry[System] = Registry(models.systems, "SYSTEM", "system")
add_folder, remove_folder = _systems.add_folder, _systems.remove_folder


def systems() -> Mapping[str, System]:
    """Return every system by its kind."""
    return _systems.kinds()


def system_of_file(path: Path) -> System:
    """Return the system that a training file describes.

    Raises
    ------
    ConfigError
        If the file cannot be read, or names no kind of system.
    """
    kind, known = read_toml(path, "training").get("kind", UNNAMED), systems()
    if kind not in known:
        raise ConfigError(
            f"{path}: expected the training file of a system, of kind {', '.join(sorted(known))}, came kind {kind!r}"
            f"{nearest(str(kind), known)}. Name another file."
        )
    return known[kind]


def calibrating_of_file(path: Path) -> Calibrating:
    """Return how the bundle is fitted again that a calibration file names as its base.

    Raises
    ------
    ConfigError
        If the file cannot be read, or bundles of that kind are not calibrated.
    BundleError
        If its base is no bundle of a system that is known.
    """
    base = read_toml(path, "calibration").get("base")
    known = {name: system.calibrating for name, system in systems().items() if system.calibrating}
    if not isinstance(base, str):
        return next(iter(known.values()))  # whose settings say that it is missing
    bundle = Bundle.load(locate(Path(base), path.resolve().parent, "bundles"))
    calibrating = system_of_bundle(bundle).calibrating
    if calibrating is None:
        raise ConfigError(
            f"{path}: expected as base a bundle that can be fitted to a participant who follows cues, came "
            f"{bundle.name!r} ({system_of_bundle(bundle).about}). Name another, such as alpha."
        )
    return calibrating


def system_of_bundle(bundle: Bundle) -> System:
    """Return the system that trained a bundle, as its provenance says.

    Raises
    ------
    BundleError
        If no system of this installation is of that kind.
    """
    kind, known = str(bundle.spec.provenance.config.get("kind", UNNAMED)), systems()
    if kind not in known:
        raise BundleError(
            f"bundle {bundle.name!r}: expected one made by a system of kind {', '.join(sorted(known))}, came one of "
            f"kind {kind!r}. Install the release, or add the system's folder, that it was trained with."
        )
    return known[kind]


def compares_pictures(bundle: Bundle) -> bool:
    """Return whether what a bundle reads is compared as pictures; not where no system here is of its kind."""
    system = systems().get(str(bundle.spec.provenance.config.get("kind", UNNAMED)))
    return system is not None and system.compares_pictures

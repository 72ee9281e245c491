"""The readout of a training file: HYPER's dense layer before the frozen generator, or another of the family."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from models.generators.package import GeneratorPackage
from models.metrics.latents import cosine, derangement, r_squared, similarity
from models.readouts.family import build_readout
from models.readouts.interface import Readout
from models.systems.hyper_release.settings import HyperReleaseConfig

Floats = NDArray[np.floating[Any]]


def readout_of(config: HyperReleaseConfig, package: GeneratorPackage) -> Readout:
    """Build what a training file asks for, unfitted.

    Raises
    ------
    ConfigError
        If the readout or one of its options is unknown, or the generator has no such layer.
    BundleError
        If a layer is asked for and the package holds no weights.
    """
    options = dict(config.readout.options)
    if config.model.layer is None:
        return build_readout(config.readout.name, generator=package, **options)
    from models.generators.layers import Layers
    from models.readouts.dense import Dense
    from models.readouts.gradient import ActivationLoss, Schedule
    from models.readouts.linear import LinearReadout

    build_readout("dense", **options)  # refuses unknown options in words
    layer = Layers(package)(config.model.layer)
    loss = ActivationLoss(layer, config.model.crop, config.model.latent)
    schedule: Any = Schedule(**options)
    # A generator wants latents as they are, not in units of their deviation.
    return LinearReadout(Dense(loss, schedule), folds=3, standardise=False)


def check_package(config: HyperReleaseConfig, package: GeneratorPackage) -> None:
    """Refuse a generator that is not the one whose latents the release holds.

    Raises
    ------
    ConfigError
        Naming both.
    """
    if package.spec.name != config.latents_of:
        raise ConfigError(
            f"expected the generator {config.latents_of!r}, whose latents the release holds (latents_of), came "
            f"{package.spec.name!r} in {package.folder}. Name its package, or say whose latents these are."
        )


def similarity_rows(truth: Floats, predicted: Floats, mean: Floats, seed: int) -> dict[str, dict[str, float]]:
    """Score latents beside predictions that know nothing: zeros, the mean of training, other trials' predictions.

    Parameters
    ----------
    truth, predicted : (n, d)
        Of test trials.
    mean : (d,)
        Of the training latents.
    seed : int
        Of the exchange and of random latents.

    Returns
    -------
    dict of str to dict
        By row ``similarity``, 1 / (1 + mean squared error) as the released code has it, ``cosine``, ``r_squared``. A
        latent of zeros has no direction, so its cosine is 0.
    """
    random = np.random.default_rng([seed, 3])
    rows = {
        "read": predicted,
        "zero": np.zeros_like(truth),
        "mean of training": np.broadcast_to(mean, truth.shape),
        "exchanged": predicted[derangement(len(predicted), random)],
        "random": random.standard_normal(truth.shape),
    }
    return {
        name: {
            "similarity": float(similarity(truth, row).mean()),
            "cosine": float(cosine(truth, row).mean()) if np.any(row) else 0.0,
            "r_squared": float(r_squared(truth, row)),
        }
        for name, row in rows.items()
    }

"""Held-out trials of a bundle of pictures: each read again by a readout that never saw its picture."""

from pathlib import Path

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import Artist
from bci.errors import BundleError, ConfigError
from models.datasets.recordings import require_trained_on
from models.generators.package import package_of
from models.reports.decoded import Decoded
from models.settings import find_data_root
from models.systems.pictures.settings import parse_pictures
from models.systems.pictures.train import predict
from models.systems.pictures.trials import cut_pictures


def cross_predicted(bundle: Bundle, data_root: Path | None) -> Decoded:
    """Cut the epochs again that a bundle was trained on, and read each without its picture.

    Raises
    ------
    BundleError
        If the bundle does not say how it was trained, or its generator's package is not found.
    RecordingError
        If a session is missing, or is not the one that it was trained on.
    """
    try:
        config = parse_pictures(
            dict(bundle.spec.provenance.config), f"the configuration in bundle {bundle.name!r}"
        )
    except ConfigError as error:
        raise BundleError(f"{error} Train the bundle again with this release.") from None
    package = package_of(bundle)
    if package is None:
        raise BundleError(
            f"expected the generator's package that bundle {bundle.name!r} was trained with, beside it or among those "
            "shipped, came none. Put it there."
        )
    root = find_data_root(data_root, needed=data_root is not None)
    trials = cut_pictures(config, root, bundle.latent_size)
    require_trained_on(bundle, trials.data)
    predicted = predict(config, trials, package)
    counts = np.bincount(trials.which)
    averaged = None
    if counts.min() > 1:
        averaged = np.stack([predicted.latents[trials.which == k].mean(axis=0) for k in range(len(counts))])
    seen = Artist(bundle)(trials.latents)
    repeats = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    return Decoded(
        names=trials.names,
        latents=trials.latents,
        seen=seen,
        predicted=predicted.latents,
        which=trials.which,
        confidence=predicted.confidence,
        averaged=averaged,
        how=f"mean of what was read in {repeats} trials",
        mean_picture=seen.astype(np.float64).mean(axis=0) / 255,
        mean_of="the pictures shown",
        brain=trials.brain,
        simulated=trials.simulated,
    )

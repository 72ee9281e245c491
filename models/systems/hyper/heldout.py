"""Held-out trials of a bundle of HYPER in silico are made again here from the bundle's provenance.

Configuration and seed stand in its provenance, and the participant is a function of them, so the same pictures are
shown to the same participant in the same order, by the code that trained it. Pictures need the generator's package;
where the very package is not found, the bundle's own generator draws them, which may round a few pixels otherwise.
"""

from collections.abc import Callable

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import Artist
from bci.errors import BundleError, ConfigError
from models.generators.package import package_of
from models.insilico.heldout import HeldOut, show_held_out
from models.insilico.trials import design
from models.systems.hyper.settings import HyperConfig, parse_hyper


def config_of(bundle: Bundle) -> HyperConfig:
    """Return the training configuration that a bundle carries, with the bundle's own pipeline.

    Raises
    ------
    BundleError
        If this release does not know it.
    """
    try:
        config = parse_hyper(bundle.spec.provenance.config, f"the configuration in bundle {bundle.name!r}")
    except ConfigError as error:
        raise BundleError(f"{error} Train the bundle again with this release.") from None
    return config.model_copy(update={"pipeline": bundle.spec.pipeline})


def make_again(
    bundle: Bundle,
    progress: Callable[[float, str], None] | None = None,
    *,
    snr: float | None = None,
    config: HyperConfig | None = None,
) -> HeldOut:
    """Show the held-out pictures to the participant again.

    Parameters
    ----------
    bundle : Bundle
        Of `models.systems.hyper.train`.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.
    snr : float, optional
        Another signal-to-noise ratio of single trials than the training's.
    config : HyperConfig, optional
        The bundle's, where its kind is another system's that has the same sections.

    Raises
    ------
    BundleError
        If the bundle's configuration is not known, or no test picture has an epoch.
    """
    say = progress or (lambda done, text: None)
    config = config or config_of(bundle)
    if snr is not None:
        participant = config.participant.model_copy(update={"snr": snr})
        config = config.model_copy(update={"participant": participant})
    plan = design(config, bundle.spec.latent, np.random.default_rng(config.seed))
    package = package_of(bundle)
    say(0.05, "drawing stimuli")
    if package is not None:
        pictures, drawn_by = package.draw(plan.latents), f"generator {package.spec.name}, the very package"
    else:
        pictures = Artist(bundle)(plan.latents)
        drawn_by = "the bundle's own generator; the package that it was trained with was not found"
    say(0.2, "the participant looks at the held-out pictures")
    return show_held_out(config, plan, pictures, drawn_by)

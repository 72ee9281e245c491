"""Whether an operator's preview is possible: reconstructions must belong to stimuli."""

from bci.decoder.bundle import Bundle
from bci.decoder.spec import EpochSpec
from bci.errors import ConfigError


def require_pairs(bundle: Bundle) -> EpochSpec:
    """Return how a bundle cuts epochs: each belongs to a stimulus, and is shown beside it.

    Raises
    ------
    ConfigError
        If it decodes sliding windows, none of which does.
    """
    if bundle.epochs is None:
        raise ConfigError(
            f"bundle {bundle.name!r} decodes windows that slide, none of which belongs to a stimulus, so there is "
            "nothing to pair. Leave [preview] out, or name a bundle that decodes epochs."
        )
    return bundle.epochs

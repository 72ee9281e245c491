"""An operator's preview needs reconstructions that belong to stimuli; a bundle without is refused here."""

from bci.decoder.bundle import Bundle
from bci.errors import ConfigError


def require_pairs(bundle: Bundle) -> None:
    """Refuse a bundle whose reconstructions belong to no stimulus, beside which they could be shown.

    Raises
    ------
    ConfigError
        If it decodes sliding windows, none of which does.
    """
    if not bundle.cut.needs_markers:
        raise ConfigError(
            f"bundle {bundle.name!r} decodes windows that slide, none of which belongs to a stimulus, so there is "
            "nothing to pair. Leave [preview] out, or name a bundle that decodes epochs."
        )

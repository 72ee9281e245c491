"""A precision that is not float32 is asked for by a session; whether a bundle and a card have it is looked up here."""

from bci.decoder.bundle import Bundle
from bci.decoder.cuda import describe_card, lacks
from bci.decoder.providers import Provider
from bci.decoder.spec import Arithmetic
from bci.errors import ProviderError


def require_precision(
    bundle: Bundle, provider: Provider, precision: Arithmetic, *, windows: int = 0, device: int = 0
) -> None:
    """Refuse a precision that a bundle cannot be run in, before anything is loaded.

    Parameters
    ----------
    windows : int
        How many there are to compare it with float32 on, beside those that the bundle holds.
    device : int
        Number of the card.

    Raises
    ------
    ProviderError
        Saying what is missing.
    """
    if precision == "tf32" and provider != "cuda":
        raise ProviderError(
            f"tf32 is computed by NVIDIA cards alone: expected the provider 'cuda', came {provider!r}. Ask for float32."
        )
    if provider == "cuda" and (why := lacks(precision, describe_card(device))):
        raise ProviderError(f"{why}. Ask for float32.")
    if precision == "float16" and not bundle.reduced(precision):
        raise ProviderError(
            f"expected float16 graphs in bundle {bundle.name!r}, came none. Ask for float32, or export them."
        )
    if not windows and bundle.spec.recorded is None:
        raise ProviderError(
            f"{precision} needs windows on which to compare it with float32, and bundle {bundle.name!r} holds none. "
            "Train it again with this release, or ask for float32."
        )

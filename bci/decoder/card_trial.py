"""A card is tried in a process of its own first: one that hangs in its driver is given up there, not here.

``python -m bci.decoder.card_trial DEVICE`` runs a graph on a card and ends. What is wrong with a card that answers is
said by `bci.decoder.cuda.require_cuda`.
"""

import contextlib
import subprocess
import sys
from collections.abc import Sequence

from bci.decoder.cuda import PROVIDER, CardSettings, require_cuda
from bci.errors import ProviderError
from bci.io.files.capped import child_environment

#: Seconds in which a card answers, its libraries loaded from a cold disk included; and after it was killed.
ANSWERS_WITHIN_S, ENDS_WITHIN_S = 120.0, 5.0


def require_answering(
    card: CardSettings, within_s: float = ANSWERS_WITHIN_S, words: Sequence[str] | None = None
) -> None:
    """Raise when a card does not answer in time; one that answers may still be unusable.

    Parameters
    ----------
    card : CardSettings
        Which.
    within_s : float
        Seconds.
    words : sequence of str, optional
        The command that tries it; this module when left out.

    Raises
    ------
    ProviderError
        If it did not end in that time. It is killed, and where even that does not end it, left behind.
    """
    import onnxruntime

    if words is None and PROVIDER not in onnxruntime.get_available_providers():
        return  # nothing here could hang
    own = [sys.executable, "-P", "-m", "bci.decoder.card_trial", str(card.device)]
    child = subprocess.Popen(
        list(words or own),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
    )
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        raise ProviderError(
            f"no usable card: expected card {card.device} to run a graph within {within_s:g} s, and it hangs. Restart "
            "the machine or its driver, or ask for the provider 'cpu'."
        ) from None
    finally:
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(ENDS_WITHIN_S)


def main(words: Sequence[str]) -> None:
    """Run a graph on the card of that number; what is wrong with it is not said here."""
    with contextlib.suppress(ProviderError):
        require_cuda(CardSettings(int(words[0])))


if __name__ == "__main__":
    main(sys.argv[1:])

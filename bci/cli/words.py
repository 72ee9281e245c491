"""The screen's own words, each explained in half a line."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bci.cli.output import Output

#: What each word means that a line or a table uses without saying it.
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "latent": "the numbers that were read; the generator draws the picture from them",
        "confidence": "how sure the decoder is of them, from 0 to 1",
        "planted": "the state that the simulator was really in",
        "neutral": "the even picture that the participant sees when there is none to be shown",
        "skipped": "windows passed over because decoding was late; a newer one was taken",
        "flip": "the moment at which the screen's picture was exchanged",
        "p50": "half of the values lie below, p95 and p99: 95 and 99 % of them",
    }
)


def words_in(text: str, known: Iterable[str] = ()) -> dict[str, str]:
    """Return the words of a text that are explained here, but for those that are known, with their meaning.

    >>> list(words_in("latent +1.00, confidence .97 · 2 flips")), list(words_in("latent", {"latent"}))
    (['latent', 'confidence', 'flip'], [])
    """
    return {
        word: meaning
        for word, meaning in WORDS.items()
        if word not in known and re.search(rf"\b{word}s?\b", text)
    }


def say_latency(output: "Output", table: Mapping[str, Mapping[str, float]], explained: str) -> None:
    """Print a latency table, each stage with what it is; where nothing has a time, a sentence in its place.

    Parameters
    ----------
    output : Output
        Where to.
    table : mapping
        As `bci.session.latency.latency_table` returns it.
    explained : str
        The words of it that are explained below.
    """
    from bci.session.latency import STAGES

    if not any(stage["n"] for stage in table.values()):
        output.say("No valid reconstruction was made, so no stage has a latency.")
        return
    rows = [
        (name, STAGES[name], *(p[key] for key in ("p50", "p95", "p99", "n"))) for name, p in table.items()
    ]
    output.table("Milliseconds per stage", ("stage", "from … to", "p50", "p95", "p99", "n"), rows)
    output.explain(explained)

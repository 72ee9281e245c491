"""What a summary says of a session's streams: markers of uncertain time, and stamps that are corrected."""

from collections.abc import Mapping, Sequence
from typing import Any

from bci.config.stream import StreamSettings


def stream_sentences(
    settings: Sequence[StreamSettings], counts: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return sentences on streams of which more is to be known than their samples.

    Parameters
    ----------
    settings : sequence of StreamSettings
        The streams of the session file.
    counts : mapping
        What was counted of each, by its name (``"stream"`` where it has none): ``markers`` and ``uncertain``.
    """
    sentences = []
    for one in settings:
        name = one.name or "stream"
        if one.latency_s:
            sentences.append(f"Every stamp of {name} is corrected by latency_s = {one.latency_s:g}.")
        if counts[name]["uncertain"]:
            words = uncertain_words(counts[name], one.marker_uncertainty_limit_s)
            sentences.append(
                f"{words} They are left out of evaluation and calibration, and stand in events.tsv with status "
                "uncertain."
            )
    return sentences


def uncertain_words(counts: Mapping[str, int], limit_s: float) -> str:
    """Return a sentence on markers whose time is not known well enough.

    >>> uncertain_words({"uncertain": 1, "markers": 40}, 0.005)
    'The time of 1 of 40 markers could be wrong by more than marker_uncertainty_limit_s, 5 ms.'
    """
    return (
        f"The time of {counts['uncertain']} of {counts['markers']} markers could be wrong by more than "
        f"marker_uncertainty_limit_s, {1e3 * limit_s:g} ms."
    )

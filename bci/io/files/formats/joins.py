"""Annotations of MNE and of file formats that mark a break among the samples."""

import math
from collections.abc import Sequence

from bci.io.files.formats.stretches import Break

#: A pause of the acquisition, filled with zeros (FIF and others).
_FILLED = "BAD_ACQ_SKIP"
#: Two files were joined here, or a piece was cut out: MNE's words, our own export's, Biosig's code of a new segment.
_JOINED = frozenset({"EDGE boundary", "BAD boundary", "BAD_gap", "32766"})
#: EEGLAB's event where data were cut out: its duration is how many; not a number where files were joined.
_CUT = frozenset({"boundary", "-99"})


def breaks_among(
    onsets: Sequence[float], durations: Sequence[float], texts: Sequence[str], rate: float, suffix: str
) -> tuple[list[Break], list[bool]]:
    """Return the breaks that annotations mark, and whether each annotation is none and stays a marker.

    Parameters
    ----------
    onsets, durations : sequence of float
        Seconds, in the file as it is stored.
    texts : sequence of str
        Descriptions.
    rate : float
        Samples per second.
    suffix : str
        Of the file: the code of a new segment counts in GDF alone, EEGLAB's boundary in a .set.

    Examples
    --------
    >>> breaks_among([1.0, 2.995, 4.0], [0.5, 0.2, 0.0], ["BAD_ACQ_SKIP", "boundary", "go"], 100.0, ".set")
    ([Break(at=100, seconds=None, filler=50), Break(at=300, seconds=0.2, filler=0)], [False, False, True])
    """
    breaks, stays = [], []
    for onset, duration, text in zip(onsets, durations, texts, strict=True):
        # A boundary of EEGLAB lies half-way between two samples.
        at = math.ceil(onset * rate - 1e-3)
        if text == _FILLED:
            breaks.append(Break(round(onset * rate), filler=round(duration * rate)))
        elif text in _JOINED and (text != "32766" or suffix == ".gdf"):
            breaks.append(Break(at))
        elif text in _CUT and suffix == ".set":
            breaks.append(Break(at, duration if math.isfinite(duration) and duration > 0 else None))
        else:
            stays.append(True)
            continue
        stays.append(False)
    return breaks, stays

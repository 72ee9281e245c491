"""What the rig's own markers say: the text that a flip sends names the stimulus that it brought."""

import re

_STIMULUS = re.compile(r"stimulus (\d+) (.*)", re.DOTALL)


def stimulus_of(marker: str) -> tuple[int, str] | None:
    """Return number and name of the stimulus that a marker speaks of; None for other markers.

    >>> stimulus_of("stimulus 3 face-3"), stimulus_of("frame 3")
    ((3, 'face-3'), None)
    """
    match = _STIMULUS.fullmatch(marker)
    return None if match is None else (int(match[1]), match[2])

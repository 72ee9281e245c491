"""A channel label names one channel; its different spellings in amplifiers and file formats are compared here."""

from collections import Counter
from collections.abc import Sequence

from bci.errors import ConfigError
from bci.signal.types import Signal

_PREFIX = "eeg "
_SUFFIXES = ("-ref", "-le")


def label_key(label: str) -> str:
    """Return the form by which labels are compared, the same for all spellings of one channel.

    Case, dots and spaces do not count, nor do a leading ``EEG`` and the name of the reference behind a
    hyphen (``-REF``, ``-LE``), as in the headers of EDF files.

    >>> label_key("Fc5."), label_key("EEG FC5-REF"), label_key(" fc5")
    ('fc5', 'fc5', 'fc5')
    """
    key = label.casefold().strip().removeprefix(_PREFIX)
    for suffix in _SUFFIXES:
        key = key.removesuffix(suffix)
    return key.replace(".", "").replace(" ", "")


def find_channels(signal: Signal, labels: Sequence[str]) -> list[int]:
    """Return the place of each of `labels` among the channels of `signal`.

    Raises
    ------
    ConfigError
        If a label is missing, or stands for two channels.
    """
    places: dict[str, list[int]] = {}
    for place, label in enumerate(signal.channels):
        places.setdefault(label_key(label), []).append(place)
    missing = [label for label in labels if label_key(label) not in places]
    if missing:
        there = ", ".join(signal.channels) or f"{signal.shape[0]} channels without labels"
        raise ConfigError(
            f"signal {signal.name!r} has no channel {', '.join(map(repr, missing))}; it has {there}. "
            "Choose among these, or stream the montage that was asked for."
        )
    double = [label for label in labels if len(places[label_key(label)]) > 1]
    if double:
        raise ConfigError(
            f"signal {signal.name!r} has more than one channel {', '.join(map(repr, double))}: "
            "give the channels of the stream different labels."
        )
    return [places[label_key(label)][0] for label in labels]


def numbered(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels that are unique: equal ones are numbered, as MNE numbers them.

    >>> numbered(("Cz", "EXG", "EXG"))
    ('Cz', 'EXG-0', 'EXG-1')
    """
    counts, seen, names = Counter(labels), Counter[str](), []
    for label in labels:
        names.append(f"{label}-{seen[label]}" if counts[label] > 1 else label)
        seen[label] += 1
    return tuple(names)

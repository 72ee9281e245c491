"""Progress is how a training says how far it is: the share done, and a line, which may be a warning that stays."""

from collections.abc import Callable, Iterable

#: Takes the share done, 0 to 1, and a line of text.
Progress = Callable[[float, str], None]

#: What a line begins with that stays: it is said to the user even if the training ends without a bundle.
WARNING = "warning: "


def warn(progress: Progress, done: float, sentences: Iterable[str]) -> None:
    """Say what is wrong with the data, a line each, as soon as it is known.

    >>> warn(lambda done, text: print(text), 0.1, ["a.edf: channels move by 5e7 uV"])
    warning: a.edf: channels move by 5e7 uV
    """
    for sentence in sentences:
        progress(done, WARNING + sentence)

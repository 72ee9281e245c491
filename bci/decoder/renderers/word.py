"""A Word shows the most probable of a few words, as large as the picture allows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.decoder.renderers.paper import blank, develop, write

#: Share of a picture's height that a line takes, where the word is short enough.
_LINE_SHARE = 1 / 3

#: So many words are drawn when the renderer is made; others when they come, which takes a millisecond.
_KEPT = 64


class Word:
    """Draws the most probable word; of equally probable ones the first.

    Parameters
    ----------
    words : sequence of str
        The words.
    size : (int, int)
        Height and width of the pictures.

    Examples
    --------
    >>> word = Word(("yes", "no"), (32, 64))
    >>> pictures = [word(np.array(p, np.float32)) for p in ([0.2, 0.8], [0.4, 0.6], [0.7, 0.3])]
    >>> bool((pictures[0] == pictures[1]).all()), bool((pictures[0] == pictures[2]).all())
    (True, False)
    """

    def __init__(self, words: Sequence[str], size: tuple[int, int]) -> None:
        self._words, self._size = tuple(words), size
        self._drawn = [self._draw(word) for word in self._words[:_KEPT]]

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the picture of probabilities, (k,)."""
        index = int(np.argmax(values))
        return self._drawn[index].copy() if index < len(self._drawn) else self._draw(self._words[index])

    def _draw(self, word: str) -> NDArray[np.uint8]:
        paper = blank(self._size)
        write(paper, word, max(1.0, self._size[0] * _LINE_SHARE))
        return develop(paper)

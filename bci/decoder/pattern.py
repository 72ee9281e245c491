"""A MarkerPattern is the regular expression of a bundle that the whole text of a marker must match, in linear time.

Python's `re` tries one way after another: for ``(a+)+b`` and thirty letters that is a billion ways, and pattern and
marker are both a stranger's. Here all ways are followed at once, as a set of places in the pattern (Thompson 1968,
Communications of the ACM 11:419), so a text costs at most its length times the pattern's places. What cannot be
matched so, references back and looks around, is refused when the bundle is loaded.
"""

import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence

# The standard library's own parser: patterns mean what they mean to `re`. It is private, so a test compares with `re`.
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

#: Characters of a pattern, and places in it once its repeats are written out.
_LONGEST, _MOST_PLACES = 500, 1000
#: Steps from set to set are remembered, since markers repeat, until so many places are held for it.
_MOST_REMEMBERED = 100_000

Holds = Callable[[str], bool]
#: Where a part of the pattern begins, and where it ends.
_Part = tuple[int, int]


class MarkerPattern:
    r"""A MarkerPattern tells which markers are wanted.

    Parameters
    ----------
    text : str
        As `re` has it, with `.` for every character, a line's end too: literals, classes, groups, alternatives, and
        repeats, greedy or not. ``^`` and ``$`` are the text's two ends.

    Raises
    ------
    ValueError
        If it is no such pattern, naming what of it is not.

    Examples
    --------
    >>> MarkerPattern("stimulus .*").matches("stimulus 3 face\n2"), MarkerPattern("S +[12]").matches("S  3")
    (True, False)
    """

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise ValueError(f"expected a pattern of at most {_LONGEST} characters, came {len(text)}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tree = parser.parse(text, re.DOTALL)
        except (re.error, RecursionError, OverflowError, Warning) as error:
            raise ValueError(f"it is no regular expression ({error})") from None
        if tree.state.flags & ~(re.DOTALL | re.UNICODE):
            raise ValueError("flags such as (?i) are not taken; write [Ss] for both cases")
        self.text = text
        #: For each place: what a character must be to go on, and to where; and where it leads without one.
        self._step: list[tuple[Holds, int] | None] = []
        self._free: list[list[int]] = []
        self._end_only: set[tuple[int, int]] = set()
        self._start_only: set[tuple[int, int]] = set()
        try:
            begin, self._last = self._add(tree)
        except RecursionError:
            raise ValueError("its groups nest too deep; write it flat") from None
        self._first = self._closed([begin], start=True)
        self._remembered: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._held = 0

    def matches(self, text: str) -> bool:
        """Whether the whole of a marker's text matches."""
        places = self._first
        for character in text:
            if not places:
                return False
            known = self._remembered.get((places, character))
            if known is None:
                known = self._after(places, character)
                if self._held < _MOST_REMEMBERED:
                    self._held += len(known) + 1
                    self._remembered[places, character] = known
            places = known
        return self._last in self._closed(places, start=not text, end=True)

    # -- following all ways at once -------------------------------------------------------------------------

    def _after(self, places: frozenset[int], character: str) -> frozenset[int]:
        reached = []
        for place in places:
            step = self._step[place]
            if step is not None and step[0](character):
                reached.append(step[1])
        return self._closed(reached)

    def _closed(self, places: Iterable[int], *, start: bool = False, end: bool = False) -> frozenset[int]:
        """Return the places with all that they lead to without a character."""
        reached, todo = set(places), list(places)
        while todo:
            place = todo.pop()
            for target in self._free[place]:
                way = (place, target)
                barred = (way in self._start_only and not start) or (way in self._end_only and not end)
                if target not in reached and not barred:
                    reached.add(target)
                    todo.append(target)
        return frozenset(reached)

    # -- from the parsed pattern to places ------------------------------------------------------------------

    def _place(self) -> int:
        if len(self._free) >= _MOST_PLACES:
            raise ValueError("its repeats, written out, are too many; ask for fewer")
        self._step.append(None)
        self._free.append([])
        return len(self._free) - 1

    def _add(self, items: Iterable[tuple[Any, Any]]) -> _Part:
        """Add a sequence of parsed items, one behind the other."""
        begin = end = self._place()
        for kind, value in items:
            first, last = self._add_one(kind, value)
            self._free[end].append(first)
            end = last
        return begin, end

    def _add_one(self, kind: Any, value: Any) -> _Part:
        if kind in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            begin, end = self._place(), self._place()
            self._step[begin] = (_holds(kind, value), end)
            return begin, end
        if kind is sre.SUBPATTERN:
            _, added, removed, inner = value
            if added or removed:
                raise ValueError("flags such as (?i:…) are not taken; write [Ss] for both cases")
            return self._add(inner)
        if kind is sre.BRANCH:
            begin, end = self._place(), self._place()
            for branch in value[1]:
                first, last = self._add(branch)
                self._free[begin].append(first)
                self._free[last].append(end)
            return begin, end
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            return self._add_repeat(*value)
        if kind is sre.AT and value in (
            sre.AT_BEGINNING,
            sre.AT_BEGINNING_STRING,
            sre.AT_END,
            sre.AT_END_STRING,
        ):
            begin, end = self._place(), self._place()
            self._free[begin].append(end)
            at_start = value in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING)
            (self._start_only if at_start else self._end_only).add((begin, end))
            return begin, end
        raise ValueError(
            f"{_WORDS.get(kind, str(kind).lower())} cannot be matched in linear time; write it without"
        )

    def _add_repeat(self, least: int, most: Any, inner: Sequence[tuple[Any, Any]]) -> _Part:
        begin = end = self._place()
        for _ in range(least):
            first, last = self._add(inner)
            self._free[end].append(first)
            end = last
        if most is sre.MAXREPEAT:
            first, last = self._add(inner)
            after = self._place()
            self._free[end] += [first, after]
            self._free[last] += [first, after]
            return begin, after
        after = self._place()
        for _ in range(int(most) - least):
            first, last = self._add(inner)
            self._free[end] += [first, after]
            end = last
        self._free[end].append(after)
        return begin, after


_WORDS = {
    sre.GROUPREF: "a reference to a group",
    sre.GROUPREF_EXISTS: "a condition on a group",
    sre.ASSERT: "a look ahead or behind",
    sre.ASSERT_NOT: "a look ahead or behind",
    sre.AT: "the border of a word",
}

#: Classes of characters by their letter's name; the second of each pair is what is not in it.
_CLASSES: dict[Any, Holds] = {
    sre.CATEGORY_DIGIT: lambda c: unicodedata.category(c) == "Nd",
    sre.CATEGORY_NOT_DIGIT: lambda c: unicodedata.category(c) != "Nd",
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    sre.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
    sre.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
}


def _holds(kind: Any, value: Any) -> Holds:
    """Return whether one character is what a parsed item asks for."""
    if kind is sre.ANY:
        return lambda c: True
    if kind is sre.LITERAL:
        wanted = chr(value)
        return lambda c: c == wanted
    if kind is sre.NOT_LITERAL:
        barred = chr(value)
        return lambda c: c != barred
    negated = bool(value) and value[0][0] is sre.NEGATE
    members = [_member(*item) for item in value if item[0] is not sre.NEGATE]
    return lambda c: any(holds(c) for holds in members) != negated


def _member(kind: Any, value: Any) -> Holds:
    if kind is sre.CATEGORY:
        return _CLASSES[value]
    if kind is sre.RANGE:
        low, high = value
        return lambda c: low <= ord(c) <= high
    wanted = chr(value)
    return lambda c: c == wanted

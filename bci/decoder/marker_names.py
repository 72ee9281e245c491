r"""MarkerNames say which markers of a session stand for those that a bundle was trained on.

A bundle that was trained on a recording knows its markers by that recording's texts, ``2`` and ``1``; the display of a
session writes ``stimulus 3 target D``. The session file names them: ``"2" = "stimulus \\d+ target .*"``.
"""

from collections.abc import Mapping

from bci.decoder.pattern import MarkerPattern
from bci.errors import ConfigError


class MarkerNames:
    r"""MarkerNames tell what a marker of the session would have been called where the bundle was trained.

    Parameters
    ----------
    patterns : mapping of str to str
        A marker as the bundle knows it: the pattern that the whole text of the session's markers must match.

    Raises
    ------
    ConfigError
        If a pattern is none.

    Examples
    --------
    >>> names = MarkerNames({"2": r"stimulus \d+ target .*", "1": r"stimulus \d+ nontarget .*"})
    >>> names.trained_as("stimulus 3 target D"), names.trained_as("stimulus 1 nontarget B"), names.trained_as("2")
    ('2', '1', '')
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns: dict[str, MarkerPattern] = {}
        for name, text in patterns.items():
            try:
                self._patterns[name] = MarkerPattern(text)
            except ValueError as error:
                raise ConfigError(
                    f"[decoder.events] {name!r} = {text!r}: {error}. Correct the pattern."
                ) from None

    def matches(self, text: str) -> bool:
        """Return whether a marker stands for one that the bundle knows."""
        return any(pattern.matches(text) for pattern in self._patterns.values())

    def trained_as(self, text: str) -> str:
        """Return the marker that one of the session stands for; empty where it stands for none, or for several."""
        names = [name for name, pattern in self._patterns.items() if pattern.matches(text)]
        return names[0] if len(names) == 1 else ""

    def require_known(self, wanted: MarkerPattern, bundle: str) -> None:
        """Refuse names that a bundle does not cut epochs around.

        Raises
        ------
        ConfigError
            Naming them.
        """
        if unknown := [name for name in self._patterns if not wanted.matches(name)]:
            raise ConfigError(
                f"[decoder.events] names {', '.join(map(repr, unknown))}; bundle {bundle!r} cuts epochs around markers "
                f"that match {wanted.text!r}. Write in front of each = a marker as the bundle was trained on it."
            )

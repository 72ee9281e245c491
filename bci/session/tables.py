"""The tables of a session's folder: what they and their columns are called, and how far a table was written."""

import re
from collections.abc import Mapping
from pathlib import Path

from bci.signal.types import STAGES

FRAME_FIELDS = (
    "frame", "first", "last_sample", "skipped", "valid", "reason", "confidence", "latent", "digest",
    "window_digest", *STAGES[:5], "event_time", "event_raw", "event_code", "event", "trial", "bundle",
    "event_uncertainty", "repeats",
)  # fmt: skip
SHOWN_FIELDS = ("change", "kind", "frame", "flip", "reason", "digest", *STAGES, "trial", "decoder", "mode")
MARK_FIELDS = ("source", "kind", "first", "count", "time", "value", "detail")
MARKER_FIELDS = ("source", "count", "time", "raw", "uncertainty", "code", "text")

#: The columns of each table that hold numbers, and what reads one.
NUMBERS: Mapping[str, Mapping[str, type[int] | type[float]]] = {
    "frames": dict.fromkeys(
        ("frame", "first", "last_sample", "skipped", "valid", "event_code", "trial", "bundle", "repeats"), int
    )
    | dict.fromkeys(("confidence", *STAGES[:5], "event_time", "event_raw", "event_uncertainty"), float),
    "shown": dict.fromkeys(("change", "frame", "trial"), int) | dict.fromkeys(("flip", *STAGES), float),
    "marks": dict.fromkeys(("first", "count"), int) | dict.fromkeys(("time", "value"), float),
    "markers": dict.fromkeys(("count", "code"), int) | dict.fromkeys(("time", "raw", "uncertainty"), float),
}

#: A row of a table, by column, as it stands there.
Row = Mapping[str, str]

#: The tables that a recorder writes; ``trials.csv`` is the engine's own.
RECORDER_TABLES = ("frames", "shown", "marks", "markers")

#: What a decoder beside the first may be called: no hyphen, which is kept for the numbers of parts.
DECODER_NAME = r"[a-z][a-z0-9_]*"


def table_file(table: str, decoder: str | None = None) -> str:
    """Return what the file of a table is called in the first part of a session.

    Parameters
    ----------
    table : str
        ``"frames"``, ``"shown"`` …
    decoder : str, optional
        Whose table, where a session has several decoders; the first one's when absent.

    Raises
    ------
    ValueError
        If no decoder can be called so.

    Examples
    --------
    >>> table_file("frames"), table_file("frames", "alpha")
    ('frames.csv', 'frames.alpha.csv')
    """
    return f"{table}.csv" if decoder is None else f"{table}.{_checked(decoder)}.csv"


def decoder_source(decoder: str | None = None) -> str:
    """Return the source of a decoder's marks in ``marks.csv``; of the first decoder when none is named.

    >>> decoder_source(), decoder_source("alpha")
    ('decode', 'decode:alpha')
    """
    return "decode" if decoder is None else f"decode:{_checked(decoder)}"


def _checked(decoder: str) -> str:
    if not re.fullmatch(DECODER_NAME, decoder):
        raise ValueError(
            f"a decoder's name of small letters, digits and _ was expected, a letter first; {decoder!r} came"
        )
    return decoder


def rows_until(path: Path) -> int:
    """Return the number after that of the last whole row of a table that counts its rows; 0 where there is none."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 20)))
        lines = file.read().split(b"\r\n")[:-1]
    number = lines[-1].partition(b",")[0] if lines else b""
    return int(number) + 1 if number.isdigit() else 0

"""The tables of a session's folder: what their columns are called, and how far a table was written."""

from pathlib import Path

from bci.signal.types import STAGES

FRAME_FIELDS = (
    "frame", "first", "last_sample", "skipped", "valid", "reason", "confidence", "latent", "digest",
    "window_digest", *STAGES[:5], "event_time", "event_raw", "event_code", "event", "trial",
)  # fmt: skip
SHOWN_FIELDS = ("change", "kind", "frame", "flip", "reason", "digest", *STAGES, "trial")
MARK_FIELDS = ("source", "kind", "first", "count", "time", "value", "detail")


def rows_until(path: Path) -> int:
    """Return the number after that of the last whole row of a table that counts its rows; 0 where there is none."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 20)))
        lines = file.read().split(b"\r\n")[:-1]
    number = lines[-1].partition(b",")[0] if lines else b""
    return int(number) + 1 if number.isdigit() else 0

"""RecordedMarks are what a session's ``marks.csv`` says until the time at which its page stands."""

from collections.abc import Iterable, Mapping

import numpy as np

from bci.control.page.model import GapBand
from bci.control.page.moment import Tone
from bci.control.page.sight import gap_band
from bci.memory.alarms import Alarm, lasted
from bci.session.tables import Row
from bci.signal.types import MarkKind

#: For how long a mark of what went wrong stands among the alarms, seconds.
RECENT_S = 10.0

#: Marks that say that something went wrong, and how badly.
_TROUBLES: Mapping[str, Tone] = {
    "gap": Tone.URGENT,
    "overrun": Tone.URGENT,
    "stalled": Tone.URGENT,
    "lost": Tone.URGENT,
    "latched": Tone.URGENT,
    "reconnect": Tone.NOTE,
    "clock_reset": Tone.NOTE,
    "restart": Tone.NOTE,
    "refused": Tone.NOTE,
    "double": Tone.NOTE,
    "uncertain": Tone.NOTE,
    "unheard": Tone.NOTE,
    "epoch_lost": Tone.NOTE,
    "swapped": Tone.NOTE,
    "skipped": Tone.NOTE,
}

#: Marks of what the operator did: they stand among the alarms, and nothing is wrong.
_DONE = frozenset({"command"})


class RecordedMarks:
    """The marks of a finished session, by time.

    Parameters
    ----------
    rows : iterable of Row
        Of ``marks.csv``, all parts; those without a time are left out.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        timed = [row for row in rows if row["time"] not in ("", "nan")]
        self._rows = sorted(timed, key=lambda row: float(row["time"]))
        self._times = np.array([float(row["time"]) for row in self._rows])

    def until(self, now: float) -> list[Row]:
        """Return those until a time, session seconds."""
        return self._rows[: int(np.searchsorted(self._times, now, "right"))]

    def alarms(self, now: float) -> list[Alarm]:
        """Return what went wrong in the seconds before a time, the most urgent and newest first."""
        alarms = self._recent(now, frozenset(_TROUBLES))
        return sorted(alarms, key=lambda alarm: not alarm.urgent)

    def done(self, now: float) -> list[Alarm]:
        """Return what the operator did in the seconds before a time, the newest first."""
        return self._recent(now, _DONE)

    def _recent(self, now: float, kinds: frozenset[str]) -> list[Alarm]:
        first = int(np.searchsorted(self._times, now - RECENT_S))
        alarms = []
        for row in reversed(self.until(now)[first:]):
            if row["kind"] not in kinds:
                continue
            ago = now - float(row["time"])
            words = f"{row['source']}: {row['kind'].replace('_', ' ')}"
            alarms.append(
                Alarm(
                    f"{row['kind']} {row['source']} {row['time']}",
                    f"{words}, {lasted(ago)} before",
                    row["detail"] or f"{words} at sample {row['first']}.",
                    "",
                    urgent=_TROUBLES.get(row["kind"]) is Tone.URGENT,
                    age=ago,
                )
            )
        return alarms

    def restarts(self, now: float) -> dict[str, int]:
        """Return how often each program had been started again by a time."""
        restarts: dict[str, int] = {}
        for row in self.until(now):
            if row["kind"] == MarkKind.RESTART.name.lower():
                name = row["detail"].partition(" ")[0]
                restarts[name] = restarts.get(name, 0) + 1
        return restarts

    def count(self, kinds: Iterable[str], now: float) -> int:
        """Return what marks of some kinds add up to by a time: samples missing, windows skipped."""
        wanted = frozenset(kinds)
        return sum(int(row["count"]) for row in self.until(now) if row["kind"] in wanted)

    def gaps(self, stream: str, start: float, now: float) -> list[GapBand]:
        """Return where data of a stream are missing between two times."""
        bands = []
        for row in self._rows:
            kind = MarkKind[row["kind"].upper()]
            if row["source"] == stream and (kind.starts_segment or kind is MarkKind.STALLED):
                bands.append(gap_band(*_what(row)))
        return [band for band in bands if band.stop >= start and band.start <= now]

    def resumptions(self, stream: str, rate: float) -> list[tuple[int, float]]:
        """Return where a stream's time jumps: counts of samples, with their session times, on either side."""
        known = []
        for row in self._rows:
            if row["source"] == stream and MarkKind[row["kind"].upper()].starts_segment:
                first, band = int(row["first"]), gap_band(*_what(row))
                known.append((first, band.stop))
                if first and band.start < band.stop:
                    known.append((first - 1, band.start - 1 / rate if rate else band.start))
        return known


def _what(row: Row) -> tuple[MarkKind, float, float]:
    return MarkKind[row["kind"].upper()], float(row["time"]), float(row["value"] or "nan")

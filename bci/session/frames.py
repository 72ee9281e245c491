"""A Decoding reads one decoder's records in a session: reconstructions, resets of its pipeline, events cut around."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.session.tables import Row
from bci.signal.types import STAGES, Event, code_of


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFrame:
    """One row of ``frames.csv``: a reconstruction as it was made live, all but its pixels.

    Attributes
    ----------
    number : int
        Its count in the decoder's ring of frames.
    first, last_sample : int
        Count of the window's first sample in the pipeline's output, and of the newest source sample behind it.
    valid, reason, confidence, latent
        As in `bci.signal.types.Reconstruction`.
    digest, window_digest : str
        Of its pixels, and of the window where the session was audited.
    event : Event or None
        The event that its epoch was cut around; None for a sliding window.
    stamps : mapping of str to float
        Session seconds of the stages up to *published*; NaN where the row has none.
    bundle : int
        Which of the decoder's bundles made it: 0 for the one it began with (see `bci.session.swaps`).
    repeats : int
        Of how many epochs of its event's stimulus the mean was decoded; 1 where nothing was averaged.
    """

    number: int
    last_sample: int
    valid: bool
    reason: str
    confidence: float
    latent: NDArray[np.float32]
    digest: str
    window_digest: str
    event: Event | None = None
    first: int = -1
    stamps: Mapping[str, float] = field(default_factory=dict)
    bundle: int = 0
    repeats: int = 1

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row.

        Raises
        ------
        RecordingError
            If something of it is missing or no number.
        """
        try:
            return cls(
                number=int(row["frame"]),
                last_sample=int(row["last_sample"]),
                valid=bool(int(row["valid"])),
                reason=row["reason"],
                confidence=float(row["confidence"]),
                latent=_latent(row["latent"]),
                digest=row["digest"],
                window_digest=row["window_digest"],
                event=_frame_event(row),
                first=int(row["first"]),
                stamps={stage: float(row[stage] or "nan") for stage in STAGES[:5]},
                bundle=int(row.get("bundle") or 0),
                repeats=int(row.get("repeats") or 1),
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise RecordingError(
                f"frames.csv: a whole row was expected, {dict(row)} came ({error}). Was the file edited?"
            ) from None


def _latent(text: str) -> NDArray[np.float32]:
    """Return a latent as `bci.live.tables` wrote it: a list of numbers."""
    with np.errstate(over="ignore"):
        latent = np.array(json.loads(text), np.float32)
    if latent.ndim != 1:
        raise ValueError(f"its latent is no list of numbers but {text[:60]!r}")
    return latent


@dataclass(frozen=True, slots=True)
class LostEpoch:
    """An event without an epoch, and why: ``"gap"``, ``"late"`` or ``"restart"`` (see `bci.signal.epochs.Lost`)."""

    event: Event
    reason: str


@dataclass(frozen=True, slots=True)
class Decoding:
    """A Decoding holds one decoder's records in a session.

    Attributes
    ----------
    frames : sequence of RecordedFrame
        Every reconstruction, in order.
    resets : mapping of int to str
        Count of the sample that the live pipeline was reset at: why.
    epochs : sequence of int
        Output counts of the samples that events were put on, where epochs were decoded.
    events : sequence of Event
        The event of each of them.
    lost : sequence of LostEpoch
        Events that no epoch could be cut around.
    swaps : mapping of int to int
        Of each bundle that took over while the session ran: count of the sample that its pipeline began with.
    """

    frames: Sequence[RecordedFrame]
    resets: Mapping[int, str]
    epochs: Sequence[int] = ()
    events: Sequence[Event] = ()
    lost: Sequence[LostEpoch] = ()
    swaps: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        frames: Sequence[RecordedFrame],
        marks: Sequence[Row],
        trials: Mapping[float, int],
        offset: Callable[[], int | None],
        folder: Path,
    ) -> Self:
        """Put together what the tables say.

        Parameters
        ----------
        frames : sequence of RecordedFrame
            The decoder's.
        marks : sequence of rows
            The decoder's rows of ``marks.csv``.
        trials : mapping of float to int
            The trial of each flip, by its stamp.
        offset : callable
            Returns how many output samples an epoch's first sample lies behind its event's, None where that is not
            known; asked only where the frames do not say which event is theirs, as before these columns existed.
        folder : Path
            The session's, for an error to name.

        Raises
        ------
        RecordingError
            If a mark is not whole, or nothing tells which event belongs to which frame.
        """
        resets: dict[int, str] = {}
        swaps: dict[int, int] = {}
        cut: dict[tuple[int, float, str], Event] = {}
        lost: dict[tuple[float, str], LostEpoch] = {}
        try:
            for mark in marks:
                if mark["kind"] == "pipeline_reset":
                    resets[int(mark["first"])] = mark["detail"]
                elif mark["kind"] == "swapped":
                    swaps[int(float(mark["value"]))] = int(mark["first"])
                elif mark["kind"] == "epoch":
                    # Marked twice where the decoder died before the frame was out: it was cut again at its sample.
                    event = _event(mark, mark["detail"], trials)
                    cut[int(mark["first"]), event.raw, event.text] = event
                elif mark["kind"] == "epoch_lost":
                    reason, _, text = mark["detail"].partition(": ")
                    event = _event(mark, text, trials)
                    lost[event.raw, text] = LostEpoch(event, reason)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordingError(
                f"marks.csv of {folder}: whole rows were expected, one came without ({error}). Was the file edited?"
            ) from None
        epochs, events = [first for first, *_ in cut], list(cut.values())
        if epochs and frames and all(frame.event is None for frame in frames):
            frames = _with_events(frames, epochs, events, offset(), folder)
        decoded = {(frame.event.raw, frame.event.text) for frame in frames if frame.event is not None}
        # A successor may call lost what its predecessor had decoded, or what it has cut again itself.
        without_frame = [one for key, one in lost.items() if key not in decoded]
        return cls(frames, resets, epochs, events, without_frame, swaps)


def _frame_event(row: Row) -> Event | None:
    """Return the event of a row of ``frames.csv``; None for a sliding window, and where an old session has none."""
    if not row.get("event_time"):
        return None
    return Event(
        time=float(row["event_time"]),
        text=row["event"],
        code=int(row["event_code"]),
        raw=float(row["event_raw"]),
        trial=int(row["trial"]),
        uncertainty=float(row.get("event_uncertainty") or "nan"),
    )


def _event(mark: Row, text: str, trials: Mapping[float, int]) -> Event:
    raw = float(mark["value"])
    return Event(float(mark["time"]), text, code_of(text), raw, trials.get(raw, -1))


def _with_events(
    frames: Sequence[RecordedFrame],
    epochs: Sequence[int],
    events: Sequence[Event],
    offset: int | None,
    folder: Path,
) -> list[RecordedFrame]:
    """Give each frame the event whose sample its epoch's first sample follows, never the one in the same row."""
    if offset is None:
        offset = _common_offset([frame.first for frame in frames], epochs)
    if offset is None:
        raise RecordingError(
            f"{folder}: its frames do not say which event is theirs, its bundle is not where it was, and the epochs' "
            f"samples alone leave it open. Put the bundle back (config.json names its folder)."
        )
    waiting: defaultdict[int, list[Event]] = defaultdict(list)
    for index, event in zip(epochs, events, strict=True):
        waiting[index + offset].append(event)
    with_events = []
    for frame in frames:
        own = waiting[frame.first]
        # Two events on one sample were decoded one after the other; the last one stays for a frame made twice.
        first = own.pop(0) if len(own) > 1 else next(iter(own), None)
        with_events.append(replace(frame, event=first))
    return with_events


def _common_offset(firsts: Sequence[int], epochs: Sequence[int]) -> int | None:
    """Return the one offset by which every frame follows an event; None where there is none, or several.

    >>> _common_offset([18, 58], [10, 50, 95]), _common_offset([18], [10, 50])
    (8, None)
    """
    shared = Counter(first - index for first in set(firsts) for index in set(epochs))
    fitting = [offset for offset, n in shared.items() if n == len(set(firsts))]
    return fitting[0] if len(fitting) == 1 else None

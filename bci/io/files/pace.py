"""The pace of a recording: whether its own times say the rate that it states."""

from bci.errors import RecordingError
from bci.io.files.recording import Recording
from bci.signal.quality.stamping import OFF_RATE


def paced_at(recording: Recording) -> float:
    """Return samples a second by a recording's own times, holes left out; the stated rate where no time has passed."""
    lasted, steps = 0.0, 0
    for first, end in recording.segments if recording.n is not None else ():
        if end - first > 1:
            lasted += float(recording.times(end - 1, end)[0] - recording.times(first, first + 1)[0])
            steps += end - first - 1
    return steps / lasted if lasted > 0 else recording.signal.rate


def require_paced(recording: Recording) -> None:
    """Refuse a recording that is sampled at another rate than it states: every filter would be off by as much.

    A live stream of that kind is refused by the same measure (`bci.signal.quality.stamping`).

    Raises
    ------
    RecordingError
        Naming both rates.
    """
    stated, paced = recording.signal.rate, paced_at(recording)
    if abs(paced / stated - 1) > OFF_RATE:
        raise RecordingError(
            f"{recording.name}: {stated:g} samples a second were expected, {paced:.4g} came by its stamps; filters and "
            f"times would be off by as much. Where the stamps are right, give that rate: rate = {round(paced):g}."
        )

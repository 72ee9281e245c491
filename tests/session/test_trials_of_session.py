"""Trials are joined by number and flip, whatever of their tables there is."""

import math

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.session.frames import Decoding, LostEpoch, RecordedFrame
from bci.session.trials import Flip, join_trials, read_flips, trials_by_flip
from bci.signal.types import Event


def asked(trial: int, stimulus: int, planned: float, ending: str = "shown", **other: str) -> dict[str, str]:
    """Return a row of trials.csv: shown 4 ms after it was planned, for a second."""
    nothing = math.isnan(planned)
    times = {"planned": planned, "onset": planned + 0.004, "until": planned + 1.0}
    return {
        "trial": str(trial), "stimulus": str(stimulus), "name": f"face-{stimulus}", "ending": ending,
        **{name: "nan" if nothing else f"{time:.6f}" for name, time in times.items()},
        "confidence": "nan", "latent": "", **other,
    }  # fmt: skip


def flipped(time: float, stimulus: int, trial: str | None = None) -> dict[str, str]:
    row = {"kind": "stimulus", "frame": str(stimulus), "flip": repr(time), "reason": f"face-{stimulus}"}
    return row if trial is None else row | {"trial": trial}


def frame(number: int, event: Event | None, *, valid: bool = True) -> RecordedFrame:
    return RecordedFrame(number, 10 * number, valid, "", 0.5, np.array([number], "f4"), "", "", event)


def test_flips_bear_the_trial_that_their_table_says() -> None:
    flips = read_flips([flipped(5.0, 1, "7"), {"kind": "neutral"}, flipped(6.0, 1, "-1")], [])
    assert flips == [Flip(5.0, 1, "face-1", 7), Flip(6.0, 1, "face-1", -1)]
    assert trials_by_flip(flips) == {5.0: 7}
    with pytest.raises(RecordingError, match="one came without"):
        read_flips([{"kind": "stimulus", "frame": "1"}], [])


def test_flips_of_old_tables_find_their_trial_by_the_engines_times_and_by_their_neighbours() -> None:
    rows = [
        asked(0, 3, 10.0),
        asked(1, 3, 12.0),
        asked(2, 3, math.nan, "aborted"),  # the engine died while it was shown
        asked(3, 4, math.nan, "aborted"),  # and before this one came
        asked(4, 3, 18.0),
    ]
    times = [10.004, 10.6, 12.0040004, 15.5, 18.004, 30.0]
    flips = read_flips([flipped(time, 3) for time in times], rows)
    # The second is the stimulus again, after the screen had been neutral; the last belongs to none.
    assert [flip.trial for flip in flips] == [0, 0, 1, 2, 4, -1]


def test_of_sliding_windows_the_engine_says_what_was_read() -> None:
    rows = [asked(0, 1, 10.0, latent="[0.5, 1.5]", confidence="0.25"), asked(1, 2, 12.0)]
    trials = join_trials(rows, [Flip(10.004, 1, "face-1", 0)], Decoding([frame(0, None)], {}))
    assert trials[0].latent is not None
    assert (trials[0].latent.tolist(), trials[0].confidence, trials[0].left_out) == ([0.5, 1.5], 0.25, "")
    assert (trials[1].latent, trials[1].left_out, trials[0].late) == (None, "not decoded", False)
    assert math.isnan(trials[1].flip)


def test_what_the_engine_says_of_an_epoch_is_not_taken_for_what_was_read() -> None:
    first, second = (Event(t + 0.1, "stimulus 1 face-1", raw=t, trial=k) for k, t in enumerate((10.0, 12.0)))
    flips = [Flip(10.0, 1, "face-1", 0), Flip(12.0, 1, "face-1", 1)]
    # The row of the second trial holds the first one's reconstruction, as it once did.
    rows = [asked(0, 1, 10.0), asked(1, 1, 12.0, latent="[0.0]", confidence="0.5")]
    decoding = Decoding([frame(0, first)], {}, [100], [first], [LostEpoch(second, "gap")])
    one, other = join_trials(rows, flips, decoding)
    assert (one.frame is not None, one.late, one.left_out) == (True, True, "")
    assert (other.latent, other.lost, other.left_out) == (None, "gap", "no epoch")


def test_the_newest_valid_reconstruction_counts_and_a_trial_without_a_row_is_told_by_its_flip() -> None:
    event = Event(10.1, "stimulus 1 face-1", raw=10.0, trial=4)
    frames = [frame(0, event), frame(1, event), frame(2, event, valid=False)]
    other = frame(3, Event(11.0, "button", raw=11.0))
    (trial,) = join_trials([], [Flip(10.0, 1, "face-1", 4)], Decoding([*frames, other], {}, [5], [event]))
    assert (trial.number, trial.ending, trial.name) == (4, "", "face-1")
    assert [f.number for f in trial.frames] == [0, 1, 2]
    assert trial.frame is frames[1]
    assert not trial.left_out


def test_trials_without_a_number_stand_where_their_time_is() -> None:
    flips = [Flip(10.0, 1, "a", 0), Flip(11.0, 5, "other"), Flip(12.0, 2, "b", 2)]
    rows = [asked(0, 1, 10.0), asked(1, 1, math.nan, "aborted"), asked(2, 2, 12.0)]
    trials = join_trials(rows, flips, Decoding([], {}))
    assert [(trial.number, trial.stimulus) for trial in trials] == [(0, 1), (1, 1), (-1, 5), (2, 2)]


def test_a_trial_is_of_the_picture_that_its_file_says_and_an_instruction_is_of_none() -> None:
    rows = [
        asked(0, 3, 10.0, type="target", file="faces/face-3.png", name="target face-3"),
        asked(1, 3, 12.0, type="instruction", name="instruction"),
        asked(2, 3, 14.0, type="stimulus", name="left hand"),
        asked(3, 3, 16.0, "paused", type="catch", file="faces/face-3.png"),
    ]
    trials = join_trials(rows, [], Decoding([], {}))
    assert [(trial.picture, trial.left_out) for trial in trials] == [
        ("face-3", "not decoded"), ("instruction", "no picture"), ("left hand", "not decoded"), ("face-3", "aborted"),
    ]  # fmt: skip


def test_a_trial_whose_event_is_of_uncertain_time_is_left_out() -> None:
    certain, uncertain = (
        Event(time, f"stimulus {k} face-{k}", raw=time - 3.0) for k, time in ((1, 10.1), (2, 12.1))
    )
    decoding = Decoding([frame(0, certain), frame(1, uncertain)], {}, [100, 300], [certain, uncertain])
    trials = join_trials([], [], decoding, uncertain={12.1})
    assert [(trial.uncertain, trial.left_out) for trial in trials] == [(False, ""), (True, "uncertain time")]
    # What the session file lets pass is scored, however large it is.
    assert [trial.left_out for trial in join_trials([], [], decoding)] == ["", ""]

"""The last lines of a session say what was refused, and why."""

import io
import sys

import numpy as np
import pytest

from bci.cli.output import use
from bci.cli.session_view import refusals
from bci.cli.words import say_latency
from bci.session.frames import RecordedFrame
from bci.session.latency import STAGES, percentiles


def frames(*reasons: str) -> list[RecordedFrame]:
    """Return a frame for each reason; it is valid where there is none."""
    latent = np.zeros(1, np.float32)
    return [RecordedFrame(k, k, not reason, reason, 0.5, latent, "", "") for k, reason in enumerate(reasons)]


def test_what_was_refused_is_counted_by_its_reason_and_what_to_do_is_said() -> None:
    said = refusals(
        frames(
            "settling",
            "",
            "unlike what the decoder was trained on",
            "masked 30 % > 20 %",
            "masked 25 % > 20 %",
            "masked 41 % > 20 %",
        )
    )
    assert said.startswith(
        "4 of 6 reconstructions were refused, and not shown: masked (3), unlike what the decoder was trained on (1). "
    )
    assert "bci quality" in said
    assert "bci calibrate" in said


def test_filters_that_settle_and_pictures_that_were_shown_are_no_news() -> None:
    assert refusals(frames("settling", "settling", "", "")) == ""
    assert refusals([]) == ""
    assert "calibrate" not in refusals(frames("masked 30 % > 20 %"))


@pytest.mark.parametrize(("n", "table"), [(0, False), (3, True)])
def test_a_session_that_decoded_nothing_prints_a_sentence_and_no_table_of_none(
    n: int, table: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    nothing = percentiles(np.zeros(0))
    say_latency(
        use(as_json=False),
        {name: percentiles(np.ones(n)) if name == "decode" else nothing for name in STAGES},
        "p50",
    )
    assert ("Milliseconds per stage" in printed.getvalue()) == table
    assert ("No valid reconstruction was made" in printed.getvalue()) != table

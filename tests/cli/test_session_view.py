"""The last lines of a session say what was refused, and why."""

import numpy as np

from bci.cli.session_view import refusals
from bci.session.frames import RecordedFrame


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

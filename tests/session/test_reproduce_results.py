"""A session whose decoder gives no picture is recorded and reproduced like any other, to the bit."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted_session import HOP, Line, noise

from bci.decoder.result import ClassesResult, NumberResult
from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce

pytestmark = pytest.mark.system

RESULTS = [
    ClassesResult(kind="classes", labels=("open", "closed")),
    NumberResult(kind="number", name="alpha", unit="uV", low=-3.0, high=3.0, shape="disc"),
]


@pytest.mark.parametrize("result", RESULTS, ids=["classes", "number"])
def test_a_session_without_a_generator_is_shown_recorded_and_reproduced_to_the_bit(
    tmp_path: Path, result: Any
) -> None:
    with ExitStack() as opened:
        line = Line(tmp_path / "session", opened, speed=10.0, result=result, height=24, width=32)
        line.push(noise(60 * HOP))
        line.kill("decode")
        line.restart_decoder()
        line.push(noise(40 * HOP))
        line.stop()
    session = RecordedSession.read(tmp_path / "session")
    values = np.stack([frame.latent for frame in session.frames if frame.valid])
    assert len(values) > 50
    assert values.shape[1] == result.size
    if result.output == "probabilities":
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)
    assert len({frame.digest for frame in session.frames if frame.valid}) > 40
    again = reproduce(tmp_path / "session")
    assert again["reproduced"]
    assert again["equal"] == again["frames"] == len(session.frames)
    assert again["shown_equal"] == again["shown"] > 0

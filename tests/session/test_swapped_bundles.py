"""A session whose bundle is exchanged while it runs: no window is lost, and each stretch reproduces to the bit."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted_session import HOP, LENGTH, PIPELINE, Line, noise
from tiny_bundle import tiny_bundle

from bci.decoder.bundle import Bundle
from bci.errors import RecordingError
from bci.memory.orders import LOAD_BUNDLE, Acknowledgement, Order, OrderVerdict
from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce
from bci.session.swaps import swaps_path

pytestmark = pytest.mark.system

OTHER = [PIPELINE[0], {"step": "band_pass", "low": 4.0, "high": 12.0, "order": 2}]


@dataclass(frozen=True)
class Swapped:
    """What was kept of the session: its folder, and the answer to each order."""

    folder: Path
    bundles: tuple[Bundle, Bundle]
    answers: list[Acknowledgement]
    counted: dict[str, int]


def sibling(folder: Path, **other: Any) -> Bundle:
    made: dict[str, Any] = {
        "pipeline": OTHER, "confidence": "gaussian", "masked_limit": 0.5, "length": LENGTH, "hop": HOP, **other,
    }  # fmt: skip
    return tiny_bundle(folder, **made)


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Swapped:
    """Wrong bundle refused, right one loaded, decoder killed afterwards and started again."""
    place = tmp_path_factory.mktemp("swapped")
    new, misfit = sibling(place / "new"), sibling(place / "misfit", hop=HOP + 5)
    answers: list[Acknowledgement] = []
    with ExitStack() as opened:
        line = Line(place / "session", opened)
        line.push(noise(300))

        def load(path: Path) -> None:
            *_, pipe = line._programs["decode"]
            pipe.send(Order(LOAD_BUNDLE, {"path": str(path)}))
            for seed in range(2000):
                line.push(noise(HOP, seed))
                if pipe.poll(0.005):
                    _, facts = pipe.recv()
                    answers.append(facts["acknowledgement"])
                    return
            raise AssertionError("the order was never answered")

        load(place / "nowhere")
        load(misfit.folder)
        load(new.folder)
        line.push(noise(200, 3))
        line.kill("decode")
        line.push(noise(35, 4))
        line.restart_decoder()
        line.push(noise(200, 5))
        counted = {
            name: int(line.board.row("decode")[name]) for name in ("windows", "reconstructions", "skipped")
        }
        line.stop()
    return Swapped(place / "session", (line.bundle, new), answers, counted)


def test_what_cannot_be_loaded_or_does_not_fit_is_refused_and_the_old_one_goes_on(swapped: Swapped) -> None:
    nowhere, misfit, _ = swapped.answers
    assert (nowhere.verdict, misfit.verdict) == (OrderVerdict.FAILED, OrderVerdict.FAILED)
    assert "expected a bundle's folder" in nowhere.detail
    assert f"then every {HOP} runs, the first ends at {LENGTH}, then every {HOP + 5} came" in misfit.detail


def test_the_new_one_takes_over_between_two_windows_and_none_is_lost_or_half_warm(swapped: Swapped) -> None:
    assert swapped.answers[2].verdict is OrderVerdict.DONE
    session = RecordedSession.read(swapped.folder)
    frames = session.frames
    which = np.array([frame.bundle for frame in frames])
    (begun,) = session.decoding().swaps.values()
    first = int(np.argmax(which == 1))
    assert set(which[:first]) == {0}
    assert set(which[first:]) == {1}
    # Its filters ran for a while before anything of it was shown; the grid has no hole at the exchange.
    assert frames[first].last_sample - frames[first - 1].last_sample == HOP
    assert frames[first].valid
    assert frames[first].last_sample - begun > LENGTH
    (mark,) = (mark for mark in session.table("marks") if mark["kind"] == "swapped")
    assert int(mark["count"]) == first
    assert mark["detail"].startswith(swapped.bundles[1].hash[:12])


def test_windows_are_reconstructions_and_skipped_over_both_bundles(swapped: Swapped) -> None:
    counted, frames = swapped.counted, RecordedSession.read(swapped.folder).frames
    assert counted["windows"] == counted["reconstructions"] + counted["skipped"]
    assert counted["reconstructions"] == len(frames)


def test_a_decoder_that_died_afterwards_goes_on_with_the_new_one(swapped: Swapped) -> None:
    session = RecordedSession.read(swapped.folder)
    (restarted,) = (first for first, why in session.resets.items() if why == "restart")
    assert {frame.bundle for frame in session.frames if frame.last_sample > restarted} == {1}


def test_each_stretch_reproduces_with_the_bundle_that_made_it(swapped: Swapped) -> None:
    result = reproduce(swapped.folder)
    assert result["bundles"] == [bundle.hash for bundle in swapped.bundles]
    assert (result["equal"], result["missing"]) == (result["frames"], 0)
    assert result["reproduced"]
    assert not result["differing"]


def test_one_score_is_not_made_of_two_bundles(swapped: Swapped) -> None:
    with pytest.raises(RecordingError, match="came those of 2"):
        RecordedSession.read(swapped.folder).sole_bundle()


def test_without_its_list_of_bundles_a_session_does_not_reproduce(swapped: Swapped) -> None:
    path = swaps_path(swapped.folder)
    kept = path.read_bytes()
    try:
        path.write_text("[{}]")
        with pytest.raises(RecordingError, match="an entry is not whole"):
            reproduce(swapped.folder)
        path.unlink()
        with pytest.raises(RecordingError, match=r"swaps\.json"):
            reproduce(swapped.folder)
    finally:
        path.write_bytes(kept)

"""A session's readings are scored on a machine without the extra `train`, and the headline keeps to the interval."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.cli.output import use
from bci.cli.session_score import say_score
from bci.errors import RecordingError
from bci.session.recorded import RecordedSession
from bci.signal.types import STAGES
from models.sessions.readings import Reading, count_left_out, known_latents, read_trials, score

HEAVY = ("torch", "sklearn", "skimage", "onnx", "onnxruntime", "joblib", "safetensors", "scipy")


def latents(n: int, d: int = 8) -> dict[str, np.ndarray]:
    rows = np.random.default_rng(1).standard_normal((n, d)).astype(np.float32)
    return {f"{i:03d}": row for i, row in enumerate(rows)}


def test_scoring_needs_arrays_alone() -> None:
    program = (
        "import sys\n"
        f"for name in {HEAVY}: sys.modules[name] = None\n"
        "import numpy as np\n"
        "from models.sessions.readings import Reading, score\n"
        "known = {f'{i}': np.eye(6, dtype=np.float32)[i] for i in range(6)}\n"
        "print(score([Reading(n, v, 0.5) for n, v in known.items()], known)['two_way'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("1.0", "")


def test_what_was_read_well_is_told_apart_and_noise_is_no_information() -> None:
    known = latents(12)
    well = score([Reading(name, row + 0.1, 0.5) for name, row in known.items()], known)
    assert well["headline"].startswith("single trials tell the pictures apart: two-way identification 100.0%")
    assert (well["informed"], well["trials"], well["pictures"]) == (True, 12, 12)
    random = np.random.default_rng(2)
    for _ in range(10):
        noise = [Reading(name, random.standard_normal(8).astype(np.float32), 0.5) for name in known]
        found = score(noise, known)
        low, high = found["two_way_chance"]
        assert low < 0.5 < high
        # The headline never contradicts the interval that stands beside it.
        assert found["informed"] == (found["two_way"] > high)
        assert found["headline"].startswith("no information") == (found["two_way"] <= high)


def test_a_reading_of_nan_is_said_and_no_table_of_scores_stands_below(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = latents(12)
    readings = [Reading(name, row.copy(), 0.5) for name, row in known.items()]
    readings[3].latent[2] = readings[7].latent[0] = np.nan
    found = score(readings, known)
    assert found["headline"] == "not scored: the latent read was NaN in 2 trials"
    assert (found["informed"], found["two_way_p"], found["n_way_p"]) == (False, None, None)
    say_score(found, use(False))
    words = capsys.readouterr().out
    assert "not scored: the latent read was NaN in 2 trials" in words
    assert "told from one other" not in words


@pytest.mark.parametrize(("pictures", "trials"), [(2, 2), (3, 30), (4, 4)])
def test_two_trials_or_three_pictures_are_too_few_to_tell(pictures: int, trials: int) -> None:
    """Any score is within chance then, a perfect one too: that is no finding about the decoder."""
    known = latents(pictures)
    names = [list(known)[n % pictures] for n in range(trials)]
    perfect = score([Reading(name, known[name], 0.5) for name in names], known)
    assert perfect["two_way"] == 1.0
    random = np.random.default_rng(4)
    noise = [Reading(name, random.standard_normal(8).astype(np.float32), 0.5) for name in names]
    for found in (perfect, score(noise, known)):
        if not found["informed"]:
            assert found["headline"].startswith("too few to tell: two-way identification ")
            assert "a good decoder's 75% would be within chance too" in found["headline"]
    assert not perfect["informed"]


def test_pictures_without_a_latent_and_one_picture_alone_are_refused(tmp_path: Path) -> None:
    known = latents(3)
    with pytest.raises(RecordingError, match="came 999"):
        score([Reading("999", known["000"], 0.5), Reading("001", known["001"], 0.5)], known)
    with pytest.raises(RecordingError, match="at least 2 pictures, came 1"):
        score([Reading("000", known["000"], 0.5)] * 3, known)
    with pytest.raises(RecordingError, match=r"in latents\.json, came"):
        known_latents(tmp_path)


def table(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_events_of_any_program_are_read_in_order_and_those_without_a_picture_left_out(tmp_path: Path) -> None:
    details = ["stimulus 0 a b", "frame 3", "stimulus 1 c", "stimulus 2 d"]
    stamps = {"event_raw": "", "event_time": "", "event_code": "0", "trial": "-1"}
    frames = [
        {
            "frame": i, "first": 10 * i, "last_sample": 10 * i + 9, "valid": int(i != 2), "reason": "", "digest": "",
            "window_digest": "", "latent": json.dumps([float(i)]), "confidence": "nan", "event": detail,
            **dict.fromkeys(STAGES[:5], "nan"), **stamps, "event_raw": str(i), "event_time": str(i + 0.25),
        }
        for i, detail in enumerate(details)
    ]  # fmt: skip
    table(tmp_path, "frames", frames)
    table(tmp_path, "shown", [{"change": 0, "kind": "neutral"}])
    table(tmp_path, "marks", [{"source": "stream", "kind": "gap"}])
    found = read_trials(tmp_path)
    assert [(reading.name, float(reading.latent[0])) for reading in found] == [("a b", 0.0), ("d", 3.0)]
    assert count_left_out(RecordedSession.read(tmp_path).trials()) == {"invalid": 1}

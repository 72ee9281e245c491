"""A session reproduces itself to the bit whatever happened in it, and what was lost or forged is noticed."""

import csv
import itertools
import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call
from PIL import Image
from planted_session import HOP, LENGTH, SETTLE, Line, noise

from bci.config.display import DisplaySettings
from bci.errors import BundleMismatch, RecordingError
from bci.session.recorded import RecordedSession
from bci.session.reproduce import TOLERANCE, reproduce
from stimuli.display.stored import StoredScreen

pytestmark = pytest.mark.system

#: Counts of the first sample of each fault.
GAP, CLOCK_SET, DECODER_DIED, NANS, FLAT, RECORDER_DIED, END = 300, 600, 900, 1300, 1600, 2000, 2300

#: After a hole this many samples, at most, are heard in a window that rests on it too much to be compared.
BEHIND = 2 * SETTLE + LENGTH


@dataclass(frozen=True)
class Session:
    """A session with faults.

    Attributes
    ----------
    folder : Path
        Where it is.
    restarted : int
        Count of the first sample that the second decoder took up.
    """

    folder: Path
    restarted: int


def run_session(folder: Path, speed: float) -> Session:
    samples = noise(END)
    samples[NANS : NANS + 7, 1] = np.nan
    samples[FLAT : FLAT + 200, 2] = 12.5
    with ExitStack() as opened:
        line = Line(folder, opened, speed=speed)
        line.push(samples[:GAP])
        line.push(samples[GAP:CLOCK_SET], step=0.05 / speed)
        line.push(samples[CLOCK_SET:DECODER_DIED], step=-100.0)
        line.kill("decode")
        line.push(samples[DECODER_DIED : DECODER_DIED + 35])
        restarted = line.restart_decoder()
        line.push(samples[line.sent : RECORDER_DIED])
        line.kill("record")
        line.push(samples[RECORDER_DIED : RECORDER_DIED + 50])
        line.start("record")
        line.push(samples[RECORDER_DIED + 50 :])
        line.stop()
    return Session(folder, restarted)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return run_session(tmp_path_factory.mktemp("kept") / "session", 1.0)


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return run_session(tmp_path_factory.mktemp("fast") / "session", 10.0)


@pytest.fixture
def session(kept: Session, tmp_path: Path) -> Session:
    """A copy that may be spoilt."""
    shutil.copytree(kept.folder, tmp_path / "session")
    return Session(tmp_path / "session", kept.restarted)


def screen(folder: Path, config: Any, image_size: tuple[int, int]) -> StoredScreen:
    return StoredScreen(folder, DisplaySettings.model_validate(config["display"]), image_size)


def stored_frames(folder: Path) -> list[Path]:
    """Return the stored pictures of frames: neutral ones are stored too."""
    frames = {
        int(row["change"]) for row in RecordedSession.read(folder).table("shown") if row["kind"] == "frame"
    }
    return [file for file in sorted((folder / "frames").glob("*.png")) if int(file.stem) in frames]


def holes(folder: Path) -> list[tuple[int, int]]:
    """Return the holes in a recording: the first sample that is not there, and the next one that is."""
    edges = [(first, first + len(samples)) for first, samples in RecordedSession.read(folder).pieces()]
    return [(a, b) for (_, a), (b, _) in itertools.pairwise(edges) if a != b]


def frames_in(folder: Path, stretches: list[tuple[int, int]], behind: int = 0) -> int:
    """Count the frames that end in one of some stretches, or up to `behind` samples after it."""
    ends = [int(row["last_sample"]) for row in RecordedSession.read(folder).table("frames")]
    return sum(any(a <= end < b + behind for a, b in stretches) for end in ends)


def rewrite(path: Path, change: Callable[[dict[str, str]], dict[str, str] | None]) -> int:
    """Change or drop rows of a table; return how many."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    changed = [change(dict(row)) for row in rows]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in changed if row is not None)
    return sum(a != b for a, b in zip(rows, changed, strict=True))


@pytest.mark.parametrize("speed", ["kept", "fast"])
def test_a_session_full_of_faults_is_equal_to_the_bit(speed: str, request: pytest.FixtureRequest) -> None:
    result = reproduce(request.getfixturevalue(speed).folder, screen=screen)
    assert result["frames"] == result["equal"] > 200
    assert (result["missing"], result["unrecorded"], result["approximate"], result["unequal"]) == (
        0,
        0,
        0,
        [],
    )
    assert result["max_difference"] == 0
    assert result["shown"] == result["shown_equal"] > 10
    assert result["images"] == result["images_within"] > 10
    assert result["least_share"] == 1.0
    assert result["same_environment"]
    assert result["within_tolerance"]
    assert result["reproduced"]


def test_the_faults_were_truly_there(kept: Session) -> None:
    marks = {
        (m["source"], m["kind"], int(m["first"])) for m in RecordedSession.read(kept.folder).table("marks")
    }
    assert {("stream", "gap", GAP), ("stream", "clock_reset", CLOCK_SET)} <= marks
    resets = RecordedSession.read(kept.folder).resets
    assert set(resets) == {0, GAP, CLOCK_SET, kept.restarted}
    frames = RecordedSession.read(kept.folder).table("frames")
    assert [int(row["frame"]) for row in frames] == list(range(len(frames)))
    ends = [int(row["last_sample"]) for row in frames]
    assert not any(DECODER_DIED <= end < kept.restarted for end in ends)
    # The bundle's confidence is the first latent's size, lowered by the share of masked values.
    lowered = {
        int(row["last_sample"]): float(row["confidence"]) / min(1.0, abs(json.loads(row["latent"])[0]))
        for row in frames
        if row["valid"] == "1"
    }
    masked = [end for end, share in lowered.items() if share < 0.99]
    assert {NANS + 9, FLAT + 59, FLAT + 199} <= set(masked)
    assert all(NANS <= end < NANS + SETTLE + 20 or FLAT <= end < FLAT + 200 + SETTLE + 20 for end in masked)
    assert [path.name for path in RecordedSession.read(kept.folder).recordings] == [
        "recording.xdf.partial",
        "recording-2.xdf",
    ]
    assert (kept.folder / "frames-2.csv").stat().st_size > 1000


@pytest.mark.parametrize("cause", ["gap", "clock_reset", "restart"])
def test_a_reset_whose_mark_is_gone_is_noticed_at_its_place(session: Session, cause: str) -> None:
    place = {"gap": GAP, "clock_reset": CLOCK_SET, "restart": session.restarted}[cause]

    def forget(mark: dict[str, str]) -> dict[str, str] | None:
        return None if mark["kind"] == "pipeline_reset" and int(mark["first"]) == place else mark

    assert sum(rewrite(path, forget) for path in session.folder.glob("marks*.csv")) >= 1
    result = reproduce(session.folder)
    ends = [int(row["last_sample"]) for row in RecordedSession.read(session.folder).table("frames")]
    assert place < ends[result["unequal"][0]] < place + SETTLE + HOP
    assert not result["within_tolerance"]
    assert not result["reproduced"]


@pytest.mark.parametrize("column", ["latent", "confidence", "digest", "reason", "valid", "window_digest"])
def test_a_forged_frame_is_noticed(session: Session, column: str) -> None:
    row = next(row for row in RecordedSession.read(session.folder).table("frames") if row["valid"] == "1")
    forged = {"latent": "[0.5, 0.25]", "valid": "0"}.get(column, "0.5")
    assert rewrite(
        session.folder / "frames.csv", lambda r: r | {column: forged} if r["frame"] == row["frame"] else r
    )
    result = reproduce(session.folder)
    assert result["unequal"] == [int(row["frame"])]
    assert result["equal"] == result["frames"] - 1
    assert not result["reproduced"]


def test_a_picture_shown_that_is_none_of_the_decoders_is_noticed(session: Session) -> None:
    change = next(
        row["change"] for row in RecordedSession.read(session.folder).table("shown") if row["kind"] == "frame"
    )
    forged = {"digest": "0" * 32}
    rewrite(session.folder / "shown.csv", lambda r: r | forged if r["change"] == change else r)
    result = reproduce(session.folder)
    assert result["equal"] == result["frames"]
    assert result["shown_equal"] == result["shown"] - 1
    assert not result["reproduced"]


def test_a_frame_that_is_not_in_the_table_is_counted(session: Session) -> None:
    assert rewrite(session.folder / "frames.csv", lambda r: None if r["frame"] == "40" else r) == 1
    result = reproduce(session.folder)
    assert (result["unrecorded"], result["missing"]) == (1, 0)
    assert result["equal"] == result["frames"]
    assert not result["reproduced"]


@pytest.mark.parametrize("table", ["frames", "shown"])
def test_a_table_that_was_cut_is_no_shorter_session(session: Session, table: str) -> None:
    whole = reproduce(session.folder)
    path = session.folder / f"{table}-2.csv"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    result = reproduce(session.folder)
    there, of = result["cut"][f"{table}.csv"]
    assert whole["cut"] == {}
    assert 0 < there < of
    assert result["equal"] == result["frames"]
    assert not result["within_tolerance"]
    assert not result["reproduced"]
    verified = call("verify", session.folder, "--json")
    assert verified.status == 3
    assert f"{table}.csv holds {there} of the {of} rows" in " ".join(verified.words.split())


def test_frames_whose_samples_were_not_recorded_are_missing_and_not_equal(session: Session) -> None:
    for path in session.folder.glob("recording-2.xdf*"):
        path.unlink()
    result = reproduce(session.folder)
    ends = [int(row["last_sample"]) for row in RecordedSession.read(session.folder).table("frames")]
    recorded = max(first + len(samples) for first, samples in RecordedSession.read(session.folder).pieces())
    assert GAP < recorded <= RECORDER_DIED
    assert result["missing"] == sum(end >= recorded for end in ends) > 20
    assert result["equal"] == result["frames"] - result["missing"]
    assert not result["within_tolerance"]


def test_damage_in_the_recording_costs_the_frames_that_rest_on_it_and_no_others(session: Session) -> None:
    samples = dict(RecordedSession.read(session.folder).pieces())
    path = session.folder / "recording.xdf.partial"
    content = bytearray(path.read_bytes())
    at = content.index(samples[0][GAP + 200].tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    result = reproduce(session.folder)
    lost = holes(session.folder)
    assert len(lost) == 1
    assert frames_in(session.folder, lost) <= result["missing"] <= frames_in(session.folder, lost, BEHIND)
    assert result["unequal"] == []
    assert result["max_difference"] <= TOLERANCE
    assert not result["reproduced"]


def test_after_samples_that_the_recorder_lost_only_the_tolerance_is_asked(tmp_path: Path) -> None:
    samples = noise(4500)
    with ExitStack() as opened:
        line = Line(tmp_path / "session", opened, seconds=20.0)
        line.push(samples[:300])
        line.until_recorded()
        line.kill("record")
        line.push(samples[300:3000])
        line.start("record")
        line.push(samples[3000:])
        line.stop()
    result = reproduce(tmp_path / "session")
    lost = holes(tmp_path / "session")
    assert lost[0][1] - lost[0][0] >= 700
    most = frames_in(tmp_path / "session", lost, BEHIND)
    assert frames_in(tmp_path / "session", lost) <= result["missing"] <= most
    assert result["approximate"] > 20
    assert result["missing"] + result["approximate"] < result["frames"] == 449
    assert result["unequal"] == []
    assert result["max_difference"] <= TOLERANCE
    assert not result["reproduced"]


def test_in_another_environment_the_library_is_named_and_the_stored_pictures_decide(session: Session) -> None:
    path = session.folder / "environment.json"
    environment = json.loads(path.read_text())
    ours = environment["packages"]["scipy"]
    environment["packages"]["scipy"] = "0.1"
    path.write_text(json.dumps(environment))

    file = stored_frames(session.folder)[5]
    with Image.open(file) as opened:
        pixels = np.asarray(opened)

    def off_by(levels: int) -> dict[str, Any]:
        # Of the picture as it was: a level up to 128 and two down again are one.
        Image.fromarray(np.where(pixels < 128, pixels + levels, pixels - levels).astype("u1")).save(file)
        return reproduce(session.folder, screen=screen)

    result = off_by(0)
    assert not result["same_environment"]
    assert result["differing"] == {"scipy": ["0.1", ours]}
    assert result["reproduced"]
    result = off_by(1)
    assert (result["images"], result["images_within"]) == (result["images"], result["images"])
    result = off_by(2)
    assert result["images_within"] == result["images"] - 1
    assert result["least_share"] < 0.999
    assert not result["within_tolerance"]
    without = reproduce(session.folder)
    assert (without["images"], without["least_share"]) == (0, None)


def test_a_frame_that_is_shown_twice_is_compared_twice(session: Session) -> None:
    before = reproduce(session.folder, screen=screen)
    file = stored_frames(session.folder)[0]
    with (session.folder / "shown.csv").open(newline="") as table:
        names = next(csv.reader(table))
    row = next(
        row
        for row in RecordedSession.read(session.folder).table("shown")
        if int(row["change"]) == int(file.stem)
    )
    again = dict(row) | {"change": "90000"}
    with (session.folder / "shown.csv").open("a", newline="") as table:
        csv.DictWriter(table, names).writerow({name: again[name] for name in names})
    with Image.open(file) as opened:
        Image.fromarray(255 - np.asarray(opened)).save(file.with_stem("90000"))
    after = reproduce(session.folder, screen=screen)
    assert (after["images"], after["images_within"]) == (before["images"] + 1, before["images_within"])
    assert not after["within_tolerance"]


def test_another_bundle_and_half_a_session_are_refused(session: Session) -> None:
    environment = json.loads((session.folder / "environment.json").read_text())
    environment["bundle"]["hash"] = "0" * 64
    (session.folder / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(BundleMismatch, match="Name the one it ran with"):
        reproduce(session.folder)
    (session.folder / "recording-2.xdf.sums").unlink()
    with pytest.raises(RecordingError, match=r"recording-2\.xdf\.sums was expected"):
        list(RecordedSession.read(session.folder).pieces())
    (session.folder / "shown.csv").unlink()
    with pytest.raises(
        RecordingError, match=r"shown\.csv is missing: part 1 of the session holds other rows"
    ):
        _ = RecordedSession.read(session.folder).shown()

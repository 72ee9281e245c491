"""What a session left behind says what was seen of a fault, and whether it was as it must be."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from control.planted_tables import EPOCH, GREY, PlantedSession

from bci.config.session import SessionConfig
from bci.control.certify.faults import FaultReport, FaultRules, judge, not_made
from bci.control.certify.figures import neutral_share
from bci.control.certify.seeing import Broken, Seen, Span, look
from bci.control.certify.traces import Coverage, Traces
from bci.io.files.checksums import ChunkSum, HeaderCopy, first_line, sums_path
from bci.io.files.xdf.wire import stream_header
from bci.io.lsl.metadata import StreamInfo
from bci.signal.types import Signal

AT = 20.0
HOP = 0.1
CONFIG = SessionConfig.model_validate(
    {
        "name": "rig",
        "source": {"kind": "simulate"},
        "decoder": {"bundle": "b"},
        "display": {"kind": "headless"},
    }
)
RULES = FaultRules(CONFIG, HOP, GREY)


def died(program: str, how: str = "killed") -> Broken:
    return Broken(program, how, at=AT, until=AT + 6.0, wall=EPOCH + AT, recovered=True)


def with_pictures(folder: Path, until: float, again: float) -> PlantedSession:
    """Pictures every hop until `until`, and from `again` on."""
    session = PlantedSession(folder)
    for hop in range(180, 200):
        if hop * HOP <= until:
            session.picture(hop * HOP)
    for hop in range(math.ceil(again / HOP), 270):
        session.picture(hop * HOP)
    return session


def decoder_killed(folder: Path) -> PlantedSession:
    session = with_pictures(folder, until=AT, again=23.0)
    session._shown.insert(
        20, {"kind": "neutral", "frame": -1, "flip": AT + 0.25, "reason": "old", "digest": GREY}
    )
    session.say(AT + 0.08, "supervisor ERROR decode died with exit status -9: restart 1 of 3")
    session.say(AT + 0.09, "supervisor INFO decode started as process 7")
    session.say(AT + 2.0, "supervisor WARNING decode works again after 2.0 s")
    session.mark(AT + 0.08, "rig", "restart", 1)
    session.mark(AT + 2.0, "decode", "pipeline_reset")
    return session


def seen_of(folder: Path, broken: Broken) -> Seen:
    return look(Traces(folder), broken)


def failed(report: FaultReport) -> set[str]:
    return {check.name for check in report.checks if not check.passed}


def test_of_a_killed_decoder_everything_planted_is_found(tmp_path: Path) -> None:
    seen = seen_of(decoder_killed(tmp_path).write(), died("decode"))
    assert seen.neutral_after == pytest.approx(0.25)
    assert seen.found_after == pytest.approx(0.08, abs=0.002)
    assert seen.restarted_after == pytest.approx(0.09, abs=0.002)
    assert seen.decoding_after == pytest.approx(2.995)
    assert seen.picture_after == pytest.approx(3.0)
    assert seen.interrupted_s == pytest.approx(3.1)
    assert seen.marks == ("rig: restart", "decode: pipeline_reset")
    assert seen.missed == 0
    assert [span.what for span in seen.strip] == ["picture", "neutral", "picture"]
    assert seen.strip[1] == Span(pytest.approx(0.25), pytest.approx(3.0), "neutral")
    report = judge(died("decode"), seen, RULES, 10.0)
    assert failed(report) == set()
    assert report.passed
    assert report.injected_at == pytest.approx(10.0)


@pytest.mark.parametrize(("again", "complaints"), [(20.2, set()), (20.6, {"neutral_s", "neutral_grey"})])
def test_a_decoder_that_is_back_before_its_picture_is_too_old_owes_no_neutral_one(
    tmp_path: Path, again: float, complaints: set[str]
) -> None:
    session = with_pictures(tmp_path, until=AT, again=again)
    session.say(AT + 0.08, "supervisor ERROR decode died with exit status -9: restart 1 of 3")
    session.say(AT + 0.09, "supervisor INFO decode started as process 7")
    session.say(AT + 0.15, "supervisor WARNING decode works again after 0.1 s")
    session.mark(AT + 0.08, "rig", "restart", 1)
    session.mark(AT + 0.15, "decode", "pipeline_reset")
    seen = seen_of(session.write(), died("decode"))
    assert math.isnan(seen.neutral_after)
    assert seen.decoding_after == pytest.approx(again - AT - 0.005)
    assert seen.picture_after == pytest.approx(again - AT)
    assert failed(judge(died("decode"), seen, RULES, 0.0)) == complaints


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"neutral_after": 0.32}, "neutral_s"),
        ({"neutral_after": math.nan}, "neutral_s"),  # in three seconds without pictures
        ({"neutral_digest": "another picture"}, "neutral_grey"),
        ({"decoding_after": 10.2}, "decoding_again_s"),
        ({"decoding_after": math.nan}, "decoding_again_s"),
        ({"picture_after": math.nan}, "picture_back"),
        ({"restarted_after": math.nan}, "restarted"),
        ({"told": ("supervisor: acquire died: restart 1 of 3",)}, "told"),
        ({"marks": ("decode: pipeline_reset",)}, "marked"),
        ({"marks": ("rig: restart",)}, "marked"),
        ({"missed": 3}, "missed_samples"),
    ],
)
def test_a_fault_fails_for_each_thing_that_is_not_as_it_must_be(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    seen = seen_of(decoder_killed(tmp_path).write(), died("decode"))
    report = judge(died("decode"), replace(seen, **change), RULES, 0.0)  # type: ignore[arg-type]
    assert failed(report) == {complaint}
    assert not report.passed


def test_the_neutral_picture_is_due_by_the_strictest_rule_and_one_flip() -> None:
    assert RULES.neutral_limit("decode") == pytest.approx(0.3 + 1 / 60)
    display = CONFIG.display.model_copy(
        update={"fresh_for": 2.0, "data_age_limit": 0.4, "heartbeat_limit": 0.7}
    )
    strict = replace(RULES, config=CONFIG.model_copy(update={"display": display}))
    limits = {name: strict.neutral_limit(name) - 1 / 60 for name in ("source", "acquire", "decode")}
    assert limits == pytest.approx({"source": 0.4, "acquire": 0.4, "decode": 0.7})


def test_a_frozen_display_shows_its_last_picture_until_it_is_found_and_nothing_until_the_next_one_flips(
    tmp_path: Path,
) -> None:
    session = with_pictures(tmp_path, until=AT, again=24.5)
    for hop in range(200, 245):
        session.decoded(hop * HOP)
    session._shown.insert(
        20, {"kind": "neutral", "frame": -1, "flip": AT + 3.9, "reason": "first", "digest": GREY}
    )
    session.say(AT + 3.05, "supervisor ERROR display hung: no heartbeat for 3.0 s: restart 1 of 3")
    session.say(AT + 3.06, "supervisor INFO display started as process 9")
    session.mark(AT + 3.05, "rig", "restart", 1)
    broken = died("display", "frozen")
    seen = seen_of(session.write(), broken)
    assert [(span.what, round(span.start, 2)) for span in seen.strip] == [
        ("picture", -1.5), ("still", 0.0), ("nothing", 3.05), ("neutral", 3.9), ("picture", 4.5),
    ]  # fmt: skip
    report = judge(broken, seen, RULES, 0.0)
    assert report.passed, failed(report)
    assert "standing still for 3.05 s" in report.saw
    late = judge(broken, replace(seen, screen_after=5.2), RULES, 0.0)
    assert failed(late) == {"screen_back_s"}


def test_while_the_recorder_is_gone_the_participant_must_see_no_change(tmp_path: Path) -> None:
    session = with_pictures(tmp_path, until=AT, again=AT)
    session.say(AT + 0.05, "supervisor ERROR record died with exit status -9: restart 1 of 3")
    session.say(AT + 0.06, "supervisor INFO record started as process 9")
    session.mark(AT + 0.05, "rig", "restart", 1)
    seen = seen_of(session.write(), died("record"))
    assert judge(died("record"), seen, RULES, 0.0).passed
    disturbed = judge(died("record"), replace(seen, neutral_after=0.3), RULES, 0.0)
    assert failed(disturbed) == {"screen"}


def test_a_fault_that_could_not_be_made_is_no_pass() -> None:
    report = not_made("decode", "killed", "the session had ended")
    assert not report.passed
    assert report.strip == ()


def test_what_two_parts_of_a_recording_hold_together_is_known_to_the_sample(tmp_path: Path) -> None:
    for name, spans in (("recording.xdf", [(0, 10), (10, 20)]), ("recording-2.xdf", [(20, 30), (34, 40)])):
        path = tmp_path / name
        path.touch()
        lines = [ChunkSum(8 * i, 8, 3, 1, a, b - a, 0).line() for i, (a, b) in enumerate(spans)]
        # Another stream's events are no samples.
        lines.append(ChunkSum(99, 8, 3, 2, 0, 1000, 0).line())
        lines.insert(0, HeaderCopy(1, stream_header(StreamInfo(Signal("amp", 100.0, (1,)), "amp-1"))).line())
        sums_path(path).write_bytes(first_line(path) + b"".join(lines))
    assert Traces(tmp_path).coverage == Coverage(36, ((30, 34),))
    assert Traces(tmp_path).coverage.missing == 4


def test_the_neutral_picture_counts_between_the_first_picture_and_the_last(tmp_path: Path) -> None:
    session = PlantedSession(tmp_path)
    session.neutral(0.0)
    session.picture(5.0)
    session.neutral(6.0)
    session.picture(6.5)
    session.picture(15.0)
    session.neutral(16.0)
    assert neutral_share(Traces(session.write())) == pytest.approx(5.0)

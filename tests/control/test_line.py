"""Orders of starting and stopping follow from what the posts of a line say of themselves."""

import re

import pytest

from bci.control import posts
from bci.control.line import Line, Post
from bci.errors import ConfigError


def session(source: str = "replay", experiment: bool = True) -> Line:
    """Return the line of a session with everything in it."""
    line = [
        posts.engine({}, frames=["frames"], latents=False, preview=True, after=["acquire"]),
        posts.source("", source, {}, offers=["eeg"]),
        posts.acquire("", {}, stream="stream", markers=["markers"], takes=["eeg", "bci-flips"]),
        posts.decode("", {}, stream="stream", markers="markers", shown=True, sides={}),
        posts.display("headless", {}, frames=["frames"], stimuli=True, offers=["bci-flips"]),
        posts.publish("", {}, copies={}),
        posts.preview({}, frames=["frames"], marks=["decode_marks"]),
        posts.record(
            {}, streams=["stream"], markers=["markers"], decoders=[""], rings=["shown", "rig_marks"]
        ),
    ]
    return Line(line, outside=["rig_marks"])


def names(stages: "tuple[tuple[Post, ...], ...]") -> list[set[str]]:
    return [{post.name for post in stage} for stage in stages]


@pytest.mark.parametrize("source", ["replay", "insilico"])
def test_nothing_is_sent_before_somebody_listens(source: str) -> None:
    assert names(session(source).stages) == [
        {"source", "decode", "display", "publish", "preview", "record"},
        {"acquire"},
        {"engine"},
    ]


@pytest.mark.parametrize("source", ["replay", "insilico"])
def test_everything_that_was_sent_arrives(source: str) -> None:
    order = [post.name for post in session(source).stopping]
    assert order == ["engine", "acquire", "source", "decode", "display", "publish", "preview", "record"]


def test_the_order_does_not_rest_on_the_order_of_the_list() -> None:
    turned = Line(reversed(session().posts), outside=["rig_marks"])
    assert names(turned.stages) == names(session().stages)
    order = [post.name for post in turned.stopping]
    for first, then in (
        ("engine", "display"),
        ("acquire", "source"),
        ("acquire", "decode"),
        ("decode", "display"),
        ("display", "record"),
    ):
        assert order.index(first) < order.index(then)


def test_a_program_that_makes_a_stream_is_ready_before_who_receives_it() -> None:
    line = Line([Post("takes", "m", takes=["eeg"]), Post("offers", "m", offers=["eeg"])])
    assert names(line.stages) == [{"offers"}, {"takes"}]
    assert [post.name for post in line.stopping] == ["takes", "offers"]


def test_two_streams_and_two_decoders_go_in_the_same_order() -> None:
    line = Line(
        [
            posts.acquire("", {}, stream="stream", markers=[], takes=["a"]),
            posts.acquire("emg", {}, stream="stream:emg", markers=[], takes=["b"]),
            posts.decode("", {}, stream="stream", markers=None, shown=False, sides={}),
            posts.decode("motor", {}, stream="stream:emg", markers=None, shown=False, sides={}),
            posts.display("headless", {}, frames=["frames"], stimuli=False, offers=[]),
            posts.record(
                {}, streams=["stream", "stream:emg"], markers=[], decoders=["", "motor"], rings=["shown"]
            ),
        ]
    )
    assert names(line.stages) == [
        {"decode", "decode:motor", "display", "record"},
        {"acquire", "acquire:emg"},
    ]
    assert line["record"].rings == {
        "frames": "frames",
        "frames-2": "frames:motor",
        "decode_marks": "decode_marks",
        "decode_marks-2": "decode_marks:motor",
        "shown": "shown",
    }
    assert [post.name for post in line.of_kind("decode")] == ["decode", "decode:motor"]


def test_each_that_waits_on_a_ring_has_its_own_place_there() -> None:
    line = Line(
        [
            Post("writer", "m", streams={"stream": "eeg"}, writes=["stream"]),
            Post("first", "m", streams={"stream": "eeg"}, waits=["stream"]),
            Post("looker", "m", streams={"other": "eeg"}),
            Post("second", "m", streams={"mine": "eeg"}, waits=["mine"]),
        ]
    )
    assert [line.slots(post) for post in line] == [{}, {"stream": 0}, {}, {"mine": 1}]
    assert line.readers("eeg") == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([Post("a", "m"), Post("a", "n")], "two programs of a line are called a"),
        (
            [Post("a", "m", rings={"x": "frames"})],
            "a reads ring 'frames', which no program of the line writes",
        ),
        ([Post("a", "m", rings={"x": "frames"}, looks=["x"])], "a reads ring 'frames'"),
        (
            [Post(n, "m", rings={"x": "frames"}, writes=["x"]) for n in ("a", "b")],
            "ring 'frames' has two writers, a and b",
        ),
        ([Post("a", "m", after=["b"])], "a is to start after"),
        ([Post("a", "m", writes=["x"])], "a names the roles ['x']"),
        (
            [Post("a", "m", after=["b"]), Post("b", "m", after=["a"])],
            "starting would go in a circle: a waits for b; b waits for a",
        ),
        (
            [
                Post("a", "m", rings={"x": "x", "y": "y"}, writes=["x"]),
                Post("b", "m", rings={"x": "x", "y": "y"}, writes=["y"]),
            ],
            "stopping would go in a circle",
        ),
    ],
)
def test_a_line_that_cannot_work_is_refused_in_words(line: list[Post], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        Line(line)


def test_who_only_looks_closes_no_circle() -> None:
    line = Line(
        [
            Post("a", "m", rings={"x": "x", "y": "y"}, writes=["x"], looks=["y"]),
            Post("b", "m", rings={"x": "x", "y": "y"}, writes=["y"]),
        ]
    )
    assert [post.name for post in line.stopping] == ["a", "b"]


def test_a_ring_that_the_supervisor_writes_may_be_read_and_not_written() -> None:
    assert Line([Post("a", "m", rings={"x": "marks"})], outside=["marks"]).posts
    with pytest.raises(ConfigError, match="two writers, the supervisor and a"):
        Line([Post("a", "m", rings={"x": "marks"}, writes=["x"])], outside=["marks"])


def test_a_post_of_a_line_can_be_another_program() -> None:
    line = session().changed("record", module="benchmarks.contenders.stalled_recorder")
    assert line["record"].module == "benchmarks.contenders.stalled_recorder"
    assert line["record"].rings == session()["record"].rings


def test_what_a_program_is_told_may_be_worked_out_when_it_is_started() -> None:
    known: dict[str, int] = {}
    post = Post("a", "m", lambda: {"rate": known["rate"]})
    known["rate"] = 250
    assert post.specify() == {"rate": 250}

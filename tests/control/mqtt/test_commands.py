"""What is a command, and what is none."""

import json

import pytest

from bci.control.mqtt.commands import KINDS, LONGEST_PAYLOAD, SAFE, TO_THE_ENGINE, make_command, parse_command
from bci.control.mqtt.topics import Topic, TopicChannel, commands_to
from bci.errors import ConfigError, MalformedCommand

GOOD = {"id": "a1", "kind": "mark", "issued": 1764259557.1, "expires_s": 5, "text": "a cough"}

VALUES = {
    "mark": {"text": "a cough"},
    "load_bundle": {"path": "alpha"},
    "set": {"name": "fresh_seconds", "value": 0.5},
}


def changed(**values: object) -> bytes:
    return json.dumps(GOOD | values).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_that_was_made_is_read_again_as_it_was(kind: str) -> None:
    command = make_command(kind, issued=12.5, expires_s=2.0, **VALUES.get(kind, {}))
    assert parse_command(command.model_dump_json().encode()) == command
    assert command.issued == 12.5
    assert command.expires_s == 2.0


def test_the_kinds_that_others_rely_on_are_there() -> None:
    assert set(KINDS) > SAFE | TO_THE_ENGINE


@pytest.mark.parametrize(
    ("payload", "id", "why"),
    [
        (b"", "", "JSON"),
        (b"\xff\xfe\x00", "", "JSON"),
        (b"[1, 2]", "", "object"),
        (b'"stop"', "", "object"),
        (b"[" * 3000, "", "JSON"),
        (b"x" * (LONGEST_PAYLOAD + 1), "", "4096 bytes"),
        (changed(kind="stopp"), "a1", "did you mean 'stop'"),
        (changed(kind=7), "a1", "no command"),
        (changed(extra=1), "a1", "extra"),
        (changed(id="../x"), "", "id"),
        (changed(id="a b"), "", "id"),
        (changed(id="a\n"), "", "id"),
        (changed(id="x" * 65), "", "id"),
        (changed(id=7), "", "id"),
        (changed(issued="1764259557"), "a1", "issued"),
        (changed(issued=-1), "a1", "issued"),
        (json.dumps(GOOD | {"issued": float("nan")}).encode(), "a1", "issued"),
        (changed(expires_s=0), "a1", "expires_s"),
        (changed(expires_s=1e9), "a1", "expires_s"),
        (changed(text=""), "a1", "text"),
        (changed(text="x" * 81), "a1", "text"),
        (changed(kind="set"), "a1", "name"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "id"}).encode(), "", "id"),
    ],
)
def test_what_is_malformed_is_refused_with_the_reason(payload: bytes, id: str, why: str) -> None:
    with pytest.raises(MalformedCommand) as error:
        parse_command(payload)
    assert why in str(error.value)
    assert error.value.id == id
    assert len(str(error.value)) < 500


def test_a_command_cannot_be_made_with_values_of_another() -> None:
    with pytest.raises(ConfigError, match="did you mean 'neutral'"):
        make_command("neutrall", issued=0.0)
    with pytest.raises(ConfigError, match="text"):
        make_command("mark", issued=0.0)


@pytest.mark.parametrize(
    "text",
    [
        "bci/v1/#",
        "bci/v1/+/session/cmd",
        "bci/v1/demo/+/cmd",
        "bci/v1/demo/session",
        "bci/v1/demo/session/cmd/x",
        "bci/v1/demo/session/other",
        "bci/v2/demo/session/cmd",
        "x/bci/v1/demo/session/cmd",
        "bci/v1/../session/cmd",
        "bci/v1/demo/session\n/cmd",
        "bci/v1//session/cmd",
        "$SYS/broker",
    ],
)
def test_a_topic_that_is_none_of_ours_is_not_read_as_one(text: str) -> None:
    assert Topic.parse(text) is None


def test_a_name_that_could_be_a_wildcard_becomes_no_topic() -> None:
    assert Topic.parse("bci/v1/20261127-demo/decode:arms/ack") == Topic(
        "20261127-demo", "decode:arms", TopicChannel.ACK
    )
    assert commands_to("demo") == "bci/v1/demo/+/cmd"
    for session, node in (
        ("+", "session"),
        ("demo/x", "session"),
        ("demo", "#"),
        ("demo", "a/b"),
        ("d" * 129, "session"),
    ):
        with pytest.raises(ConfigError, match="topic"):
            Topic(session, node, TopicChannel.STATE)

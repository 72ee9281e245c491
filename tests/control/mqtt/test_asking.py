"""Where a session's broker is, as its folder says; and what is missing, said before anything is begun."""

import importlib.util
import json
from pathlib import Path

import pytest
from commands import call

from bci.control.mqtt.asking import broker_of
from bci.control.mqtt.connection import BrokerAddress
from bci.control.mqtt.installed import require_mqtt
from bci.errors import ConfigError

HERE = {"host": "127.0.0.1", "port": 1883}


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = tmp_path / "20261127-120000-demo"
    folder.mkdir()
    (folder / "config.json").write_text('{"name": "demo", "decoder": {}}', "utf-8")
    (folder / "frames.csv").write_text("frame\n", "utf-8")
    return folder


def place(folder: Path, **changes: object) -> None:
    values = {"broker": HERE | changes, "session": folder.name}
    (folder / "control.json").write_text(json.dumps(values), "utf-8")


def test_the_folder_says_where_the_broker_is(session: Path) -> None:
    place(session)
    assert broker_of(session) == (BrokerAddress.model_validate(HERE), session.name)


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"host": "lab.example.org"}, "not on this machine"), ({"port": "x"}, "as a session writes")],
)
def test_a_place_that_was_tampered_with_is_not_called(
    session: Path, changes: dict[str, object], why: str
) -> None:
    place(session, **changes)
    with pytest.raises(ConfigError, match=why):
        broker_of(session)
    (session / "control.json").write_text("[" * 100, "utf-8")
    with pytest.raises(ConfigError, match="as a session writes"):
        broker_of(session)


def test_a_session_that_takes_no_commands_says_how_one_does(session: Path) -> None:
    done = call("control", session, "stop", "--json")
    assert done.status == 2
    assert "--control" in done.result["message"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("stopp",), "did you mean 'stop'"),
        (("mark",), "text"),
        (("stop", "now"), "no value"),
        (("set", "fresh_for"), "--to"),
        (("set", "fresh_for", "--to", "nan"), "value"),
        (("stop", "--node", "#"), "topic"),
    ],
)
def test_a_command_that_is_none_is_not_sent(session: Path, words: tuple[str, ...], why: str) -> None:
    place(session)
    done = call("control", session, *words, "--json")
    assert done.status == 2
    assert why in done.result["message"]


def test_a_session_that_has_ended_is_said(session: Path) -> None:
    place(session, port=9)  # where nothing listens
    done = call("control", session, "stop", "--json")
    assert done.status == 2
    assert "still run" in done.result["message"]


def test_a_password_is_the_first_line_of_its_file_and_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "password"
    address = BrokerAddress.model_validate(HERE | {"username": "rig-1", "password_file": file})
    with pytest.raises(ConfigError, match="password file"):
        address.password()
    file.write_text("\n", "utf-8")
    with pytest.raises(ConfigError, match="empty"):
        address.password()
    file.write_text("secret\nmore\n", "utf-8")
    assert address.password() == "secret"
    assert BrokerAddress.model_validate(HERE).password() is None


def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "ca.crt"
    bad.write_text("no certificate", "utf-8")
    for path in (bad, tmp_path / "nowhere"):
        address = BrokerAddress.model_validate(HERE | {"tls": True, "ca": path})
        with pytest.raises(ConfigError, match=path.name):
            address.encryption()


def test_packages_that_are_missing_are_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    require_mqtt(embedded=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"aiomqtt and amqtt.*\[broker\]"):
        require_mqtt(embedded=True)
    with pytest.raises(ConfigError, match="needs aiomqtt, expected"):
        require_mqtt(embedded=False)

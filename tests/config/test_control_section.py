"""The [control] section: off by default, and never open to the network."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bci.config.control import ControlSettings

LABORATORY = {
    "broker": "lab.example.org:8883",
    "tls": True,
    "username": "rig-1",
    "password_file": Path("secret"),
}


def test_a_session_is_not_commanded_unless_it_says_so() -> None:
    assert not ControlSettings().on
    embedded = ControlSettings(broker="embedded")
    assert (embedded.on, embedded.embedded, embedded.host, embedded.host_port) == (
        True,
        True,
        "127.0.0.1",
        None,
    )


@pytest.mark.parametrize(
    ("broker", "host", "port"),
    [
        ("localhost:1883", "localhost", 1883),
        ("127.0.0.1:1884", "127.0.0.1", 1884),
        ("[::1]:1883", "::1", 1883),
    ],
)
def test_a_broker_on_this_machine_needs_no_login(broker: str, host: str, port: int) -> None:
    settings = ControlSettings(broker=broker)
    assert (settings.host, settings.host_port) == (host, port)


@pytest.mark.parametrize("missing", ["tls", "username", "password_file"])
def test_a_broker_beyond_this_machine_needs_encryption_and_a_login(missing: str) -> None:
    assert ControlSettings.model_validate(LABORATORY).host_port == 8883
    given = {key: value for key, value in LABORATORY.items() if key != missing}
    with pytest.raises(ValidationError, match="anyone in the network"):
        ControlSettings.model_validate(given)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "192.168.1.5", "127.0.0.1.evil.org", "localhost.evil.org", "[::]"]
)
def test_no_other_host_counts_as_this_machine(host: str) -> None:
    with pytest.raises(ValidationError, match="not on this machine"):
        ControlSettings(broker=f"{host}:1883")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"broker": "lab"}, "host:port"),
        ({"broker": "lab:0"}, "host:port"),
        ({"broker": "lab:99999"}, "host:port"),
        ({"broker": "a b:1883"}, "host:port"),
        ({"broker": "embedded", "tls": True}, "this machine alone"),
        ({"broker": "localhost:1883", "port": 1884}, "embedded"),
        ({"broker": "localhost:1883", "username": "x"}, "password_file"),
        ({"broker": "embedded", "limits": {"fresh_for": [1.0, 0.1]}}, "lower limit first"),
        ({"broker": "embedded", "limits": {"gain": [0.1, 1.0]}}, "fresh_for"),
        ({"broker": "embedded", "limits": {"fresh_for": [0.0, 1.0]}}, "greater than 0"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ControlSettings.model_validate(values)

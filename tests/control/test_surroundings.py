"""What may hide a stream is said, and kept in the folder of a session that misses one."""

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bci.control.surroundings import NETWORK, NetworkSnapshot
from bci.io.lsl import surroundings
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.outlet import Outlet
from bci.io.lsl.surroundings import Interface, Surroundings, look_around, read_configuration
from bci.signal.types import Signal

LAN = Interface("eth0", ("192.168.1.5",), "network", up=True, multicast=True)


OTHER = Interface("wlan0", ("192.168.2.7",), "network", up=True, multicast=True)
TUNNEL = Interface("utun3", ("10.8.0.2",), "tunnel", up=True, multicast=True)
DOWN = Interface("eth0", ("10.0.0.2",), "network", up=False, multicast=None)
DEAF = Interface("eth0", ("10.0.0.2",), "network", up=True, multicast=False)
NARROW = {"file": "/home/a/lsl_api.cfg", "ResolveScope": "machine"}


def around(*interfaces: Interface, **changes: object) -> Surroundings:
    given = {"firewalls": (), "configuration": {}, "streams": (), "own": True, **changes}
    return Surroundings(interfaces, **given)  # type: ignore[arg-type]


def test_a_machine_in_one_network_has_nothing_to_say() -> None:
    assert around(LAN).hints() == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (around(LAN, own=False), "does not find a stream of its own"),
        (around(DOWN), "no network interface is up"),
        (around(DEAF), "no multicast can be sent on eth0"),
        (around(LAN, firewalls=("ufw",)), "ufw is on: let Python.*UDP 16571"),
        (around(LAN, TUNNEL), "utun3 is up, a virtual private"),
        (around(LAN, OTHER), r"several networks: eth0 \(192.168.1.5\), wlan0"),
        (around(LAN, configuration=NARROW), "ResolveScope = machine"),
    ],
)
def test_what_may_hide_a_stream_is_said(seen: Surroundings, words: str) -> None:
    (hint,) = seen.hints()
    assert re.search(words, hint)


def test_the_configuration_in_force_is_the_first_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lsl_api").mkdir()
    (tmp_path / "lsl_api" / "lsl_api.cfg").write_text("[lab]\nKnownPeers = {10.0.0.9}\n[log]\nlevel = 1\n")
    home = {"HOME": str(tmp_path)}
    assert read_configuration(home)["KnownPeers"] == "{10.0.0.9}"
    (tmp_path / "lsl_api.cfg").write_text("[multicast]\nResolveScope = site\n")
    assert read_configuration(home) == {"file": "lsl_api.cfg", "ResolveScope": "site"}
    (tmp_path / "other.cfg").write_text("no configuration")
    found = read_configuration({**home, "LSLAPICFG": str(tmp_path / "other.cfg")})
    assert "cannot be read" in found["error"]
    assert (
        read_configuration({"HOME": str(tmp_path / "no-home"), "LSLAPICFG": "nowhere"})["file"]
        == "lsl_api.cfg"
    )


@pytest.mark.parametrize(
    ("system", "answers", "on"),
    [
        ("linux", {"ufw": "Status: active\nTo  Action"}, ("ufw",)),
        ("linux", {"ufw": "Status: inactive", "firewall-cmd": "running"}, ("firewalld",)),
        ("linux", {"nft": "chain input { type filter hook input priority 0; }"}, ("nftables",)),
        ("win32", {"netsh": "State                                 ON"}, ("Windows Firewall",)),
        ("win32", {"netsh": "State                                 OFF"}, ()),
        ("linux", {}, ()),
    ],
)
def test_firewalls_are_asked(
    system: str, answers: dict[str, str], on: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings.sys, "platform", system)

    def ask(command: Sequence[str]) -> str | None:
        return answers.get(command[0])

    assert look_around(0.0, ask).firewalls == on


def test_a_real_look_finds_this_machine_and_its_streams() -> None:
    info = StreamInfo(Signal("Amp", 0.0, (1,), (), "", "str"), "surroundings-amp", kind="Markers")
    with Outlet(info, 1):
        seen = look_around(0.6)
    assert seen.own
    assert any("surroundings-amp" in words for words in seen.streams or ())
    assert any(i.kind == "loopback" and i.up for i in seen.interfaces)


def test_a_session_keeps_it_once_and_the_line_does_not_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot = NetworkSnapshot(tmp_path)
    snapshot.close()  # none was missing
    assert not (tmp_path / NETWORK).exists()
    with caplog.at_level(logging.INFO):
        snapshot.take("acquire without data")
        snapshot.take("again")
        snapshot.close()
    kept = json.loads((tmp_path / NETWORK).read_text())
    assert {"interfaces", "firewalls", "streams", "own", "hints"} <= set(kept)
    assert [record.message.split(":")[0] for record in caplog.records] == ["acquire without data"]

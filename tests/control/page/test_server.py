"""The page is served to who may see it: this machine, or who knows the password, and never to another site's script."""

import asyncio
import base64
import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from test_moment import WELL

from bci.config.page import PageSettings
from bci.control.mqtt.ports import free_port
from bci.control.page.password import PasswordHash
from bci.control.page.recorded import RecordedModel
from bci.control.page.server import PageServer
from bci.errors import ConfigError, ProgramError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PASSWORD = "correct horse"


def no_model() -> RecordedModel:
    raise AssertionError("no page was asked for")


def served(settings: PageSettings, ask: Callable[[PageServer], Any], **options: Any) -> Any:
    """Serve, and ask from another thread, as another program would."""

    async def serve() -> Any:
        server = PageServer(settings, "s1", no_model, lambda: WELL, **options)
        try:
            return await asyncio.to_thread(ask, server)
        finally:
            server.stop()

    return asyncio.run(serve())


def get(server: PageServer, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


@pytest.mark.parametrize("page", [True, False])
def test_metrics_are_served_under_our_own_name_alone(page: bool) -> None:
    def ask(server: PageServer) -> list[tuple[int, str, dict[str, str]]]:
        return [get(server, "/metrics"), get(server, "/metrics", Host="evil.example:80")]

    good, rebound = served(PageSettings(port=free_port()), ask, page=page)
    assert good[0] == 200
    assert "bci_decode_skipped_total" in good[1]
    assert good[2]["Content-Type"].startswith("text/plain; version=")
    assert rebound[0] == 403


def test_a_connection_of_another_sites_script_is_refused() -> None:
    def ask(server: PageServer) -> list[int]:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
        }
        origins = ("http://evil.example", f"http://localhost:{server.port + 1}")
        return [get(server, "/ws", Origin=origin, **upgrade)[0] for origin in origins]

    assert served(PageSettings(port=free_port()), ask) == [403, 403]


def test_with_a_password_nothing_is_seen_without_it(tmp_path: Path) -> None:
    PasswordHash.of(PASSWORD).write(tmp_path / "hash")
    settings = PageSettings(port=free_port(), password_file=str(tmp_path / "hash"))

    def ask(server: PageServer) -> dict[str, Any]:
        basic = {
            word: base64.b64encode(f"prometheus:{word}".encode()).decode() for word in (PASSWORD, "wrong")
        }
        return {
            "page": get(server, "/"),
            "numbers": get(server, "/metrics")[0],
            "wrong": get(server, "/metrics", Authorization=f"Basic {basic['wrong']}")[0],
            "right": get(server, "/metrics", Authorization=f"Basic {basic[PASSWORD]}")[0],
            "form": get(server, "/login"),
            "rejected": server.rejected,
        }

    found = served(settings, ask)
    assert found["page"][0] == 302
    assert found["page"][2]["Location"].startswith("/login")
    assert (found["numbers"], found["wrong"], found["right"], found["rejected"]) == (401, 401, 200, 1)
    assert 'type="password"' in found["form"][1]


def test_a_password_file_holds_no_password_and_only_its_own_matches(tmp_path: Path) -> None:
    path = tmp_path / "hash"
    PasswordHash.of(PASSWORD).write(path)
    assert PASSWORD not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    read = PasswordHash.read(path)
    assert read.matches(PASSWORD)
    assert not read.matches(PASSWORD + " ")
    with pytest.raises(ConfigError, match="at least 8"):
        PasswordHash.of("short")
    path.write_text("correct horse\n")
    with pytest.raises(ConfigError, match="no password file"):
        PasswordHash.read(path)


def test_a_taken_port_is_refused_with_what_to_do() -> None:
    settings = PageSettings(port=free_port())
    with pytest.raises(ProgramError, match="Choose another port"):
        served(settings, lambda server: served(settings, lambda inner: None, page=False), page=False)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"address": "0.0.0.0"}, "password_file, certificate, key and origins"),
        ({"address": "rig.lab", "password_file": "a", "origins": ["rig.lab"]}, "certificate"),
        ({"certificate": "a.pem"}, "belong together"),
        ({"origins": ["*"]}, "host:port"),
        ({"updates_hz": 60}, "less than or equal to 20"),
    ],
)
def test_a_page_for_the_network_needs_a_login_encryption_and_its_name(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        PageSettings.model_validate(values)

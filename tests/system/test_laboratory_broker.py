"""The shipped example of a laboratory's broker, run by a real mosquitto: encryption, logins, and who may do what."""

import asyncio
import gc
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from sessions import wait_for

from bci.control.mqtt.connection import BrokerAddress, connect
from bci.control.mqtt.ports import free_port

MOSQUITTO, PASSWD, OPENSSL = (
    shutil.which(
        name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/sbin:/opt/homebrew/bin"
    )
    for name in ("mosquitto", "mosquitto_passwd", "openssl")
)
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not (MOSQUITTO and PASSWD and OPENSSL), reason="needs mosquitto and openssl"),
]

EXAMPLES = Path(__file__).resolve().parents[2] / "configs" / "mosquitto"
USERS = ("rig-1", "operator", "viewer")


def run(*words: object, cwd: Path) -> None:
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Run the example with certificates and logins made as it says; only its folder and its port are others."""
    folder = tmp_path_factory.mktemp("laboratory")
    new = (OPENSSL, "req", "-newkey", "rsa:2048", "-nodes")
    run(
        *new,
        "-x509",
        "-days",
        "2",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-subj",
        "/CN=laboratory",
        cwd=folder,
    )
    run(*new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost", cwd=folder)
    (folder / "names.txt").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1", "utf-8")
    sign = (
        OPENSSL,
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
    )
    run(*sign, "-days", "2", "-extfile", "names.txt", "-out", "server.crt", cwd=folder)
    (folder / "passwords").touch(mode=0o600)
    for user in USERS:
        run(PASSWD, "-b", "passwords", user, f"secret of {user}", cwd=folder)
        (folder / f"{user}.password").write_text(f"secret of {user}\n", "utf-8")
    shutil.copy(EXAMPLES / "laboratory.acl", folder)
    port = free_port()
    text = (EXAMPLES / "laboratory.conf").read_text("utf-8").replace("/etc/mosquitto/bci", str(folder))
    text = re.sub(r"(?m)^listener .*$", f"listener {port} 127.0.0.1", text)
    # Started as root mosquitto becomes another user, who may not read a test's folder.
    (folder / "laboratory.conf").write_text(text + "\nuser root\n", "utf-8")
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [str(MOSQUITTO), "-c", str(folder / "laboratory.conf")], stdout=log, stderr=log
        ) as broker,
    ):
        try:
            wait_for(lambda: broker.poll() is not None or listens(port), "a broker")
            assert broker.poll() is None, (folder / "log").read_text()
            yield folder, port
        finally:
            broker.terminate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def waits_for_no_acknowledgement(client: aiomqtt.Client) -> bool:
    """Whether a small message is sent at once, also while the one before it is on its way."""
    opened = client._client.socket()
    return bool(opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_no_example_holds_a_command_back() -> None:
    for example in EXAMPLES.glob("*.conf"):
        assert "set_tcp_nodelay true" in example.read_text("utf-8").splitlines(), example


def address(laboratory: tuple[Path, int], user: str, **changes: object) -> BrokerAddress:
    folder, port = laboratory
    values = {"host": "localhost", "port": port, "tls": True, "ca": folder / "ca.crt", "username": user}
    return BrokerAddress.model_validate(values | {"password_file": folder / f"{user}.password"} | changes)


# A connection that is refused leaves its socket to the collector, in the library.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("user", "changes"),
    [
        ("rig-1", {"ca": None}),
        ("rig-1", {"username": None, "password_file": None}),
        ("rig-1", {"username": "operator"}),
    ],
    ids=["another authority", "no login", "another's password"],
)
def test_without_the_authority_or_a_login_there_is_no_connection(
    laboratory: tuple[Path, int], user: str, changes: dict[str, object]
) -> None:
    async def knock() -> None:
        async with connect(address(laboratory, user, **changes)):
            pytest.fail("it was let in")

    with pytest.raises(aiomqtt.MqttError):
        asyncio.run(knock())
    gc.collect()


def test_an_operator_commands_a_rig_answers_and_a_viewer_looks(laboratory: tuple[Path, int]) -> None:
    heard: dict[str, list[str]] = {user: [] for user in USERS}

    async def listen(user: str, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            heard[user].append(f"{message.topic} {bytes(message.payload).decode()}")

    async def talk() -> None:
        rig, operator, viewer = (connect(address(laboratory, user)) for user in USERS)
        async with rig, operator, viewer:
            clients = dict(zip(USERS, (rig, operator, viewer), strict=True))
            for client in clients.values():
                assert waits_for_no_acknowledgement(client)
            listening = [asyncio.create_task(listen(user, client)) for user, client in clients.items()]
            for client in clients.values():
                await client.subscribe("bci/v1/demo/+/state", qos=1)
                await client.subscribe("bci/v1/demo/+/cmd", qos=1)
            for user, client in clients.items():
                await client.publish("bci/v1/demo/session/cmd", f"command of {user}", qos=1)
                await client.publish("bci/v1/demo/session/state", f"state of {user}", qos=1)
            deadline = time.monotonic() + 60
            wanted = {"operator": 2, "rig-1": 1, "viewer": 1}
            while any(len(heard[user]) < n for user, n in wanted.items()) and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)  # a message that is kept from a user would have come by now
            for task in listening:
                task.cancel()

    asyncio.run(talk())
    command, state = "bci/v1/demo/session/cmd command of operator", "bci/v1/demo/session/state state of rig-1"
    assert sorted(heard["operator"]) == [command, state]
    assert heard["rig-1"] == [command]
    assert heard["viewer"] == [state]

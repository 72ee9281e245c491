"""One session, commanded over a real broker: broker and control program are killed, and commands are bad."""

import csv
import json
import os
import re
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from sessions import Done, finish, only_folder, rows_in, start, wait_for

from bci.control.mqtt.gate import BURST, RATE

pytestmark = pytest.mark.system

BUNDLE = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"
CONFIG = f"""
name = "commanded"
network = "machine"
[source]
kind = "simulate"
speed = 4
[decoder]
bundle = {json.dumps(str(BUNDLE))}
[display]
kind = "headless"
max_png = 0
[control]
broker = "embedded"
[control.limits]
fresh_for = [0.2, 0.5]
"""
NODES = {"session", "source", "acquire", "decode", "display", "record", "control", "broker"}
FLOOD = 600


class Operator:
    """Another program on this machine, with an MQTT library of its own."""

    def __init__(self, port: int, session: str) -> None:
        self.session = session
        self.heard: list[tuple[str, str, dict[str, Any], bool]] = []
        """Node, channel, payload, whether it had been retained."""
        self.sent = 0
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_queued_messages_set(0)
        self.client.on_connect = lambda client, *_: client.subscribe(f"bci/v1/{session}/#", qos=1)
        self.client.on_message = self.hear
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def hear(self, client: Client, data: object, message: MQTTMessage) -> None:
        *_, node, channel = message.topic.split("/")
        if channel != "cmd":
            self.heard.append((node, channel, json.loads(message.payload), message.retain))

    def send(self, kind: str, node: str = "session", *, retain: bool = False, **values: Any) -> str:
        command = {"id": uuid.uuid4().hex, "kind": kind, "issued": time.time(), "expires_s": 30} | values
        self.raw(json.dumps(command), node, retain=retain)
        return str(command["id"])

    def raw(self, payload: str | bytes, node: str = "session", *, retain: bool = False) -> None:
        self.sent += 1
        self.client.publish(f"bci/v1/{self.session}/{node}/cmd", payload, qos=1, retain=retain)

    def answers(self, id: str) -> list[dict[str, Any]]:
        return [
            payload for _, channel, payload, _ in list(self.heard) if channel == "ack" and payload["id"] == id
        ]

    def ask(self, kind: str, node: str = "session", **values: Any) -> dict[str, Any]:
        id = self.send(kind, node, **values)
        wait_for(lambda: bool(self.answers(id)), f"an answer to {kind}")
        return self.answers(id)[-1]

    def states(self, node: str) -> list[str]:
        return [
            payload["state"]
            for at, channel, payload, _ in list(self.heard)
            if (at, channel) == (node, "state")
        ]

    def all_run(self) -> bool:
        return all(self.states(node)[-1:] == ["running"] for node in NODES)


@dataclass
class Commanded:
    """What came of the session."""

    done: Done
    folder: Path
    operator: Operator
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def journal(self) -> list[dict[str, str]]:
        with (self.folder / "control.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @property
    def marks(self) -> list[str]:
        with (self.folder / "marks.csv").open(newline="", encoding="utf-8") as file:
            return [row["detail"] for row in csv.DictReader(file) if row["kind"] == "command"]


def kill(folder: Path, program: str) -> None:
    pids = re.findall(rf" {program} started as process (\d+)", (folder / "log.txt").read_text("utf-8"))
    psutil.Process(int(pids[-1])).kill()


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commanded]:
    base = tmp_path_factory.mktemp("commanded")
    (base / "commanded.toml").write_text(CONFIG)
    process = start("run", base / "commanded.toml", "--out", base / "out", "--json")
    operator: Operator | None = None
    try:
        wait_for(lambda: bool(only_folder(base / "out")), "the session's folder")
        folder = only_folder(base / "out")
        assert folder is not None
        wait_for(lambda: (folder / "control.json").is_file(), "the control plane")
        place = json.loads((folder / "control.json").read_text("utf-8"))
        wait_for(lambda: "connected to the broker" in (folder / "log.txt").read_text("utf-8"), "a broker")
        operator = Operator(place["broker"]["port"], place["session"])
        wait_for(operator.all_run, "every node running")
        run = Commanded(Done(0, {}, ""), folder, operator)
        _command(run)
        run.answers["stop"] = operator.ask("stop")
        run.done = finish(process)
        yield run
    finally:
        if operator is not None:
            operator.client.disconnect()
            operator.client.loop_stop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _command(run: Commanded) -> None:
    """Do to a running session what can be done to it."""
    operator, folder, answers = run.operator, run.folder, run.answers
    answers["mark"] = operator.ask("mark", id="once", text="a cough")
    for _ in range(3):
        operator.send("mark", id="once", text="a cough")
    for n in range(8):
        operator.send("stop", id=f"late{n}", issued=time.time() - 60)
    for payload in (b"", b"stop", b"\xff\x00", b"{}", b'{"kind": "stop"}', b"[" * 4000, b"x" * 5000):
        operator.raw(payload)
    for values in ({"id": "../x"}, {"extra": 1}, {"issued": "now"}, {"expires_s": 1e9}, {"kind": "stopp"}):
        operator.send(**{"kind": "stop"} | values)  # type: ignore[arg-type]
    answers["set"] = operator.ask("set", name="fresh_for", value=0.3)
    answers["beyond"] = operator.ask("set", name="fresh_for", value=3.0)
    shown = folder / "shown.csv"
    wait_for(lambda: rows_in(shown) > 3, "pictures")
    answers["neutral"] = operator.ask("neutral")
    wait_for(lambda: "the operator has asked for it" in shown.read_text("utf-8"), "the neutral picture")
    answers["release"] = operator.ask("release")
    changes = rows_in(shown)
    wait_for(lambda: rows_in(shown) > changes, "pictures again")
    # The broker dies.
    frames = rows_in(folder / "frames.csv")
    kill(folder, "broker")
    wait_for(lambda: "broker works again" in (folder / "log.txt").read_text("utf-8"), "a broker again")
    run.facts["frames without a broker"] = rows_in(folder / "frames.csv") - frames
    operator.heard.clear()
    wait_for(operator.all_run, "every node running again")
    # A retained command; then the control program dies, and what is retained is given to its successor.
    answers["kept"] = operator.ask("mark", id="kept", text="retained", retain=True)
    operator.heard.clear()
    kill(folder, "control")
    wait_for(lambda: all("lost" in operator.states(node) for node in NODES), "last wills")
    wait_for(operator.all_run, "every node running for the last time")
    operator.send("mark", id="once", text="a cough")
    wait_for(lambda: bool(operator.answers("once")), "the old answer")
    answers["once more"] = operator.answers("once")[-1]
    for n in range(FLOOD):
        operator.send("mark", id=f"flood{n}", text=f"flood {n}")
    answers["neutral in the flood"] = operator.ask("neutral")


def test_a_command_acts_once_and_is_answered_with_the_time_of_the_act(commanded: Commanded) -> None:
    answers = commanded.answers
    for name in ("mark", "set", "neutral", "release", "stop", "kept"):
        assert answers[name]["verdict"] == "done", answers[name]
        assert answers[name]["acted"] > 0
    assert answers["beyond"]["verdict"] == "refused"
    assert "0.2 to 0.5" in answers["beyond"]["detail"]
    assert answers["once more"] == answers["mark"] | {
        "acted": pytest.approx(answers["mark"]["acted"], abs=1e-5)
    } | {"at": pytest.approx(answers["mark"]["at"], abs=1e-5)}
    assert commanded.marks.count("mark: a cough") == 1
    assert commanded.marks.count("mark: retained") == 1
    assert commanded.done.result["ended_by"] == "stopped by the operator"


def test_nothing_is_acted_on_that_should_not_be(commanded: Commanded) -> None:
    kinds = Counter(mark.partition(":")[0] for mark in commanded.marks)
    flooded = sum(mark.startswith("mark: flood") for mark in commanded.marks)
    assert kinds == {"mark": 2 + flooded, "set": 1, "neutral": 2, "release": 1, "stop": 1}
    came = [float(row["time"]) for row in commanded.journal if row["id"].startswith("flood")]
    assert 0 < flooded < FLOOD / 4
    assert flooded <= BURST + RATE * (max(came) - min(came)) + 1
    verdicts = {row["id"]: row["verdict"] for row in commanded.journal if row["verdict"]}
    assert all(verdicts[f"late{n}"] == "expired" for n in range(8))
    assert commanded.answers["neutral in the flood"]["verdict"] == "done"
    retained = [row for row in commanded.journal if row["id"] == "kept" and row["verdict"] == "refused"]
    assert retained, "a broker gives it to each new subscriber, amqtt twice"
    assert all("retained" in row["detail"] for row in retained)


def test_every_message_is_counted_and_written_down(commanded: Commanded) -> None:
    counts = commanded.done.result["control"]
    verdicts = ("done", "expired", "unknown", "declined", "failed", "malformed")
    heard = [row for row in commanded.journal if row["payload"]]
    kept = sum(row["id"] == "kept" and row["verdict"] == "refused" for row in heard)
    assert counts["commands"] == len(heard) == commanded.operator.sent + kept
    assert counts["commands"] == sum(counts[verdict] for verdict in verdicts) + counts["repeated"]
    assert (counts["expired"], counts["malformed"], counts["repeated"]) == (8, 12, 4)
    assert counts["done"] == len(commanded.marks)
    assert commanded.done.result["programs"]["control"]["unwritten"] == 0


def test_the_data_path_does_not_notice(commanded: Commanded) -> None:
    result = commanded.done.result
    assert commanded.facts["frames without a broker"] > 0
    assert result["samples_lost"] == 0
    assert result["windows"] == result["reconstructions"] + result["skipped"]
    assert result["restarts"] == {"broker": 1, "control": 1}
    assert (result["status"], commanded.done.status) == ("recovered", 4)
    assert result["failures"] == []


def test_the_numbers_of_each_node_are_published_and_the_last_states_are_those_of_an_end(
    commanded: Commanded,
) -> None:
    heard = commanded.operator.heard
    health = [(node, payload["values"]) for node, channel, payload, _ in heard if channel == "health"]
    assert {node for node, _ in health} == NODES
    assert max(values["bci_decode_windows_total"] for node, values in health if node == "decode") > 10
    assert 2 in [values["bci_session_state"] for node, values in health if node == "session"]
    assert commanded.operator.states("session")[-1] == "done"
    assert {commanded.operator.states(node)[-1] for node in NODES - {"session"}} == {"stopped"}

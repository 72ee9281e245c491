"""The control program speaks MQTT for a session: it publishes how each node is, and takes in commands.

::

    supervisor ── ring of snapshots ──> retained state, health some times a second ──> broker
               <── requests ─────────── the gate <── commands ─────────────────────── broker
               ── answers ────────────> acknowledgements ────────────────────────────> broker

Each node has a connection of its own, because a connection has one last will: when this program falls silent, the
broker says of every node that it is lost. A broker that is gone is sought again, ever more slowly; the session does not
notice.
"""

import asyncio
import contextlib
import math
import random
from collections import deque
from collections.abc import Mapping
from typing import Any

import aiomqtt

from bci.control.health import SESSION_NODE, health
from bci.control.mqtt.commands import CommandAnswer, CommandVerdict, NodeHealth, NodeState
from bci.control.mqtt.connection import BrokerAddress, connect
from bci.control.mqtt.gate import Gate, Judgement
from bci.control.mqtt.journal import CommandJournal
from bci.control.mqtt.topics import Topic, TopicChannel, commands_to
from bci.control.mqtt.wall_clock import wall_clock
from bci.control.snapshot import SessionSnapshot, SessionState
from bci.control.snapshot_ring import SNAPSHOTS, newest_snapshot
from bci.io.files.folder import write_json
from bci.memory.orders import ANSWERED
from bci.memory.program import Program

#: Seconds before a broker that is gone is sought again: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0

#: Seconds between two looks at orders and at the ring of snapshots.
_LOOK = 0.02

#: Seconds between two looks at whether a node's state has changed.
_STATE_EVERY = 0.1

#: Answers to commands that were turned away, waiting to be published; beyond that they are dropped, and counted.
_MOST_WAITING = 256

#: Seconds that the last messages of a session may take.
_FAREWELL = 1.0

#: What stands for a node of which nothing is known any more.
LOST = "lost"

_ALIVE = frozenset({"loading", "ready", "running"})


def main(program: Program) -> None:
    """Publish and listen until told to stop.

    Raises
    ------
    ConfigError
        If the password file or the authority's certificate cannot be read, or the broker is open to the network.
    """
    keys = ("host", "port", "tls", "ca", "username", "password_file")
    address = BrokerAddress.model_validate({key: program.spec[key] for key in keys}).checked()
    address.password(), address.encryption()  # refused now rather than at each connection
    write_json(
        program.folder / "control.json",
        {"broker": address.model_dump(mode="json"), "session": program.folder.name},
    )
    asyncio.run(ControlPlane(program, address).run())


class ControlPlane:
    """The control plane of one session.

    Parameters
    ----------
    program : Program
        Its program; its ring of role ``snapshots`` is read.
    address : BrokerAddress
        Where the broker is.
    """

    def __init__(self, program: Program, address: BrokerAddress) -> None:
        self._program, self._address = program, address
        self._session = program.folder.name
        self._nodes: list[str] = list(program.spec["nodes"])
        self._snapshots = program.ring(SNAPSHOTS)
        self._gate = Gate(self._session, program.clock, wall_clock, float(program.spec["clock_skew_s"]))
        self._journal = CommandJournal(program.folder / "control.csv")
        for answer in self._journal.answers():
            self._gate.remember(answer)
        self._every = 1.0 / float(program.spec["health_hz"])
        self._snapshot: SessionSnapshot | None = None
        self._states: dict[str, NodeState] = {}
        self._health: dict[str, dict[str, float]] = {}
        self._answers: deque[tuple[str, CommandAnswer]] = deque()
        self._turned_away: deque[tuple[str, CommandAnswer]] = deque()
        self._has_answers = asyncio.Event()
        self._ending = False
        # amqtt drops a connection that is made while another client subscribes: ours are made one after the other.
        self._door = asyncio.Lock()

    async def run(self) -> None:
        """Work until told to stop; say farewell."""
        program = self._program
        program.obeys(ANSWERED, self._take_answer)
        program.ready(topic=f"bci/v1/{self._session}", host=self._address.host, port=self._address.port)
        connections = [asyncio.create_task(self._keep_connected(node)) for node in self._nodes]
        while program.tick():
            self._look()
            for connection in connections:
                if connection.done():
                    connection.result()  # none ends before the session does, but by a fault that must be seen
            await asyncio.sleep(_LOOK)
        self._say_farewell()
        await asyncio.wait(connections, timeout=_FAREWELL)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        program.row["connected"] = 0
        program.report(**program.row.counts(), unwritten=self._journal.unwritten)
        self._journal.close()

    # -- how the nodes are -------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take in the newest snapshot."""
        snapshot = newest_snapshot(self._snapshots)
        if snapshot is None or (self._snapshot is not None and snapshot.at == self._snapshot.at):
            return
        self._snapshot = snapshot
        self._health = health(snapshot)
        for node in self._nodes:
            self._become(node, *_state_of(node, snapshot))

    def _become(self, node: str, state: str, detail: str = "") -> None:
        before = self._states.get(node)
        if before is None or (before.state, before.detail) != (state, detail):
            self._states[node] = NodeState(state=state, at=wall_clock(), detail=detail)

    def _say_farewell(self) -> None:
        """Say the last of each node: what was running has stopped, or is lost with the supervisor."""
        self._look()
        lost = self._program.orphaned
        for node in self._nodes:
            state = self._states.get(node)
            if lost:
                self._become(node, LOST, "the supervisor is gone")
            elif node == SESSION_NODE:
                self._become(node, SessionState.DONE, "" if state is None else state.detail)
            elif state is not None and state.state in _ALIVE:
                self._become(node, "stopped")
        self._ending = True
        self._has_answers.set()

    # -- connections -------------------------------------------------------------------------------------

    async def _keep_connected(self, node: str) -> None:
        """Hold a node's connection, and find the broker again whenever it is gone."""
        pause = FIRST_PAUSE
        while True:
            began = self._program.clock.now()
            try:
                await self._talk(node)
                return
            except aiomqtt.MqttError as error:
                if node == SESSION_NODE and self._program.row["connected"]:
                    self._program.log.warning("the broker is gone: %s", error)
            finally:
                if node == SESSION_NODE:
                    self._program.row["connected"] = 0
            if self._ending:
                return
            pause = FIRST_PAUSE if self._program.clock.now() - began > LONGEST_PAUSE else pause
            # Not all at the same moment.
            await asyncio.sleep(pause * (0.75 + 0.5 * random.random()))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _talk(self, node: str) -> None:
        """Connect, publish and listen until the session ends.

        Raises
        ------
        MqttError
            If the connection breaks.
        """
        topic = str(Topic(self._session, node, TopicChannel.STATE))
        will = aiomqtt.Will(topic, NodeState(state=LOST).model_dump_json(), qos=1, retain=True)
        async with contextlib.AsyncExitStack() as opened:
            async with self._door:
                client = await opened.enter_async_context(connect(self._address, will=will))
                if node == SESSION_NODE:
                    await client.subscribe(commands_to(self._session), qos=1)
            tasks = [asyncio.create_task(self._publish(node, client))]
            if node == SESSION_NODE:
                self._program.row["connected"] = 1
                self._program.row["connections"] += 1
                self._program.log.info(
                    "connected to the broker %s:%d", self._address.host, self._address.port
                )
                tasks += [asyncio.create_task(self._acknowledge(client))]
                listening = asyncio.create_task(self._listen(client))
            else:
                listening = asyncio.create_task(_disconnected(client))
            try:
                while not listening.done() and not all(task.done() for task in tasks):
                    open_ = [task for task in (*tasks, listening) if not task.done()]
                    done, _ = await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
            finally:
                for task in (*tasks, listening):
                    task.cancel()
                await asyncio.gather(*tasks, listening, return_exceptions=True)

    async def _publish(self, node: str, client: aiomqtt.Client) -> None:
        """Publish a node's state whenever it changes, and its numbers; return when the last of it is out."""
        state_topic, health_topic = (
            str(Topic(self._session, node, channel)) for channel in (TopicChannel.STATE, TopicChannel.HEALTH)
        )
        published: NodeState | None = None
        clock = self._program.clock
        due = clock.now()
        while True:
            ending, state = self._ending, self._states.get(node)
            if state is not None and state is not published:
                await client.publish(state_topic, state.model_dump_json(), qos=1, retain=True)
                published = state
            if ending:
                return
            if clock.now() >= due and node in self._health:
                values = {name: _finite(value) for name, value in self._health[node].items()}
                await client.publish(
                    health_topic, NodeHealth(at=wall_clock(), values=values).model_dump_json()
                )
                due = max(due + self._every, clock.now())
            await asyncio.sleep(min(self._every, _STATE_EVERY))

    async def _acknowledge(self, client: aiomqtt.Client) -> None:
        """Publish answers: those to what was let in first, each until the broker has it."""
        while True:
            await self._has_answers.wait()
            while waiting := self._answers or self._turned_away:
                node, answer = waiting[0]
                await client.publish(
                    str(Topic(self._session, node, TopicChannel.ACK)), answer.model_dump_json(), qos=1
                )
                # While this was under way others may have come in behind it, but none before it.
                waiting.popleft()
            if self._ending:
                return
            self._has_answers.clear()

    # -- commands ----------------------------------------------------------------------------------------

    async def _listen(self, client: aiomqtt.Client) -> None:
        """Judge each message as it comes; nothing here waits."""
        asked_for = commands_to(self._session)
        async for message in client.messages:
            if not message.topic.matches(asked_for):
                # amqtt gives each new client what is retained for the subscriptions of all others.
                self._program.row["strays"] += 1
                continue
            payload = message.payload
            raw = bytes(payload) if isinstance(payload, bytes | bytearray) else str(payload or "").encode()
            self._judge(str(message.topic), raw, retained=bool(message.retain))

    def _judge(self, topic: str, payload: bytes, *, retained: bool) -> None:
        row = self._program.row
        judgement = self._gate.judge(topic, payload, retained=retained)
        row["commands"] += 1
        self._journal.heard(self._program.clock.now(), judgement, payload)
        if judgement.let_in:
            self._program.request(node=judgement.node, command=judgement.command, until=judgement.until)
        elif judgement.repeated:
            row["repeated"] += 1
            if judgement.answer is not None:
                self._answers.append((judgement.node, judgement.answer))
        elif judgement.answer is not None:
            self._count(judgement.answer)
            self._turn_away(judgement, judgement.answer)
        self._has_answers.set()

    def _count(self, answer: CommandAnswer) -> None:
        # Every program's row counts the orders that it refused under that name.
        refused = answer.verdict is CommandVerdict.REFUSED
        self._program.row["declined" if refused else str(answer.verdict)] += 1

    def _turn_away(self, judgement: Judgement, answer: CommandAnswer) -> None:
        if len(self._turned_away) < _MOST_WAITING:
            self._turned_away.append((judgement.node, answer))
        else:
            self._program.row["unanswered"] += 1

    def _take_answer(self, payload: Mapping[str, Any]) -> None:
        """Take in the supervisor's answer to a command."""
        node, answer = str(payload["node"]), payload["answer"]
        self._gate.remember(answer)
        self._count(answer)
        self._journal.answered(self._program.clock.now(), node, answer)
        self._answers.append((node, answer))
        self._has_answers.set()


async def _disconnected(client: aiomqtt.Client) -> None:
    """Return only when the connection breaks, by raising."""
    async for _ in client.messages:
        pass


def _state_of(node: str, snapshot: SessionSnapshot) -> tuple[str, str]:
    """Return how far a node is, and why it is in trouble or has ended."""
    if node == SESSION_NODE:
        return str(snapshot.state), snapshot.latched or snapshot.ended_by
    program = snapshot.programs[node]
    return ("failed", program.failure) if program.failure else (program.state, "")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

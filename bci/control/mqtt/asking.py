"""To ask is to send one command to a running session and to wait for its answer: what `bci control` does."""

import asyncio
import contextlib
import json
from pathlib import Path

import aiomqtt
from pydantic import ValidationError

from bci.control.mqtt.commands import Command, CommandAnswer
from bci.control.mqtt.connection import BrokerAddress, connect
from bci.control.mqtt.topics import Topic, TopicChannel
from bci.errors import ConfigError, ProgramError
from bci.io.files.regular import read_text


def broker_of(folder: Path) -> tuple[BrokerAddress, str]:
    """Return the broker of a session, and what the session is called there.

    Raises
    ------
    ConfigError
        If the session has no control plane, or its ``control.json`` cannot be used.
    """
    path = folder / "control.json"
    if not path.is_file():
        raise ConfigError(
            f"{folder} cannot be commanded: it has no control.json. Start the session with bci run --control, or set "
            "broker in [control] of its file."
        )
    text = read_text(path, ConfigError, largest=1 << 16)
    try:
        values = json.loads(text)
        return BrokerAddress.model_validate(values["broker"]).checked(), str(values["session"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise ConfigError(f"{path} is not as a session writes it: {str(error)[:200]}") from None


def ask(address: BrokerAddress, session: str, node: str, command: Command, wait_s: float) -> CommandAnswer:
    """Send a command and return its answer.

    Parameters
    ----------
    address : BrokerAddress
        The broker's.
    session, node : str
        To which it goes.
    command : Command
        What is asked.
    wait_s : float
        How long to wait for the answer, seconds.

    Raises
    ------
    ConfigError
        If the names cannot be those of a session and a node.
    ProgramError
        If the broker cannot be reached, or no answer comes.
    """
    return asyncio.run(ask_in_loop(address, session, node, command, wait_s))


async def ask_in_loop(
    address: BrokerAddress, session: str, node: str, command: Command, wait_s: float
) -> CommandAnswer:
    """Send a command and return its answer, as `ask`, from within a loop of events."""
    topic = Topic(session, node, TopicChannel.COMMAND)
    acks = str(Topic(topic.session, topic.node, TopicChannel.ACK))
    try:
        async with asyncio.timeout(wait_s), connect(address) as client:
            await client.subscribe(acks, qos=1)
            await client.publish(str(topic), command.model_dump_json(), qos=1, retain=False)
            async for message in client.messages:
                with contextlib.suppress(ValidationError):
                    answer = CommandAnswer.model_validate_json(bytes(message.payload or b""))
                    if answer.id == command.id:
                        return answer
    except aiomqtt.MqttError as error:
        raise ProgramError(
            f"the broker {address.host}:{address.port} cannot be reached: {error}. Does the session still run?"
        ) from None
    except TimeoutError:
        pass
    raise ProgramError(
        f"no answer to {command.kind} within {wait_s:g} s: the session's control plane does not answer. Whether it was "
        "carried out stands in the session's control.csv."
    )

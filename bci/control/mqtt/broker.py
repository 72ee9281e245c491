"""The broker program is an MQTT broker for this machine alone, so that nothing need be installed to command a session.

It listens on the loopback interface and nowhere else: every program and every user of this computer may command the
session. A laboratory's network takes a broker of its own, with encryption and logins (``configs/mosquitto``).
"""

import asyncio
import logging
import os

from bci.config.control import is_loopback
from bci.errors import ConfigError, ProgramError
from bci.memory.program import Program

#: How many may be connected at once.
_MOST_CLIENTS = 100

#: How much nicer than the line's programs it is.
_NICE = 10


def main(program: Program) -> None:
    """Serve until told to stop.

    Raises
    ------
    ConfigError
        If it is to listen beyond this machine.
    ProgramError
        If its port is taken.
    """
    host, port = str(program.spec["host"]), int(program.spec["port"])
    if not is_loopback(host):
        raise ConfigError(
            f"the embedded broker listens on this machine alone; {host} is not it. Use mosquitto."
        )
    if hasattr(os, "nice"):
        os.nice(_NICE)  # the line comes first: others may send a broker more than a session does
    asyncio.run(_serve(program, host, port))


async def _serve(program: Program, host: str, port: int) -> None:
    from amqtt.broker import Broker
    from amqtt.errors import BrokerError

    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.WARNING)
    broker = Broker(
        {
            "listeners": {
                "default": {"type": "tcp", "bind": f"{host}:{port}", "max_connections": _MOST_CLIENTS}
            },
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    try:
        await broker.start()
    except BrokerError as error:
        raise ProgramError(
            f"the broker cannot listen on {host}:{port}: {error.__cause__ or error}. Leave [control] port out for a "
            "free one."
        ) from None
    program.ready(host=host, port=port)
    program.log.info("broker on %s:%d", host, port)
    while program.tick():
        await asyncio.sleep(0.05)
    # Its connections end with the process: waiting for each of them would hold up the end of the session.

"""A Topic names one channel of one node of one session: ``bci/v1/<session>/<node>/{state,health,cmd,ack}``."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bci.errors import ConfigError
from bci.io.files.folder import NAME

#: What every topic of ours begins with; a change of the payloads that old programs cannot read changes the number.
PREFIX = "bci/v1"

#: What a node may be called: names of programs, ``decode:arms`` among them. No level of a topic and no wildcard fits.
NODE = r"^[a-z][a-z0-9_]{0,31}(:[a-z0-9][a-z0-9_-]{0,63})?$"

#: What a session may be called in a topic: the name of its folder, which ends in the time.
SESSION = NAME.replace("{0,63}", "{0,127}")


class TopicChannel(StrEnum):
    """A TopicChannel is one of the four things that are said about a node, or to it."""

    STATE = "state"
    HEALTH = "health"
    COMMAND = "cmd"
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Topic:
    """A Topic is the address of a message.

    Attributes
    ----------
    session : str
        Name of the session's folder.
    node : str
        The program, or ``session`` for the whole.
    channel : TopicChannel
        What the message is about.

    Raises
    ------
    ConfigError
        If a name could be read as another topic or as a wildcard.

    Examples
    --------
    >>> str(Topic("demo-1", "decode:arms", TopicChannel.HEALTH))
    'bci/v1/demo-1/decode:arms/health'
    """

    session: str
    node: str
    channel: TopicChannel

    def __post_init__(self) -> None:
        for what, name, pattern in (("session", self.session, SESSION), ("node", self.node, NODE)):
            if not re.fullmatch(pattern, name):
                raise ConfigError(
                    f"the {what} of a topic is letters, digits, - and _, at most 128; {name[:140]!r} came. "
                    "Name it as its folder, or its program, is called."
                )

    def __str__(self) -> str:
        return f"{PREFIX}/{self.session}/{self.node}/{self.channel}"

    @classmethod
    def parse(cls, text: str) -> "Topic | None":
        """Return the topic that a text names; None where it is none of ours.

        >>> Topic.parse("bci/v1/demo/session/cmd").node, Topic.parse("bci/v1/#")
        ('session', None)
        """
        head, _, rest = text.partition(f"{PREFIX}/")
        parts = rest.split("/")
        if head or len(parts) != 3 or parts[2] not in tuple(TopicChannel):
            return None
        try:
            return cls(parts[0], parts[1], TopicChannel(parts[2]))
        except ConfigError:
            return None


def commands_to(session: str) -> str:
    """Return the filter by which a session subscribes to the commands to all of its nodes."""
    return str(Topic(session, "session", TopicChannel.COMMAND)).replace("/session/", "/+/")

"""A Command is what a person or a program asks of a running session; a CommandAnswer says what became of it, once.

::

    {"id": "7f3a", "kind": "mark", "issued": 1764259557.1, "expires_s": 5, "text": "participant coughed"}
    {"id": "7f3a", "kind": "mark", "verdict": "done", "detail": "", "at": 1764259557.11, "acted": 8123.4}

`issued` is the sender's wall clock, UTC seconds since 1970, and `expires_s` how long after it the session may still
act. Whatever is not exactly so is malformed: an unknown key, a number as text, a name that could be a path or a topic.
"""

import uuid
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bci.errors import ConfigError, MalformedCommand, nearest
from bci.memory import orders

#: The longest payload of a command, bytes; what is longer is not even parsed.
LONGEST_PAYLOAD = 4096

#: The longest time for which a command may stay valid, seconds.
LONGEST_EXPIRY = 60.0

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Command(_Message):
    id: Identifier
    """Unique; a command that comes again with the same id gets the same answer and does nothing."""
    issued: _Seconds
    """When it was given, by the sender's wall clock: UTC seconds since 1970."""
    expires_s: Annotated[float, Field(gt=0, le=LONGEST_EXPIRY)] = 5.0
    """For how long after that it may be carried out."""


class Start(_Command):
    """Begin an experiment that waits for it."""

    kind: Literal["start"] = "start"


class Pause(_Command):
    """Pause the experiment after the trial that is under way."""

    kind: Literal["pause"] = "pause"


class Resume(_Command):
    """Go on with a paused experiment."""

    kind: Literal["resume"] = "resume"


class Abort(_Command):
    """End the experiment now, and with it the session."""

    kind: Literal["abort"] = "abort"


class Stop(_Command):
    """End the session in order, as Ctrl-C does."""

    kind: Literal["stop"] = "stop"


class Mark(_Command):
    """Write a remark into the recording, at the sample where the first stream is now."""

    kind: Literal["mark"] = "mark"
    text: Annotated[str, Field(min_length=1, max_length=80)]


class Neutral(_Command):
    """Show the neutral picture until it is released."""

    kind: Literal["neutral"] = "neutral"


class Release(_Command):
    """Let pictures be shown again; each still has to keep every other rule."""

    kind: Literal["release"] = "release"


class LoadBundle(_Command):
    """Exchange a decoder's bundle between two windows."""

    kind: Literal["load_bundle"] = "load_bundle"
    path: Annotated[str, Field(min_length=1, max_length=256)]
    """A shipped bundle's name, or a folder below one that ``[control] bundles`` names."""


class SetParameter(_Command):
    """Change a number of a running program, within the limits that the session file states."""

    kind: Literal["set"] = "set"
    name: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,63}$")]
    value: Annotated[float, Field(allow_inf_nan=False)]


Command = Annotated[
    Start | Pause | Resume | Abort | Stop | Mark | Neutral | Release | LoadBundle | SetParameter,
    Field(discriminator="kind"),
]

_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)

#: Every kind of command, with its class.
KINDS: dict[str, type[_Command]] = {
    str(model.model_fields["kind"].default): model for model in get_args(get_args(Command)[0])
}

#: Commands that make the session safer: a flood of others does not keep them out.
SAFE = frozenset({"stop", "abort", "neutral"})

#: Commands that are orders to the engine of an experiment, as they are.
TO_THE_ENGINE = frozenset({orders.START, orders.PAUSE, orders.RESUME, orders.ABORT})


class CommandVerdict(StrEnum):
    """A CommandVerdict is what became of a command."""

    DONE = "done"
    EXPIRED = "expired"
    """It came, or could be carried out, only after its time."""
    UNKNOWN = "unknown"
    """No such node, or the node does not do that."""
    REFUSED = "refused"
    """It may not be done: outside of a limit, retained, from the future, too many at once."""
    FAILED = "failed"
    """It was tried in vain; `detail` says why."""
    MALFORMED = "malformed"
    """It is no command."""


class CommandAnswer(_Message):
    """A CommandAnswer is published once for each command."""

    id: str
    """Of the command; empty where a malformed one had none that could be read."""
    kind: str
    verdict: CommandVerdict
    detail: str = ""
    """Why not, to a person."""
    at: float
    """When it was answered, by the session computer's wall clock, UTC seconds since 1970."""
    acted: float | None = None
    """When it was carried out, session seconds."""


class NodeState(_Message):
    """A NodeState is retained: how far a node is."""

    state: str
    """A program's: absent, loading, ready, running, stopped, failed. The session's: preparing, ready, running, latched,
    stopping, done. ``lost`` is the last will: the control plane has lost its connection, and nothing is known."""
    at: float | None = None
    """When that was seen, UTC seconds since 1970; a last will, which is written beforehand, says none."""
    detail: str = ""
    """Why the session is latched or has ended, or the program was given up."""


class NodeHealth(_Message):
    """A NodeHealth is sent some times a second: the node's numbers, see `bci.control.health.measures`."""

    at: float
    """UTC seconds since 1970."""
    values: dict[str, float | None]
    """By the names that Prometheus shows too."""


def parse_command(payload: bytes) -> Command:
    """Return the command that a payload holds.

    Raises
    ------
    MalformedCommand
        If it holds none: with the first thing that is wrong.
    """
    if len(payload) > LONGEST_PAYLOAD:
        raise MalformedCommand(
            f"a command is at most {LONGEST_PAYLOAD} bytes of JSON; {len(payload)} bytes came"
        )
    try:
        return _COMMAND.validate_json(payload)
    except ValidationError as error:
        id, kind = _readable(payload)
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "union_tag_invalid":
            why = f"there is no command {kind!r}{nearest(kind, KINDS) or '; there are ' + ', '.join(KINDS)}"
        else:
            where = ".".join(str(part) for part in first["loc"] if part != kind)
            why = f"{where}: {first['msg']}" if where else first["msg"]
        raise MalformedCommand(why[:400], id, kind) from None


def make_command(kind: str, *, issued: float, expires_s: float = 5.0, **values: Any) -> Command:
    """Return a new command, issued at a time of the wall clock (`bci.control.mqtt.wall_clock`).

    Raises
    ------
    ConfigError
        If there is no such kind, or a value does not belong to it.

    Examples
    --------
    >>> make_command("mark", issued=1764259557.1, text="a cough").text
    'a cough'
    """
    if kind not in KINDS:
        raise ConfigError(
            f"there is no command {kind!r}{nearest(kind, KINDS)}; there are {', '.join(KINDS)}."
        )
    given = {"kind": kind, "id": uuid.uuid4().hex, "issued": issued, "expires_s": expires_s, **values}
    try:
        return _COMMAND.validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if part != kind)
        raise ConfigError(f"command {kind}: {where}: {first['msg']}, and {first['input']!r} came.") from None


def _readable(payload: bytes) -> tuple[str, str]:
    """Return the id and the kind of a payload that is no command, as far as they are fit to be repeated."""
    try:
        values = TypeAdapter(dict[str, Any]).validate_json(payload)
    except ValidationError:
        return "", ""
    id, kind = values.get("id"), values.get("kind")
    try:
        TypeAdapter(Identifier).validate_python(id, strict=True)
    except ValidationError:
        id = ""
    return str(id), kind[:32] if isinstance(kind, str) else ""

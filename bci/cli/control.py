"""`bci control`: one command to a running session, and its answer."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bci.cli.given import find_given
from bci.cli.output import use
from bci.cli.run import Json
from bci.errors import ConfigError
from bci.io.files.kinds import SESSION

#: What the value of a command is called in its payload.
_VALUES = {"mark": "text", "load_bundle": "path", "set": "name"}

#: Seconds beyond a command's own time that its answer may take; a bundle is loaded and settled before it is given.
_PATIENCE, _PATIENCE_LOADING = 3.0, 123.0


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(control)


def control(
    session: Annotated[Path, typer.Argument(help="The running session's folder, or last.")],
    command: Annotated[
        str,
        typer.Argument(
            help="start, pause, resume, abort, stop, mark, neutral, release, load_bundle or set.",
        ),
    ],
    value: Annotated[
        str | None, typer.Argument(help="The text of a mark, the bundle to load, what is to be set.")
    ] = None,
    to: Annotated[float | None, typer.Option(help="With set: the new value.")] = None,
    node: Annotated[str, typer.Option(help="The program that is meant, where several could be.")] = "session",
    expires: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds after which it must not be carried out any more.")
    ] = 5.0,
    json: Json = False,
) -> None:
    """Send one command to a session that runs, and print what became of it.

    The session must have been started with `bci run --control`, or its file must name a broker in [control]. A
    **mark** is a remark in the recording; **neutral** shows the neutral picture until **release**; **stop** ends the
    session as Ctrl-C does. Status 0 means that it was carried out, 3 that it was not, with the reason.
    """
    output = use(json)
    folder = find_given(session, "bci control", SESSION)
    # Heavy, and not needed for --help.
    from bci.control.mqtt.commands import CommandVerdict, make_command
    from bci.control.mqtt.installed import require_mqtt

    require_mqtt(embedded=False)
    from bci.control.mqtt.asking import ask, broker_of
    from bci.control.mqtt.wall_clock import wall_clock

    values: dict[str, Any] = {}
    if command in _VALUES:
        if value is None:
            raise ConfigError(
                f"bci control {folder} {command}: expected its {_VALUES[command]} behind it, nothing came."
            )
        values[_VALUES[command]] = value
    elif value is not None:
        raise ConfigError(f"the command {command} takes no value, and {value[:60]!r} came. Leave it out.")
    if command == "set":
        if to is None:
            raise ConfigError(f"set {value}: expected its new value as --to NUMBER.")
        values["value"] = to
    made = make_command(command, issued=wall_clock(), expires_s=expires, **values)
    address, name = broker_of(folder)
    patience = _PATIENCE_LOADING if command == "load_bundle" else _PATIENCE
    answer = ask(address, name, node, made, expires + patience)
    output.say(f"{answer.kind}: {answer.verdict}" + (f". {answer.detail}" if answer.detail else ""))
    output.result(answer.model_dump(mode="json"))
    if answer.verdict is not CommandVerdict.DONE:
        raise typer.Exit(3)

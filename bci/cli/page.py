"""`bci page`: the operator's page of a session that runs, or of one that has ended."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bci.cli.given import find_given
from bci.cli.output import Output, use
from bci.cli.run import Json
from bci.errors import ConfigError
from bci.io.files.kinds import SESSION

if TYPE_CHECKING:
    from bci.control.page.live import LiveModel


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(page)


def page(
    session: Annotated[Path | None, typer.Argument(help="The session's folder, or last.")] = None,
    port: Annotated[int | None, typer.Option(min=1024, max=65535, help="Port; 5006 if it is free.")] = None,
    text: Annotated[bool, typer.Option("--text", help="In this terminal instead: for ssh.")] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Serve the numbers for Prometheus alone, at /metrics.")
    ] = False,
    make_password: Annotated[
        Path | None,
        typer.Option(help="Ask for a password, and write the hash that [page] password_file names; no page."),
    ] = None,
    json: Json = False,
) -> None:
    """Look at a session in a browser: signals, what was read, how late it came, what is wrong, and its commands.

    Beside a session that runs it only looks: closing or killing it changes nothing. One that was started with
    `--control` can be commanded from it. A finished session opens in the same page, with a slider through its time.
    It is served to this machine alone; from elsewhere reach it with `ssh -L 5006:localhost:5006`. `bci run --page`
    opens it together with the session. Ctrl-C ends it.
    """
    output = use(json)
    if make_password is not None:
        _make_password(make_password, output)
        return
    if session is None:
        raise ConfigError("bci page: expected a session's folder, or last; nothing came.")
    folder = find_given(session, "bci page", SESSION)
    from bci.control.page.installed import require_page

    if text:
        _watch(folder, output)
        return
    require_page()
    from bci.config.page import PORT, PageSettings
    from bci.control.mqtt.ports import free_port
    from bci.control.page.standing import serve

    settings = PageSettings(port=port or free_port(PORT))
    serve(folder, settings, page=not metrics, on_ready=lambda url: _say(output, url, metrics))
    output.result({"session": str(folder)})


def _say(output: Output, url: str, metrics: bool) -> None:
    what = "Numbers for Prometheus" if metrics else "The operator's page"
    output.say(f"{what}: {url}{'metrics' if metrics else ''}  (Ctrl-C ends it)")


def _make_password(path: Path, output: Output) -> None:
    from bci.control.page.password import PasswordHash

    word = typer.prompt("Password of the operator's page", hide_input=True, confirmation_prompt=True)
    PasswordHash.of(word).write(path)
    output.say(f"Wrote {path}. Name it in [page] password_file of a session file.")
    output.result({"password_file": str(path)})


def _watch(folder: Path, output: Output) -> None:
    """Show in the terminal what `bci run` shows of a session that runs, until it ends."""
    from bci.cli.watch import Watch
    from bci.config.session import SessionConfig
    from bci.control.page.live import LiveModel
    from bci.memory.lsl_clock import LslClock
    from bci.session.recorded import RecordedSession

    clock = LslClock()
    model = LiveModel(folder, clock)
    try:
        _require_running(model, folder)
        config = SessionConfig.model_validate(RecordedSession(folder).config)
        with Watch(config, output) as watch:
            while not model.over:
                if model.snapshot is not None:
                    watch.show(model.snapshot)
                clock.sleep_until(clock.now() + 0.2)
                model.look()
    except KeyboardInterrupt:
        pass
    finally:
        model.close()
    output.result({"session": str(folder)})


def _require_running(model: "LiveModel", folder: Path) -> None:
    model.look()
    if model.snapshot is None or model.over:
        raise ConfigError(
            f"{folder} does not run, so there is nothing to watch. bci page {folder} opens it in a browser; bci "
            "latency and bci evaluate say how it went."
        )

"""`bci demo` and `bci run`: a whole session, watched from the terminal."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bci.cli.output import Output, use
from bci.errors import ConfigError
from bci.io.session import SessionConfig, load_session, parse_session

Seconds = Annotated[float | None, typer.Option(min=0.5, help="End after this many seconds.")]
Headless = Annotated[
    bool, typer.Option("--headless", help="No screen: the pictures go to files, at the same pace.")
]
Out = Annotated[Path, typer.Option(help="Folder in which the session's own folder is made.")]
Json = Annotated[bool, typer.Option("--json", help="End with one machine-readable line.")]

#: Status of a session that had to fall back to the neutral picture for good, and of one in which a program died and
#: was started again.
SAFE, RECOVERED = 3, 4


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(demo)
    app.command(name="run")(run)


def demo(
    recording: Annotated[
        Path | None, typer.Option(help="Play this recording instead of the simulator (EDF, XDF, FIF, BDF …).")
    ] = None,
    seconds: Seconds = None,
    headless: Headless = False,
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="Times real time.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Which simulated participant.")] = 0,
    out: Out = Path("sessions"),
    json: Json = False,
) -> None:
    """See the whole line work, with no hardware: EEG in, a picture of an eye that opens and closes out.

    Without **--recording** the EEG is *simulated*: a participant whose eyes open and close every 8 s, so the
    right answer is known and printed beside the decoded one. With **--recording** a real file is played as a
    live stream; it needs the channels and the rate of the bundle (64-channel EEG at 160 Hz: PhysioNet's
    eegmmidb). Either way the samples travel through Lab Streaming Layer, the decoder and the display exactly
    as they would from an amplifier.
    """
    output = use(json)
    if not headless and not has_screen():
        output.say("No screen here: running headless, the pictures go to the session's folder.")
        headless = True
    source: dict[str, Any] = {"kind": "simulate", "seed": seed, "speed": speed}
    if recording is not None:
        if not recording.is_file():
            raise ConfigError(f"--recording {recording}: there is no such file")
        source = {"kind": "replay", "file": str(recording.resolve()), "speed": speed}
    elif seconds is None:
        seconds = 24.0
    config = parse_session(
        {
            "name": "demo",
            "network": "machine",
            "source": source,
            "decoder": {"bundle": str(shipped_bundle("alpha"))},
            "display": {"kind": "headless" if headless else "window"},
        },
        Path.cwd(),
        "the demo",
    )
    conduct(config, out, seconds, output)


def run(
    config: Annotated[Path, typer.Argument(help="Session file (TOML); configs/ holds examples.")],
    seconds: Seconds = None,
    headless: Headless = False,
    out: Out = Path("sessions"),
    json: Json = False,
) -> None:
    """Run the session that a file describes, until it ends, you press Ctrl-C, or its window is closed.

    Everything is recorded in a new folder: the configuration as used, versions, every reconstruction with its
    stage times and confidence, every change of picture, what went wrong, and the latency table. Check the file
    first with `bci check`.
    """
    output = use(json)
    session = load_session(config)
    if headless:
        display = session.display.model_copy(update={"kind": "headless"})
        session = session.model_copy(update={"display": display})
    conduct(session, out, seconds, output)


def conduct(config: SessionConfig, out: Path, seconds: float | None, output: Output) -> None:
    """Run a session, show it while it runs, say how it went, and exit with its status."""
    from bci.cli.watch import Watch, report

    if config.network == "machine":
        from bci.io.network import isolate

        isolate(f"bci-{os.getpid()}")
    # Imported only now: liblsl reads its configuration once, at its first use.
    from bci.control.supervisor import Supervisor

    if seconds is not None:
        config = config.model_copy(update={"seconds": seconds})
    with Watch(config, output) as watch:
        summary = Supervisor(config, out, watch).run()
    summary |= report(config, summary, output)
    output.result(summary)
    if summary["status"] != "done":
        raise typer.Exit(SAFE if summary["status"] == "safe" else RECOVERED)


def has_screen() -> bool:
    """Whether a window can be expected to open here."""
    if os.name == "nt" or sys.platform == "darwin":
        return True
    return any(os.environ.get(name) for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"))


def shipped_bundle(name: str) -> Path:
    """Return the folder of a bundle that comes with the project.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    import models

    folder = Path(models.__path__[0]) / "bundles" / name
    if not folder.is_dir():
        raise ConfigError(f"no bundle named {name!r} comes with this installation ({folder} is missing)")
    return folder

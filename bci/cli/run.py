"""`bci demo` and `bci run`: a whole session, watched from the terminal."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bci.cli import demos
from bci.cli.given import find_given
from bci.cli.output import Output, use
from bci.control.nursery import open_nursery
from bci.errors import ConfigError
from bci.io.files.kinds import BUNDLE, RECORDING, SESSION_FILE

if TYPE_CHECKING:
    from bci.config.session import SessionConfig

Seconds = Annotated[float | None, typer.Option(min=0.5, help="End after this many seconds.")]
Headless = Annotated[
    bool, typer.Option("--headless", help="No screen: the pictures go to files, at the same pace.")
]
Out = Annotated[Path, typer.Option(help="Folder in which the session's own folder is made.")]
Json = Annotated[bool, typer.Option("--json", help="End with one machine-readable line.")]

#: Status of a session that ended in the safe state, and of a check that failed; all of a session's are in
#: `bci.control.conclusion.EXIT_STATUS`.
SAFE = 3


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(demo)
    app.command(name="run")(run)


def demo(
    snr: Annotated[
        float | None,
        typer.Option(
            min=0, help="The simulated participant's signal-to-noise ratio in single trials; 0 is a null run."
        ),
    ] = None,
    alpha: Annotated[
        bool, typer.Option("--alpha", help="A simulated alpha rhythm instead: an eye that opens and closes.")
    ] = False,
    fmri: Annotated[
        bool,
        typer.Option(
            "--fmri", help="A participant in a simulated scanner instead: volumes as files, betas, faces."
        ),
    ] = False,
    recording: Annotated[
        Path | None,
        typer.Option(help="Play this recording through the alpha decoder instead (EDF, XDF, FIF, BDF …)."),
    ] = None,
    seconds: Seconds = None,
    headless: Headless = False,
    speed: Annotated[
        float | None, typer.Option(min=0.1, max=100, help="Times real time; else 1, with --fmri 8.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which session of the simulated participant.")] = 0,
    out: Out = Path("sessions"),
    json: Json = False,
) -> None:
    """See the whole loop work, with no hardware: faces on the screen, and what is read of them from a signal.

    The participant is *simulated*: it looks at the pixels that are flipped and answers with EEG, at a
    signal-to-noise ratio that **--snr** sets. A decoder that never saw these faces draws what it reads of every
    single trial, shown after each face; the result says how often that is enough to tell which face it was, beside
    what guessing gives. **--snr 0** answers with noise alone: then there is nothing to read, and the result says so.

    With **--recording** a real file is played as a live stream, and the picture is an eye that opens and closes; it
    needs 64-channel EEG at 160 Hz (PhysioNet's eegmmidb). **--alpha** does the same with a simulator, whose eyes open
    and close every 8 s. In each case the samples travel through Lab Streaming Layer, the decoder and the display
    exactly as they would from an amplifier.

    With **--fmri** the participant lies in a simulated scanner: volumes of its moving head are written as DICOM files
    at the end of each TR and watched as a scanner's folder is; motion is taken out, and each trial's beta is decoded as
    it comes, eight times as fast as in a scanner. It needs the `fmri` extra.
    """
    output = use(json)
    open_nursery()
    if fmri and (alpha or recording is not None):
        raise ConfigError("--fmri is the participant in a scanner; leave out --alpha and --recording")
    speed = speed or (demos.FMRI_SPEED if fmri else 1.0)
    if recording is not None:
        recording = find_given(recording, "bci demo --recording", RECORDING)
    if (alpha or recording is not None) and snr is not None:
        raise ConfigError("--snr is of the participant who looks at faces; leave out --alpha and --recording")
    if alpha and recording is not None:
        raise ConfigError("--alpha simulates what --recording plays: give one of them")
    if not headless and not has_screen():
        output.say("No screen here: running headless, the pictures go to the session's folder.")
        headless = True
    if recording is not None:
        source = {"kind": "replay", "file": str(recording.resolve()), "speed": speed}
        config = demos.alpha(source, headless=headless)
    elif alpha:
        config = demos.alpha({"kind": "simulate", "seed": seed, "speed": speed}, headless=headless)
        seconds = seconds or 24.0
    elif fmri:
        ratio = demos.FMRI_SNR if snr is None else snr
        config = demos.fmri(ratio, headless=headless, speed=speed, seed=seed)
        output.say(
            f"A SIMULATED participant in a simulated scanner looks at faces, {speed:g} times as fast as one would: a "
            f"volume every 1.5 s of its time, single trials at a signal-to-noise ratio of {ratio:g} in the median voxel"
            + (": noise alone, so there is nothing to read." if ratio == 0 else " (--snr 0 is noise alone).")
        )
    else:
        ratio = demos.SNR if snr is None else snr
        config = demos.closed_loop(ratio, headless=headless, speed=speed, seed=seed)
        output.say(
            f"A SIMULATED participant looks at faces and answers with EEG, single trials at a signal-to-noise ratio of "
            f"{ratio:g}"
            + (": noise alone, so there is nothing to read." if ratio == 0 else " (--snr 0 is noise alone).")
            + (demos.TOO_CLEAR if ratio > 2 * demos.SNR else "")
        )
    conduct(config, out, seconds, output)


def run(
    config: Annotated[
        Path, typer.Argument(help="Session file (TOML), or the name of an example: hyper-insilico.")
    ],
    seconds: Seconds = None,
    headless: Headless = False,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Decode with this bundle: what a session that collected without one has become."),
    ] = None,
    control: Annotated[
        bool,
        typer.Option("--control", help="Take commands over MQTT, from this machine: see bci control."),
    ] = False,
    page: Annotated[
        bool,
        typer.Option("--page", help="Show the operator's page in a browser on this machine: see bci page."),
    ] = False,
    page_port: Annotated[
        int | None, typer.Option(min=1024, max=65535, help="Port of the page; 5006 if it is free.")
    ] = None,
    out: Out = Path("sessions"),
    json: Json = False,
) -> None:
    """Run the session that a file describes, until it ends, you press Ctrl-C, or its window is closed.

    Everything is recorded in a new folder: the configuration as used, versions, every reconstruction with its
    stage times and confidence, every change of picture, what went wrong, and the latency table. Check the file
    first with `bci check`.
    """
    output = use(json)
    open_nursery()
    from bci.config.page import PageSettings
    from bci.config.session import load_session

    session = load_session(find_given(config, "bci run", SESSION_FILE))
    if bundle is not None:
        session = decoding(session, find_given(bundle, "bci run --bundle", BUNDLE))
    if headless:
        display = session.display.model_copy(update={"kind": "headless"})
        session = session.model_copy(update={"display": display})
    if control and not session.control.on:
        session = session.model_copy(
            update={"control": session.control.model_copy(update={"broker": "embedded"})}
        )
    if page or page_port is not None:
        served = session.page or PageSettings()
        if page_port is not None:
            served = served.model_copy(update={"port": page_port})
        session = session.model_copy(update={"page": served})
    conduct(session, out, seconds, output)


def decoding(session: "SessionConfig", bundle: Path) -> "SessionConfig":
    """Return a session whose only decoder, or that it had not, is this bundle.

    Raises
    ------
    ConfigError
        If it has several, so that it is not said which one is meant.
    """
    if len(session.decoders) > 1:
        names = ", ".join(str(decoder.name) for decoder in session.decoders)
        raise ConfigError(
            f"--bundle names one decoder, and session {session.name!r} has {len(session.decoders)}: {names}. Name it "
            "in the session file."
        )
    from bci.config.programs import DecoderSettings

    settings = session.decoders[0] if session.decoders else DecoderSettings(bundle=bundle)
    # The bundle says the size of pictures.
    display = session.display.model_copy(update={"picture_px": None})
    return session.with_sections(
        decoders=(settings.model_copy(update={"bundle": bundle.resolve()}),), display=display
    )


def conduct(config: "SessionConfig", out: Path, seconds: float | None, output: Output) -> None:
    """Run a session, show it while it runs, say how it went, and exit with its status."""
    from bci.cli.rehearsal import rehearse
    from bci.cli.watch import Watch

    if seconds is not None:
        config = config.model_copy(update={"seconds": seconds})
    plan = rehearse(config, out).plan
    # Imported only now: liblsl reads its configuration once, at its first use.
    from bci.control.conclusion import EXIT_STATUS
    from bci.control.supervisor import Supervisor

    with Watch(config, output) as watch:
        supervisor = Supervisor(plan, out, watch)
        if config.control.on:
            output.say(f"It takes commands: bci control {supervisor.folder} stop, neutral, mark … (--help)")
        if plan.page_url:
            output.say(f"The operator's page: {plan.page_url}")
        summary = supervisor.run()
    # Imported only now: it reads recordings, and a session's start would wait for what that takes.
    from bci.cli.session_view import report

    summary |= report(config, summary, output)
    output.result(summary)
    if EXIT_STATUS[summary["status"]]:
        raise typer.Exit(EXIT_STATUS[summary["status"]])


def has_screen() -> bool:
    """Whether a window can be expected to open here."""
    if os.name == "nt" or sys.platform == "darwin":
        return True
    return any(os.environ.get(name) for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"))

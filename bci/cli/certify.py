"""`bci certify`: run a rig with a known source, break its programs on request, and write one page of results."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bci.cli.given import find_given
from bci.cli.output import Output, styled, use
from bci.cli.run import SAFE, Headless, Json, has_screen
from bci.errors import ConfigError
from bci.io.files.kinds import SESSION_FILE

if TYPE_CHECKING:
    from bci.config.session import SessionConfig
    from bci.control.certify.certificate import Certificate

#: SDL drivers that open a window without a screen.
_BLIND = ("dummy", "offscreen")


class Source(StrEnum):
    """A Source is the origin of the samples that a rig is certified with."""

    KNOWN = "known"
    RIG = "rig"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(certify)


def certify(
    config: Annotated[Path, typer.Argument(help="Session file (TOML); its [limits] are what is to be kept.")],
    faults: Annotated[
        bool, typer.Option("--faults", help="Kill and freeze every program, and report what was seen.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=5, help="How long to run without faults.")] = 120.0,
    source: Annotated[
        Source,
        typer.Option(
            help="known: a simulator in place of an amplifier or recording; rig: what the file names."
        ),
    ] = Source.KNOWN,
    headless: Headless = False,
    out: Annotated[Path, typer.Option(help="Folder in which the certificate's own folder is made.")] = Path(
        "certificates"
    ),
    json: Json = False,
) -> None:
    """Certify a rig: run it with a known source, compare every figure with its limits, write one page.

    Every stage's latency, losses, flips, clocks, the recording and its reproduction against `[limits]` in the
    session file. With **--faults** each program of the line is killed, and frozen, while the rig runs; the page says
    what the participant saw, what was recorded and what the operator was told. Exit status 3 when it does not pass.
    """
    output = use(json)
    from bci.config.session import load_session

    session = load_session(find_given(config, "bci certify", SESSION_FILE))
    _refuse_blind(session, headless)
    from bci.io.lsl.network import join

    # A photodiode's stream comes from the laboratory, whatever makes the samples.
    if session.network == "machine" or (source is Source.KNOWN and not session.display.photodiode_stream):
        join("machine", f"bci-{os.getpid()}", session.of_others if source is Source.RIG else ())
    # Imported only now: liblsl reads its configuration once, at its first use.
    from bci.cli.session_view import compare_with_planted
    from bci.control.certify.certificate import certify as certify_rig
    from bci.control.certify.page import render
    from bci.control.certify.rig import prepare
    from bci.io.files.folder import make_folder

    rig = prepare(session, headless=headless, source="rig" if source is Source.RIG else "known")
    folder = make_folder(out, f"certificate-{session.name}").resolve()
    with output.status("starting …") as status:

        def observe(what: str, elapsed: float) -> None:
            status.update(f"{what} · {elapsed:.0f} s" if elapsed else what)

        certificate = certify_rig(
            rig, folder, seconds, faults=faults, observe=observe, known=compare_with_planted
        )
    page, machine = certificate.write(render(certificate))
    _say(output, certificate)
    output.say(styled("bold green", "passed") if certificate.passed else styled("bold red", "not passed"))
    output.say(f"page: {page}")
    output.result({**certificate.result(), "page": str(page), "machine_readable": str(machine)})
    if not certificate.passed:
        raise typer.Exit(SAFE)


def _refuse_blind(session: "SessionConfig", headless: bool) -> None:
    """Refuse to certify a window that no screen shows.

    Raises
    ------
    ConfigError
        If the session file asks for a window and there is no screen to open it on.
    """
    blind = os.environ.get("SDL_VIDEODRIVER") in _BLIND or not has_screen()
    if session.display.kind == "window" and not headless and blind:
        raise ConfigError(
            "the session file asks for a window, and there is no screen here. Certify on the rig's own screen, or with "
            "--headless; the page then says that no screen was tested."
        )


def _say(output: Output, certificate: "Certificate") -> None:
    """Print every figure beside its limit, and every fault."""
    rows = [
        (check.what, check.figure_text, check.limit_text, "kept" if check.passed else "NOT KEPT")
        for check in certificate.checks
    ]
    output.table("Limits", ("", "measured", "limit", ""), rows)
    if certificate.faults is not None:
        seen = [
            (f"{fault.program} {fault.how}", fault.saw, "kept" if fault.passed else "NOT KEPT")
            for fault in certificate.faults
        ]
        output.table("Faults", ("", "the participant saw", ""), seen)

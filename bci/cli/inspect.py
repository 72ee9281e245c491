"""`bci streams`, `check`, `doctor`, `info` and `latency`: look before, and look after."""

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.given import SETTINGS, find_given
from bci.cli.output import styled, use
from bci.cli.run import Json
from bci.cli.words import say_latency
from bci.errors import DiskError
from bci.io.files.kinds import BUNDLE, SESSION, SESSION_FILE, kind_of


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (streams, check, doctor, info, latency):
        app.command()(command)


def streams(
    wait: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to listen.")] = 2.0,
    json: Json = False,
) -> None:
    """List the Lab Streaming Layer streams that can be seen from here.

    The source id in the first column is what a session file names in `[stream] source_id`. Where two rows have one
    source id, `[stream] name`, `type` or `host` say which is meant; alike in all of them, a session refuses both.
    """
    output = use(json)
    from bci.io.lsl.source import visible

    infos = visible(wait)
    rows = [
        (
            s.source_id,
            s.signal.name,
            s.kind,
            s.signal.rate,
            "×".join(map(str, s.signal.shape)),
            s.signal.unit,
            s.host,
        )
        for s in infos
    ]
    if rows:
        output.table("Streams", ("source id", "name", "type", "rate (Hz)", "shape", "unit", "host"), rows)
    else:
        output.say(
            f"No stream within {wait:g} s. Is the amplifier's LSL program running, in the same network, and allowed "
            "through the firewall? `bci replay FILE` makes a stream to try."
        )
    names = ("source_id", "name", "type", "rate", "shape", "unit", "host")
    output.result({"streams": [dict(zip(names, row, strict=True)) for row in rows]})


def check(
    config: Annotated[
        Path, typer.Argument(help="Session, training … file (TOML), or the name of an example.")
    ],
    out: Annotated[Path, typer.Option(help="Where `bci run` will make the session's folder.")] = Path(
        "sessions"
    ),
    json: Json = False,
) -> None:
    """Check a file and everything it names, without running it: session, training, calibration, comparison, record.

    Reads the file, verifies the bundle, opens the recording or looks for the streams and the screen, and tests whether
    they fit each other. What is wrong is said with what was expected, in the words of `bci run`, which tries the same.
    """
    output = use(json)
    config = find_given(config, "bci check", *SETTINGS)
    kind = kind_of(config)
    if kind in SETTINGS and kind is not SESSION_FILE:
        from bci.cli.checking import check_file

        output.result({"ok": True, **check_file(config, kind, output)})
        return
    from bci.config.session import load_session

    session = load_session(config)
    from bci.cli.rehearsal import rehearse

    facts = rehearse(session, out, output).facts
    output.say(styled("bold green", "This session can run."))
    output.result({"ok": True, **facts})


def doctor(json: Json = False) -> None:
    """Test whether this machine is ready, and print the line that fixes each thing that is not."""
    output = use(json)
    from bci.control.doctor import examine

    findings = examine()
    for finding in findings:
        style, sign = (
            ("green", "ok") if finding.ok else ("red", "problem") if finding.needed else ("yellow", "note")
        )
        output.say(styled(style, f"{sign:7}"), f" {finding.what}: {finding.seen}")
        if finding.fix and not finding.ok:
            output.say(f"        → {finding.fix}")
    ok = all(finding.ok or not finding.needed for finding in findings)
    output.result(
        {"ok": ok, "findings": {f.what: {"ok": f.ok, "seen": f.seen, "fix": f.fix} for f in findings}}
    )
    if not ok:
        raise typer.Exit(2)


def list_monitors() -> list[str]:
    """Return what `[display] monitor` may name; empty without a screen."""
    import pygame

    from stimuli.display.monitors import monitors

    try:
        pygame.display.init()
    except pygame.error:
        return []
    try:
        return [str(monitor) for monitor in monitors()]
    finally:
        pygame.display.quit()


def info(
    bundle: Annotated[
        Path, typer.Argument(help="Folder of the bundle, or the name of a shipped one: alpha.")
    ],
    json: Json = False,
) -> None:
    """Say what a bundle expects, what it gives, how well, and where it comes from."""
    output = use(json)
    from bci.decoder.bundle import Bundle
    from bci.decoder.card import guard
    from bci.decoder.spec import AT_CHANCE, ONLY_EVALUATED

    bundle = find_given(bundle, "bci info", BUNDLE)
    loaded = Bundle.load(bundle)
    spec = loaded.spec.model_dump(mode="json")
    description = {
        key: value for key, value in spec.items() if key not in ("pipeline", "graphs", "provenance", "files")
    }
    output.facts(f"Bundle {bundle.name}", {"hash": loaded.hash, **description})
    if loaded.spec.at_chance:
        output.say(styled("bold red", AT_CHANCE), ": its pictures say nothing")
    if not loaded.spec.live:
        output.say(styled("yellow", ONLY_EVALUATED))
    for place, step in enumerate(spec["pipeline"], 1):
        settings = ", ".join(f"{key} {value}" for key, value in step.items() if key != "step")
        output.say(f"pipeline step {place}: ", styled("bold", step["step"]), f"  {settings}")
    guarded = loaded.spec.novelty is not None
    output.say("guard: ", styled("bold" if guarded else "yellow", guard(loaded.spec)))
    for graph in spec["graphs"]:
        output.say("graph: ", styled("bold", graph["file"]), f" ({graph['role']}, {graph['precision']})")
    made = spec["provenance"]
    output.facts(
        "Made from", {"data (SHA-256)": made["data"], "versions": made["versions"], "seeds": made["seeds"]}
    )
    output.result({"hash": loaded.hash, **spec})


def latency(
    session: Annotated[
        Path, typer.Argument(help="A session's folder, or last; with --loopback a session file.")
    ],
    photodiode: Annotated[
        Path | None, typer.Option(help="XDF file recorded meanwhile that the photodiode's stream is in.")
    ] = None,
    photodiode_stream: Annotated[
        str | None, typer.Option(help="Its source id, where the session file does not say.")
    ] = None,
    photodiode_channel: Annotated[
        str | None, typer.Option(help="Its channel's label, where the session file does not say.")
    ] = None,
    loopback: Annotated[
        bool,
        typer.Option(
            "--loopback",
            help="Measure how late the amplifier's stamps are: run this session file, the patch turning.",
        ),
    ] = False,
    pulse_markers: Annotated[
        str | None,
        typer.Option(
            help="Measure the same in a recorded session by pulses of a line (TTL) or a sound: the markers that say "
            "when each came, as a regular expression."
        ),
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="The amplifier's channel that records the pulses.")
    ] = None,
    pulses: Annotated[int, typer.Option(min=10, max=10_000, help="How often the patch turns.")] = 100,
    longest: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="The longest latency that is looked for, seconds.")
    ] = 0.5,
    out: Annotated[Path, typer.Option(help="Folder in which the folder of --loopback is made.")] = Path(
        "sessions"
    ),
    json: Json = False,
) -> None:
    """Show where the time went in a recorded session, stage by stage, and draw it into `latency.png`.

    The stages: *transport* (stamp of the sample to its arrival), *window* (arrival to the window being cut),
    *decode*, *publish*, *handover* (to the display's hands), *flip* (waiting for the screen), *total*. A flip is the
    buffer swap; where a photodiode was recorded, the time from there to light is said as well. Where epochs are
    decoded, the wait for the answer itself (of blood, seconds) is said apart.

    With **--loopback** it measures the amplifier's own latency: how much later its stamps say that a sample was taken
    than it was. A photodiode on the patch is plugged into one of its channels; the patch turns, and the report says how
    late the channel shows it, how much that varies, how many pulses were missed, and the line to put into the session
    file, `[stream] latency_s`, with which every stamp of the stream is corrected. What the screen adds after the flip
    is in it. **--pulse-markers** does it with pulses of another kind.
    """
    output = use(json)
    if loopback or pulse_markers is not None:
        from bci.cli.loopback import judge_session, run_loopback

        if loopback:
            file = find_given(session, "bci latency --loopback", SESSION_FILE)
            output.result(run_loopback(file, channel, pulses, longest, out, output))
        else:
            folder = find_given(session, "bci latency --pulse-markers", SESSION)
            output.result(judge_session(folder, channel, pulse_markers, longest, output))
        return
    from bci.session.latency import acquisition, latency_table, response_wait, stimulus_wait
    from bci.session.latency_picture import latency_picture
    from bci.session.onset import true_onset
    from bci.session.recorded import RecordedSession

    session = find_given(session, "bci latency", SESSION)
    table = latency_table(session)
    collects = RecordedSession.read(session).collects
    if collects:
        output.say("This session collects: nothing was decoded, so no stage of decoding took any time.")
    else:
        say_latency(output, table, "p50 flip")
    volume = acquisition(session)
    if volume:
        output.say(
            f"a volume is stamped when its acquisition begins, and comes when that has ended: {volume:.0f} ms of "
            "transport, and of the total, are the scanner's own"
        )
    stimuli = stimulus_wait(session)
    if stimuli["n"]:
        output.say(
            f"stimuli, from the time that each was asked for to its flip: p50 {stimuli['p50']:.1f} ms, p99 "
            f"{stimuli['p99']:.1f} ms, {stimuli['n']} trials"
        )
    waited = response_wait(session)
    if waited["n"]:
        output.say(
            f"before that, from the stimulus to the newest sample that is decoded: p50 {waited['p50'] / 1e3:.3g} s, "
            f"p99 {waited['p99'] / 1e3:.3g} s, {waited['n']} epochs. It is the response's own time and the bundle's "
            "choice of epoch; no stage holds it and nothing is subtracted."
        )
    picture = None if collects or not any(stage["n"] for stage in table.values()) else session / "latency.png"
    if picture is not None:
        try:
            latency_picture(session, picture)
            output.say(f"picture: {picture}")
        except DiskError as error:  # a session that may only be read has its table all the same
            output.say(styled("bold yellow", "no picture:"), f" {error}")
            picture = None
    onset = true_onset(session, photodiode, photodiode_stream, photodiode_channel)
    for sentence in onset.sentences():
        output.say(sentence)
    output.result(
        {
            "session": str(session),
            "latency_ms": table,
            "acquisition_ms": volume,
            "response_wait_ms": waited,
            "stimulus_wait_ms": stimuli,
            "picture": picture and str(picture),
            "onset_ms": onset.result(),
        }
    )

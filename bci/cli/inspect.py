"""`bci streams`, `check`, `doctor`, `info` and `latency`: look before, and look after."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bci.cli.given import find_given
from bci.cli.output import Output, styled, use
from bci.cli.run import Json
from bci.config.experiment import ExperimentSettings
from bci.config.session import SessionConfig, load_session
from bci.config.sources import InSilicoSettings, ReplaySettings
from bci.io.files.kinds import BUNDLE, SESSION, SESSION_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bci.decoder.bundle import Bundle
    from bci.signal.types import Signal


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (streams, check, doctor, info, latency):
        app.command()(command)


def streams(
    wait: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to listen.")] = 2.0,
    json: Json = False,
) -> None:
    """List the Lab Streaming Layer streams that can be seen from here.

    The source id in the first column is what a session file names in `[stream] source_id`. Two rows with one
    source id are two programs claiming to be the same device: a session refuses both.
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
    config: Annotated[Path, typer.Argument(help="Session file (TOML), or the name of an example.")],
    json: Json = False,
) -> None:
    """Check a session file and everything it names, without running it.

    Reads the file, verifies the bundle, opens the recording or looks for the stream, and tests whether they
    fit each other. What is wrong is said with what was expected.
    """
    output = use(json)
    session = load_session(find_given(config, "bci check", SESSION_FILE))
    facts = inspect_session(session, output)
    output.say(styled("bold green", "This session can run."))
    output.result({"ok": True, **facts})


def inspect_session(session: SessionConfig, output: Output) -> dict[str, Any]:
    """Open everything a session names; return what was found.

    Raises
    ------
    BciError
        At the first thing that does not fit.
    """
    from bci.control.session_plan import SessionPlan
    from bci.control.shared_memory import plan_buffer

    plan = SessionPlan(session)
    facts: dict[str, Any] = {"bundle": plan.roster.bundles[0].hash}
    for decoder, bundle in zip(session.decoders, plan.roster.bundles, strict=True):
        which = f" ({decoder.name})" if decoder.name else ""
        output.say(f"bundle    {decoder.bundle.name}{which}, sound, hash {bundle.hash[:12]}")
    for stream, settings in enumerate(session.streams):
        decoding = [b for i, b in enumerate(plan.roster.bundles) if session.decoded_by(i) == stream]
        signal, speed, stream_facts = _inspect_stream(session, stream, decoding, output)
        for bundle in decoding:
            bundle.adapt(signal, plan.roster.run)
        if session.source_of(stream) is not None and stream == session.decoded_by(session.driver):
            # Refuses a limit that would turn the screen neutral between two samples.
            session.display.data_age_seconds_at(1 / (signal.rate * speed))
        buffer = plan_buffer(signal, speed, settings, plan.roster.held(stream))
        output.say(f"memory    {buffer}")
        stream_facts["buffer"] = buffer.facts()
        facts |= stream_facts if stream == 0 else {}
        if len(session.streams) > 1:
            facts.setdefault("streams", {})[settings.name] = stream_facts
    stages = [[post.name for post in stage] for stage in plan.line.stages]
    output.say(f"programs  {', then '.join(' '.join(names) for names in stages)}")
    facts["programs"] = stages
    if session.experiment is not None:
        facts["trials"] = _open_experiment(session.experiment, plan.roster.bundles[session.driver], output)
    return facts


def _inspect_stream(
    session: SessionConfig, stream: int, decoding: "Sequence[Bundle]", output: Output
) -> "tuple[Signal, float, dict[str, Any]]":
    """Open what makes a stream, or look for it; return what it carries, its speed, and what was found."""
    source, settings = session.source_of(stream), session.streams[stream]
    if isinstance(source, ReplaySettings):
        from bci.live.replay import TOP_SPEED
        from bci.live.source import open_replay

        recording = open_replay(source)
        output.say(
            f"recording {recording.name}: {recording.signal.shape[0]} channels at {recording.signal.rate:g} Hz"
        )
        for defect in recording.defects:
            output.say("          ", styled("yellow", "defect:"), f" {defect}")
        speed = TOP_SPEED if source.speed == "max" else source.speed
        return recording.signal, speed, {"recording": recording.name, "defects": list(recording.defects)}
    if source is None:
        from bci.cli.listening import listen
        from bci.io.lsl.source import describe

        address = session.address_of(stream)
        assert address is not None
        info = describe(address, settings.timeout_s, stated=settings.stated)
        output.say(
            f"stream    {info.source_id}: {info.signal.shape} at {info.signal.rate:g} Hz on {info.host}"
        )
        return info.signal, info.speed, {"stream": info.source_id, **listen(address, settings, output)}
    output.say("source    the simulator")
    if isinstance(source, InSilicoSettings):
        from bci.live.insilico import open_participant, read_spec

        participant = open_participant(read_spec({**source.model_dump(), "source_id": "check"}))
        compared = [_whom(source, bundle, output) for bundle in decoding]
        return participant.signal, source.speed, compared[0] if compared else {}
    from bci.live.source import open_source

    return open_source(source).signal, source.speed, {}


def _open_experiment(experiment: ExperimentSettings, bundle: "Bundle", output: Output) -> int | None:
    """Open a protocol without running it; return how many trials it will ask for, None where that depends on them.

    Raises
    ------
    ConfigError
        If it cannot be used with this bundle.
    """
    from stimuli.protocols import count, open_protocol
    from stimuli.trials import Palette

    settings = experiment.model_dump()
    open_protocol(settings, Palette(**bundle.palette)).close()
    trials = count(settings)
    many = "as many trials as it takes" if trials is None else f"{trials} trials"
    output.say(f"experiment {experiment.protocol}: {many}")
    return trials


def _whom(source: InSilicoSettings, bundle: "Bundle", output: Output) -> dict[str, Any]:
    """Compare the participant in silico with the one that a bundle was trained on."""
    trained: Any = bundle.spec.provenance.config.get("participant") or {}
    subject = trained.get("subject", source.subject) if isinstance(trained, dict) else source.subject
    if subject != source.subject:
        output.say(
            "          ",
            styled("yellow", "note:"),
            f" expected subject {subject}, on whom the decoder was trained, came subject "
            f"{source.subject}: voxels, tuning and noise are another person's, and nothing may be read.",
        )
    return {"subject": source.subject, "trained_on": subject}


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

    bundle = find_given(bundle, "bci info", BUNDLE)
    loaded = Bundle.load(bundle)
    spec = loaded.spec.model_dump(mode="json")
    description = {
        key: value for key, value in spec.items() if key not in ("pipeline", "graphs", "provenance", "files")
    }
    output.facts(f"Bundle {bundle.name}", {"hash": loaded.hash, **description})
    for place, step in enumerate(spec["pipeline"], 1):
        settings = ", ".join(f"{key} {value}" for key, value in step.items() if key != "step")
        output.say(f"pipeline step {place}: ", styled("bold", step["step"]), f"  {settings}")
    for graph in spec["graphs"]:
        output.say("graph: ", styled("bold", graph["file"]), f" ({graph['role']}, {graph['precision']})")
    made = spec["provenance"]
    output.facts(
        "Made from", {"data (SHA-256)": made["data"], "versions": made["versions"], "seeds": made["seeds"]}
    )
    output.result({"hash": loaded.hash, **spec})


def latency(
    session: Annotated[Path, typer.Argument(help="A session's folder, or last.")],
    photodiode: Annotated[
        Path | None, typer.Option(help="XDF file recorded meanwhile that the photodiode's stream is in.")
    ] = None,
    photodiode_stream: Annotated[
        str | None, typer.Option(help="Its source id, where the session file does not say.")
    ] = None,
    photodiode_channel: Annotated[
        str | None, typer.Option(help="Its channel's label, where the session file does not say.")
    ] = None,
    json: Json = False,
) -> None:
    """Show where the time went in a recorded session, stage by stage, and draw it into `latency.png`.

    The stages: *transport* (stamp of the sample to its arrival), *window* (arrival to the window being cut),
    *decode*, *publish*, *handover* (to the display's hands), *flip* (waiting for the screen), *total*. A flip is the
    buffer swap; where a photodiode was recorded, the time from there to light is said as well. Where epochs are
    decoded, the wait for the answer itself (of blood, seconds) is said apart.
    """
    output = use(json)
    from bci.session.latency import latency_table, response_wait
    from bci.session.latency_picture import latency_picture
    from bci.session.onset import true_onset

    session = find_given(session, "bci latency", SESSION)
    table = latency_table(session)
    rows = [(name, p["p50"], p["p95"], p["p99"], p["n"]) for name, p in table.items()]
    output.table("Milliseconds per stage", ("stage", "p50", "p95", "p99", "n"), rows)
    waited = response_wait(session)
    if waited["n"]:
        output.say(
            f"before that, from the stimulus to the newest sample that is decoded: p50 {waited['p50'] / 1e3:.3g} s, "
            f"p99 {waited['p99'] / 1e3:.3g} s, {waited['n']} epochs. It is the response's own time and the bundle's "
            "choice of epoch; no stage holds it and nothing is subtracted."
        )
    picture = session / "latency.png"
    latency_picture(session, picture)
    output.say(f"picture: {picture}")
    onset = true_onset(session, photodiode, photodiode_stream, photodiode_channel)
    for sentence in onset.sentences():
        output.say(sentence)
    output.result(
        {
            "session": str(session),
            "latency_ms": table,
            "response_wait_ms": waited,
            "picture": str(picture),
            "onset_ms": onset.result(),
        }
    )

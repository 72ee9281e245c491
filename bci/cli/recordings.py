"""`bci record`, `verify`, `reproduce`, `export`: keep what came, know that it is whole, get it again, pass it on."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from bci.cli.given import find_given
from bci.cli.output import Output, joined, styled, use
from bci.cli.proposed import compare_proposals
from bci.cli.run import SAFE, Json, Out
from bci.control.nursery import open_nursery
from bci.errors import ConfigError
from bci.io.files.folder import safe_name
from bci.io.files.kinds import BUNDLE, RECORD_FILE, RECORDED, RECORDING, SESSION, kind_of

if TYPE_CHECKING:
    from bci.config.record import RecordFile
    from stimuli.display.stored import StoredScreen


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(record)
    app.command()(verify)
    app.command()(reproduce)
    app.command()(export)


def record(
    streams: Annotated[
        list[str] | None,
        typer.Argument(
            help="Source ids, or name=…, type=…, host=… with commas between (bci streams lists them); none means all. "
            "Or one record file (TOML; `bci new record` writes it)."
        ),
    ] = None,
    out: Out = Path("recordings"),
    seconds: Annotated[float | None, typer.Option(min=0.5, help="End after this many seconds.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What the recording's folder is called after its time; else recording.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on when the disk is full, instead of ending.")
    ] = False,
    json: Json = False,
) -> None:
    """Record Lab Streaming Layer streams to an XDF file, without a decoder.

    Any number of signals, of streams of numbers without a fixed rate (gaze, markers as numbers) and of markers, or
    markers alone. Every sample is written with its own stamp as sent, beside a checksum of every chunk; samples count
    as safe only once they are on the disk. Gaps, duplicates and clock resets are marked. Ctrl-C ends it in order. Check
    the file afterwards with `bci verify`. Exit status 3 when a signal sent nothing, or nothing came at all.
    """
    output = use(json)
    open_nursery()
    from bci.cli.alarm_lines import AlarmLines
    from bci.control.conclusion import EXIT_STATUS
    from bci.control.record_streams import record_streams

    config, alarms = _record_file(streams), AlarmLines(output)
    name = safe_name(name, "--name") if name is not None else config.name
    with output.status("looking for streams …") as status:

        def observe(counts: Mapping[str, int]) -> None:
            status.update(
                *(joined(row, "\n") for row in alarms.rows),
                f"{counts['received']} samples and {counts['markers']} markers received, "
                f"{counts['safe']} samples safe, {counts['lost']} lost",
            )

        summary = record_streams(
            config.streams,
            out,
            seconds if seconds is not None else config.seconds,
            name=name,
            timeout=config.timeout_s,
            buffer_s=config.buffer_s,
            on_disk_error="continue" if keep_going else config.on_disk_error,
            observe=observe,
            watch=alarms,
        )
    output.say(
        f"{summary['samples']} samples and {summary['markers']} markers recorded and safe, "
        f"{summary['samples_lost']} lost, until {summary['ended_by']}: {summary['recording']}"
    )
    for sentence in summary["told"]:
        output.say(styled("bold yellow", sentence))
    for failure in summary["failures"]:
        output.say(styled("bold red", "failed:"), f" {failure}")
    for program, times in summary["restarts"].items():
        output.say(styled("bold yellow", f"{program} died and was started again {times}×"), ": see log.txt")
    output.result(summary)
    if EXIT_STATUS[summary["status"]]:
        raise typer.Exit(EXIT_STATUS[summary["status"]])


def _record_file(streams: list[str] | None) -> "RecordFile":
    """Return what is to be recorded: the record file that is named alone, or these streams.

    Raises
    ------
    ConfigError
        If a file is named beside streams, or cannot be used.
    """
    from bci.config.record import RecordFile, load_record

    named = [one for one in streams or () if one.endswith(".toml") or kind_of(Path(one)) is not None]
    if not named:
        return RecordFile(kind="record", streams=tuple(streams or ()))
    if len(streams or ()) > 1:
        raise ConfigError(f"{named[0]}: a record file names its streams itself; give it alone")
    return load_record(find_given(Path(named[0]), "bci record", RECORD_FILE))


def verify(
    recording: Annotated[Path, typer.Argument(help="An XDF file, a session's folder, or last.")],
    repair: Annotated[
        Path | None, typer.Option(help="Write a readable copy of what is whole to this file.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a recording: checksums, counts, gaps, stamps that run backwards, footers, and of a session its tables.

    Says what is damaged and what can still be used. Files of other recorders have no checksums; they are checked for
    contradictions only. Exit status 3 when anything is wrong.
    """
    output = use(json)
    from bci.io.files.xdf.damage import joined
    from bci.io.files.xdf.verify import repair as repair_recording
    from bci.io.files.xdf.verify import verify as verify_recording
    from bci.session.cut_tables import sentences as cut_sentences

    recording = find_given(recording, "bci verify", SESSION, RECORDED, RECORDING)
    paths = _parts_of(recording)
    if repair is not None and len(paths) > 1:
        held = ", ".join(path.name for path in paths)
        raise ConfigError(f"{recording} holds {held}: name the one that --repair shall copy")
    reports = [verify_recording(path) if repair is None else repair_recording(path, repair) for path in paths]
    for path, report in zip(paths, reports, strict=True):
        if len(paths) > 1:
            output.say(styled("bold", path.name))
        for sentence in report.sentences():
            output.say(sentence)
    cut = cut_sentences(recording) if recording.is_dir() else []
    for sentence in cut:
        output.say(styled("bold red", sentence))
    sound = all(report.sound for report in reports) and not cut
    output.say(styled("bold green", "sound") if sound else styled("bold red", "not whole: see above"))
    if repair is not None:
        output.say(f"what can be used was written to {repair}")
    output.result(joined(reports) | {"sound": sound, "cut": cut})
    if not sound:
        raise typer.Exit(SAFE)


def _parts_of(recording: Path) -> list[Path]:
    """Return the files to verify: all parts of a session, of which a recorder that was replaced left several."""
    from bci.session.recorded import RecordedSession

    partial = recording.with_name(recording.name + ".partial")
    if recording.is_dir():
        return RecordedSession(recording).recordings or [recording / "recording.xdf"]
    return [partial if not recording.exists() and partial.exists() else recording]


def reproduce(
    session: Annotated[Path, typer.Argument(help="A session's folder, or last.")],
    bundle: Annotated[Path | None, typer.Option(help="Where its bundle is now, if it was moved.")] = None,
    provider: Annotated[
        str | None, typer.Option(help="Compute on cpu or cuda, whatever the session used.")
    ] = None,
    decoder: Annotated[
        str | None, typer.Option(help="Which decoder, where a session had several; every one if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Decode a recorded session again, offline, and compare every reconstruction with what was made and shown live.

    Of a session that collected, without a decoder, the recording's checksums are verified, and whether the pictures
    that were shown are those that lie in its folder.

    On the same machine with the same libraries all must be equal, bit for bit. Elsewhere the result says which
    library differs, whether the latents are within the stated tolerance, and, where the session stored pictures,
    whether those are. Where stimuli followed what was read (evolution, expected_information), they are proposed again
    from its tables. Exit status 3 when something is not as it was.
    """
    output = use(json)
    from bci.session.cut_tables import sentences as cut_sentences
    from bci.session.recorded import RecordedSession
    from bci.session.reproduce import reproduce as reproduce_session

    if provider not in (None, "cpu", "cuda"):
        raise ConfigError(f"--provider {provider!r}: cpu or cuda was expected")
    session = find_given(session, "bci reproduce", SESSION)
    bundle = bundle and find_given(bundle, "bci reproduce --bundle", BUNDLE)
    if RecordedSession.read(session).collects:
        from bci.cli.collected import verify_collected

        _conclude(verify_collected(session, output), output)
        return
    chosen = cast('Literal["cpu", "cuda"] | None', provider)
    others = RecordedSession.read(session).decoders if decoder is None else []
    if others and bundle is not None:
        raise ConfigError(
            f"the session had {1 + len(others)} decoders: name with --decoder whose --bundle that is"
        )
    results = {}
    for name in (decoder, *others):
        if others:
            output.say(styled("bold", name or "the first decoder"))
        results[name] = reproduce_session(
            session, bundle, provider=chosen, screen=_stored_screen, decoder=name
        )
        _say_reproduced(results[name], output)
    result = results[decoder]
    result |= {"decoders": {name: results[name] for name in others}} if others else {}
    proposed = compare_proposals(session, output)
    for sentence in cut_sentences(session):
        output.say(styled("bold red", sentence))
    same = proposed.get("proposals") == proposed.get("proposals_equal")
    reproduced = same and all(one["reproduced"] for one in results.values())
    _conclude(result | proposed | {"reproduced": reproduced}, output)


def _conclude(result: dict[str, Any], output: Output) -> None:
    output.result(result)
    if not result["reproduced"]:
        raise typer.Exit(SAFE)


def _say_reproduced(result: Mapping[str, Any], output: Output) -> None:
    from bci.session.reproduce import TOLERANCE

    same = "the same environment" if result["same_environment"] else "another environment"
    output.say(
        f"{result['equal']} of {result['frames']} reconstructions equal, bit for bit, in {same} "
        f"({result['times_real_time']:.0f}× real time)"
    )
    for name, (then, now) in result["differing"].items():
        output.say(f"  {name}: {then} then, {now} now")
    if result["unequal"]:
        output.say(f"  not equal: frames {', '.join(map(str, result['unequal']))}")
    if result["missing"]:
        output.say(
            styled("bold red", f"{result['missing']} reconstructions rest on samples that were not recorded")
        )
    if result["unrecorded"]:
        output.say(
            styled(
                "bold red",
                f"{result['unrecorded']} reconstructions are not in frames.csv: the recorder lost them",
            )
        )
    if result["approximate"]:
        output.say(
            f"{result['approximate']} come after samples that were not recorded, which the filters still remember: "
            "of these only agreement within the tolerance is asked"
        )
    output.say(
        f"largest difference of a latent: {result['max_difference']:.2g} of its size (tolerance {TOLERANCE:g})"
    )
    output.say(
        f"{result['shown_equal']} of {result['shown']} pictures shown have the very pixels made again (by digest)"
    )
    if result["adaptations"]:
        equal = result["adaptations_equal"]
        output.say(f"{equal} of {result['adaptations']} changes of its adaptation are the same to the bit")
    if result["images"]:
        output.say(
            f"{result['images_within']} of {result['images']} stored pictures are within one level on 99.9 % of "
            f"their pixels (the furthest on {100 * result['least_share']:.4g} %)"
        )
    elif not result["same_environment"]:
        output.say("the session stored no pictures: beyond the digests only the latents could be compared")


def _stored_screen(folder: Path, config: Mapping[str, Any], image_size: tuple[int, int]) -> "StoredScreen":
    """Return what reads the pictures that a session's display left."""
    from pydantic import ValidationError

    from bci.config.display import DisplaySettings
    from bci.config.faults import describe_errors
    from stimuli.display.stored import StoredScreen

    try:
        settings = DisplaySettings.model_validate(config.get("display", {}))
    except ValidationError as error:
        raise ConfigError(
            f"{folder / 'config.json'}, [display]:\n{describe_errors(error, DisplaySettings)}"
        ) from None
    return StoredScreen(folder, settings, image_size)


def export(
    recording: Annotated[Path, typer.Argument(help="A session's folder, last, or an XDF file.")],
    out: Annotated[Path, typer.Option(help="The BIDS data set: a new folder, or one to add to.")],
    task: Annotated[str, typer.Option(help="Label of the task: letters and digits.")],
    subject: Annotated[
        str | None,
        typer.Option(
            help="Label of the participant: letters and digits; [subject] id of a session if left out."
        ),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(help="Label of the session, if there are several; [subject] session if left out."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Label of the run, if there are several.")] = None,
    stream: Annotated[str | None, typer.Option(help="Which signal, where there are several.")] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of the values, where the file does not say.")] = None,
    kind: Annotated[
        Literal["eeg", "seeg", "ecog", "dbs"] | None,
        typer.Option("--type", help="What the channels are, where the file does not say."),
    ] = None,
    line_frequency: Annotated[
        float | None, typer.Option(min=1, help="Mains, Hz; unknown if left out.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same subject, task and run.")
    ] = False,
    json: Json = False,
) -> None:
    """Export a recording to BIDS, the data structure that brain imaging tools share.

    Samples are copied as they are, float32 in their own units; markers and gaps become events. What the recording does
    not say stands there as n/a. Needs the extra 'bids' (MNE-BIDS).
    """
    output = use(json)
    from bci.io.files.bids import export_bids
    from bci.io.files.recording import open_recording

    recording = find_given(recording, "bci export", SESSION, RECORDED, RECORDING)
    opened = open_recording(part_of(recording), stream=stream, unit=unit)
    subject, session = _labels(recording, subject, session)
    result = export_bids(
        opened,
        out,
        subject=subject,
        task=task,
        session=session,
        run=run,
        kind=kind,
        line_frequency=line_frequency,
        overwrite=overwrite,
    )
    output.say(
        f"{result['samples']} samples of {result['channels']} channels, {result['events']} events "
        f"({result['gaps']} of them gaps): {result['file']}"
    )
    if result["events_outside"]:
        output.say(f"{result['events_outside']} markers lie before or after the samples and are left out")
    for defect in opened.defects:
        output.say(f"  {defect}")
    output.result({**result, "defects": opened.defects})


def _labels(recording: Path, subject: str | None, session: str | None) -> tuple[str, str | None]:
    """Return the labels of participant and session, as given or as the session file has them.

    Raises
    ------
    ConfigError
        If nothing says who took part.
    """
    if subject is not None:
        return subject, session
    codes: dict[str, str | None] = {}
    if (recording / "config.json").is_file():
        from bci.session.recorded import RecordedSession

        codes = RecordedSession(recording).config.get("subject") or {}
    if (label := codes.get("id")) is None:
        raise ConfigError(
            f"{recording} does not say who took part: expected the participant's label. Give it with --subject."
        )
    return label, session or codes.get("session")


def part_of(recording: Path) -> Path:
    """Return the XDF file that is meant by a file, or by a session's folder.

    Raises
    ------
    ConfigError
        If the folder holds none, or several.
    """
    if not recording.is_dir():
        return recording
    from bci.session.recorded import RecordedSession

    parts = RecordedSession(recording).recordings
    if len(parts) != 1 or parts[0].suffix != ".xdf":
        held = ", ".join(part.name for part in parts) or "no recording"
        raise ConfigError(
            f"{recording}: one finished recording (recording.xdf) was expected, {held} came. Name one file: each part "
            "is a run of its own, and of one whose recorder was killed `bci verify --repair` writes a finished copy."
        )
    return parts[0]

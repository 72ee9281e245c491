"""`bci latency --loopback`: how late the amplifier's stamps are, by pulses that one of its channels records."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from bci.cli.output import Output, styled
from bci.config.experiment import TextSettings
from bci.config.session import SessionConfig, load_session
from bci.config.stream import StreamSettings
from bci.decoder.pattern import MarkerPattern
from bci.errors import ConfigError, RecordingError
from bci.session.loopback import Loopback, measure
from bci.session.onset import read_light
from bci.session.recorded import RecordedSession

#: The patch turns so much less often than the longest latency that is looked for, seconds.
_APART_S = 0.25


def run_loopback(
    path: Path, channel: str | None, pulses: int, longest_s: float, out: Path, output: Output
) -> dict[str, Any]:
    """Run a rig with nothing but the display's patch turning, and measure how late its stamps are.

    Parameters
    ----------
    path : Path
        The session file; its decoder, experiment and preview are left out.
    channel : str, optional
        Label of the channel that the photodiode is plugged into; the session file's when absent.
    pulses : int
        How often the patch turns.
    longest_s : float
        The longest latency that is looked for.
    out : Path
        Where the session's folder is made.
    output : Output
        Told how it goes.

    Raises
    ------
    ConfigError
        If the session file names no channel, or makes its samples itself.
    BciError
        As `bci run`.
    """
    from bci.cli.rehearsal import rehearse
    from bci.cli.watch import Watch

    session, place = load_session(path), 0
    named = session.display.photodiode_stream
    if named is not None:
        place = _stream_of(session, named)
    channel = channel or session.display.photodiode_channel
    if channel is None:
        raise ConfigError(
            "expected the label of the amplifier's channel that the photodiode is plugged into, came none. Give it "
            "with --channel, or as [display] photodiode_channel."
        )
    if session.source_of(place) is not None:
        raise ConfigError(
            "expected the stream of an amplifier, came one that a [source] of the session file makes: it has no "
            "latency of its own. Leave out the [source], or name the amplifier's session file."
        )
    config = _pulsing(session, place, channel, pulses, longest_s)
    plan = rehearse(config, out).plan
    from bci.control.supervisor import Supervisor

    seconds = math.ceil(pulses * (longest_s + _APART_S))
    output.say(
        f"{pulses} pulses of the patch, some {seconds} s; the photodiode is to lie on it, in channel {channel}"
    )
    with Watch(config, output) as watch:
        summary = Supervisor(plan, out, watch).run()
    if summary["status"] not in ("done", "lost"):
        why = " ".join([*summary["told"], *summary["failures"]])
        raise RecordingError(f"the session that pulsed did not end well: {why} See {summary['session']}.")
    return judge_session(Path(summary["session"]), channel, None, longest_s, output)


def judge_session(
    folder: Path, channel: str | None, markers: str | None, longest_s: float, output: Output
) -> dict[str, Any]:
    """Measure how late the stamps of a recorded session's stream are, write the report, and print it.

    Parameters
    ----------
    folder : Path
        The session's.
    channel : str, optional
        Label of the channel that shows the pulses; the session file's when absent.
    markers : str, optional
        Regular expression of the markers that say when a pulse came; the display's flips when absent.
    longest_s : float
        The longest latency that is looked for.
    output : Output
        Told what was found.

    Raises
    ------
    RecordingError
        If the session holds no such channel, or no such markers.
    """
    from bci.session.loopback_page import write_loopback

    recorded = RecordedSession.read(folder)
    display = recorded.config.get("display") or {}
    stream = str(display.get("photodiode_stream") or recorded.stream().info.source_id)
    channel = channel or display.get("photodiode_channel")
    pieces = [
        piece for path in recorded.recordings if (piece := read_light(path, stream, channel)) is not None
    ]
    if not pieces:
        raise RecordingError(f"stream {stream!r} was expected in the recording of {folder} and is not there.")
    values, times = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    pulses = _flips(recorded) if markers is None else _marked(recorded, markers)
    found: Loopback = measure(
        values,
        times,
        pulses,
        bursts=markers is not None,
        longest_s=longest_s,
        corrected_s=_corrected(recorded, stream),
    )
    result = write_loopback(folder, stream, channel or "the only one", found)
    for sentence in found.sentences():
        output.say(sentence)
    if found.line:
        output.say("put this into the session file, under [stream]: ", styled("bold", found.line))
    output.say(f"report: {folder / 'loopback.html'}")
    return {"session": str(folder), "report": str(folder / "loopback.html"), **result}


def _stream_of(session: SessionConfig, named: str) -> int:
    for index, settings in enumerate(session.streams):
        if named in (settings.source_id, settings.name, settings.lsl_name):
            return index
    raise ConfigError(
        f"[display] photodiode_stream is {named!r}, which is no [stream] of the session file: the latency that is "
        "measured is that of a stream that the session receives. Plug the photodiode into the amplifier."
    )


def _pulsing(
    session: SessionConfig, place: int, channel: str, pulses: int, longest_s: float
) -> SessionConfig:
    """Return the session with nothing but a patch that turns, regularly and rarely enough to tell pulses apart."""
    apart = longest_s + _APART_S
    settings: StreamSettings = session.streams[place]
    stream = settings.source_id or settings.lsl_name or settings.name or ""
    display = {"photodiode": True, "photodiode_stream": stream, "photodiode_channel": channel, "decoder": None,
               "decoders": {}, "phosphenes": None}  # fmt: skip
    experiment = TextSettings(
        protocol="text",
        words=("+",),
        repeats=math.ceil(pulses / 2),
        stimulus_s=apart,
        blank_s=apart,
        feedback_s=0.0,
    )
    return session.with_sections(
        decoders=(),
        publications=(),
        preview=None,
        experiment=experiment,
        display=session.display.model_copy(update=display),
        seconds=None,
    )


def _flips(recorded: RecordedSession) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([float(row["flip"]) for row in recorded.table("shown")])


def _marked(recorded: RecordedSession, pattern: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return when the markers came that say when a pulse came; those of uncertain time are left out."""
    try:
        wanted = MarkerPattern(pattern)
    except ValueError as error:
        raise ConfigError(
            f"--pulse-markers: a regular expression was expected, came {pattern!r}: {error}"
        ) from None
    rows = recorded.table("markers")
    times = [float(row["time"]) for row in rows if wanted.matches(row["text"])]
    if not times:
        texts = ", ".join(sorted({row["text"] for row in rows})[:8]) or "none"
        raise RecordingError(f"no marker matches {pattern!r}; the session received: {texts}.")
    return np.array(sorted(time for time in times if time not in recorded.uncertain))


def _corrected(recorded: RecordedSession, stream: str) -> float:
    """Return the correction that was in force."""
    sections = recorded.config.get("stream") or recorded.config.get("streams") or []
    for section in sections if isinstance(sections, list) else [sections]:
        if stream in (section.get("source_id"), section.get("name"), section.get("lsl_name")):
            return float(section.get("latency_s") or 0.0)
    return 0.0

"""`bci quality`: whether a stream or a recording can be used, channel by channel, before anything is decoded."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bci.cli.given import LAST, find_given
from bci.cli.output import Output, styled, use
from bci.cli.recordings import part_of
from bci.cli.run import SAFE, Json
from bci.errors import ConfigError, StreamNotFound
from bci.io.files.kinds import RECORDED, RECORDING, SESSION

if TYPE_CHECKING:
    from bci.io.lsl.address import Address
    from bci.io.lsl.stated import Stated
    from bci.io.survey import Findings
    from bci.signal.quality.verdicts import Level

_LIVE_S = 15.0
_COLOURS = ("green", "yellow", "red")


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(quality)


def quality(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[STREAM | RECORDING]",
            help="Source id of a live stream, or name=…,type=…,host=… of it (bci streams lists them); a file, or a "
            "session's folder.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=2, help=f"Of a stream: how long to listen ({_LIVE_S:g}); of a file: only its start."
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to look for a stream.")] = 5.0,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Samples per second, where the file does not say.")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Channels of it, comma-separated; where it names none, labels for all.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of the values, where it does not say.")] = None,
    stream: Annotated[
        str | None,
        typer.Option(help="Which stream of an XDF file, array of a .npz, or column of markers of a table."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure every channel of a stream or a recording: flat, line noise, range, drift, what is missing; and its time.

    The mains are looked for at 50 and 60 Hz, and their multiples. A channel is *good*, *poor* (usable with care, for
    the reason given) or *bad*; the limits are printed below the table. Without a name the only stream there is is
    taken. Exit status 3 when a channel, or the stream's time, is bad.
    """
    output = use(json)
    from bci.io.files.recording import SUFFIXES
    from bci.io.lsl.stated import Stated

    path = Path(what) if what is not None else None
    # What ends like a file and is not there is a file that is missing; a stream's source id may hold dots too.
    file = path is not None and (path.suffix.casefold() in SUFFIXES or path.name == LAST)
    if path is not None and (file or path.exists() or len(path.parts) > 1):
        path = find_given(path, "bci quality", SESSION, RECORDED, RECORDING)
        labels = tuple(channels.split(",")) if channels else None
        facts, survey = _of_recording(
            path, seconds, output, rate=rate, channels=labels, unit=unit, stream=stream
        )
    else:
        if given := [n for n, v in (("rate", rate), ("stream", stream)) if v is not None]:
            raise ConfigError(f"--{given[0]} is said of a file; a live stream says it itself")
        stated = Stated(tuple(channels.split(",")) if channels else (), unit or "")
        facts, survey = _of_stream(what, stated, seconds or _LIVE_S, timeout, output)
    _show(survey, output)
    values = result(survey)
    output.result(facts | values)
    if values["verdict"] == "bad":
        raise typer.Exit(SAFE)


def _of_recording(
    path: Path, seconds: float | None, output: Output, **said: Any
) -> tuple[dict[str, Any], "Findings"]:
    from bci.io.files.recording import open_recording
    from bci.io.survey import survey_recording

    path = part_of(path)
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file")
    recording = open_recording(path, **said)
    for defect in recording.defects:
        output.say(styled("yellow", "defect:"), f" {defect}")
    with output.progress() as progress:
        task = progress.add_task("reading", total=1.0)
        survey = survey_recording(recording, seconds, lambda share: progress.update(task, completed=share))
    return {"recording": str(path), "stream": None, "defects": list(recording.defects)}, survey


def _of_stream(
    what: str | None, stated: "Stated", seconds: float, timeout: float, output: Output
) -> tuple[dict[str, Any], "Findings"]:
    from bci.io.lsl.address import Address
    from bci.io.lsl.source import LslSource
    from bci.io.survey import survey_stream
    from bci.memory.lsl_clock import LslClock

    clock = LslClock()
    address = _only_stream(timeout) if what is None else Address.parse(what)
    with LslSource(address, clock=clock, stated=stated, timeout=timeout) as source:
        with output.progress() as progress:
            task = progress.add_task(f"listening to {source.info.source_id}", total=1.0)
            survey = survey_stream(
                source, clock, seconds, lambda share: progress.update(task, completed=share)
            )
        marks = {kind.name.lower(): n for kind, n in source.marked.items()}
        return {"recording": None, "stream": source.info.source_id, "marks": marks}, survey


def _only_stream(timeout: float) -> "Address":
    """Return what the one signal that is visible is found by."""
    from bci.io.lsl.address import Address
    from bci.io.lsl.source import visible

    there = visible(min(timeout, 2.0))
    infos = [info for info in there if info.signal.rate and info.signal.dtype != "str"]
    if len(infos) == 1:
        return Address.telling(infos[0], there)
    names = "; ".join(str(Address.telling(info, there)) for info in infos)
    raise StreamNotFound(
        f"{len(infos)} streams are visible ({names}); name one of them"
        if infos
        else "no stream is visible. Start the amplifier's LSL program, or name a recording."
    )


def result(found: "Findings") -> dict[str, Any]:
    """Return the findings as the machine-readable line holds them."""
    from bci.signal.quality.verdicts import worst

    figures, line = found.figures, found.figures.line
    labels = _labels(found)
    rows = {}
    for i, label in enumerate(labels):
        rows[label] = {
            "verdict": found.channels[i].level.word,
            "reasons": list(found.channels[i].reasons),
            "flat": float(figures.still_share[i, 1]),
            "nan": float(figures.nan_share[i]),
            "at_rail": float(figures.rail_share[i]),
            "low": float(figures.low[i]),
            "high": float(figures.high[i]),
            "peak_to_peak": float(figures.peak_to_peak[i]),
            "transients": float(figures.wild_share[i]),
            "mean": float(figures.mean[i]),
            "offset": float(figures.offset[i]),
            "drift_per_minute": float(figures.drift[i]),
            "line": {f"{f:g}": float(a[i]) for f, a in zip(line.harmonics, line.amplitudes, strict=True)},
            "line_share": float(line.share[i]),
        }
    signal = found.signal
    return {
        "verdict": worst([*found.channels, found.time, found.amplitude]).word,
        "bad": [label for label in labels if rows[label]["verdict"] == "bad"],
        "poor": [label for label in labels if rows[label]["verdict"] == "poor"],
        "signal": {"name": signal.name, "rate": signal.rate, "channels": len(labels), "unit": signal.unit},
        "samples": figures.samples,
        "seconds": found.seconds,
        "mains_hz": line.mains,
        "mains_searched": line.searched,
        "time": {
            "verdict": found.time.level.word,
            "reasons": list(found.time.reasons),
            "rate": found.pace.measured,
            "jitter_ms": 1e3 * found.pace.jitter,
            "largest_step_ms": 1e3 * found.pace.largest_step,
            "runs": found.pace.runs,
            "lost": found.lost,
            "duplicates": found.duplicates,
        },
        "amplitude": {
            "verdict": found.amplitude.level.word,
            "reasons": list(found.amplitude.reasons),
        },
        "channels": rows,
    }


def _labels(found: "Findings") -> tuple[str, ...]:
    """Return a name for every channel, each once: its label, its number where it has none."""
    from bci.signal.labels import numbered

    signal = found.signal
    labels = signal.channels or ("",) * signal.shape[0]
    return numbered([label or str(i + 1) for i, label in enumerate(labels)])


def _show(found: "Findings", output: Output) -> None:
    from bci.signal.quality.verdicts import worst

    figures, line, signal = found.figures, found.figures.line, found.signal
    unit = signal.unit or "no unit"
    mains = (
        f"mains {line.mains:g} Hz"
        if not math.isnan(line.mains)
        else "no line noise at 50 or 60 Hz" + ("" if line.searched else " (too short or too slow to look)")
    )
    output.say(
        styled("bold", signal.name),
        f": {signal.shape[0]} channels at {signal.rate:g} Hz, {unit}, {found.seconds:.1f} s; {mains}",
    )
    rows = []
    for i, (label, verdict) in enumerate(zip(_labels(found), found.channels, strict=True)):
        peaks = "+".join(f"{a[i]:.3g}" for a in line.amplitudes if a[i] > 0) or "-"
        rows.append(
            (
                label,
                _word(verdict.level),
                _share(figures.still_share[i, 1]),
                _share(figures.nan_share[i]),
                _share(figures.rail_share[i]),
                f"{figures.peak_to_peak[i]:.4g}",
                f"{figures.low[i]:.4g}…{figures.high[i]:.4g}",
                f"{figures.offset[i]:.3g}",
                "-" if math.isnan(figures.drift[i]) else f"{figures.drift[i]:.2g}",
                peaks,
                _share(line.share[i]),
            )
        )
    output.table(
        "Channels",
        (
            "", "verdict", "flat", "NaN", "at rail", "range in 1 s", "low…high", "offset", "drift/min", "line",
            "of power",
        ),
        rows,
    )  # fmt: skip
    alike: dict[tuple[Level, str], list[str]] = {}
    for label, verdict in zip(_labels(found), found.channels, strict=True):
        if verdict.reasons:
            alike.setdefault((verdict.level, "; ".join(verdict.reasons)), []).append(label)
    for (level, reasons), labels in alike.items():
        output.say("  ", _word(level), f" {', '.join(labels)}: {reasons}")
    for reason in found.amplitude.reasons:
        output.say(
            "amplitude: ", styled(_COLOURS[found.amplitude.level], found.amplitude.level.word), f", {reason}"
        )
    _show_time(found, output)
    _show_limits(output)
    level = worst([*found.channels, found.time, found.amplitude])
    counts = [sum(verdict.level == n for verdict in found.channels) for n in range(3)]
    output.say(
        styled(f"bold {_COLOURS[level]}", level.word),
        f": {counts[0]} channels good, {counts[1]} poor, {counts[2]} bad; time {found.time.level.word}",
    )


def _show_time(found: "Findings", output: Output) -> None:
    pace, verdict = found.pace, found.time
    output.say(
        "time: ",
        _word(verdict.level),
        f", {pace.measured:.6g} Hz by the stamps, jitter "
        f"{1e3 * pace.jitter:.3g} ms, longest step {1e3 * pace.largest_step:.3g} ms, {found.lost} samples lost, "
        f"{found.duplicates} stamped as the one before, {pace.runs} stretch{'es' if pace.runs != 1 else ''}"
        + "".join(f"; {reason}" for reason in verdict.reasons),
    )


def _show_limits(output: Output) -> None:
    from bci.signal.quality.verdicts import CHANNEL, TIME

    rows = [
        (name, _limit(limit.poor), _limit(limit.bad), limit.unit, limit.why)
        for limits in (CHANNEL, TIME)
        for name, limit in limits.items()
    ]
    output.table("Limits", ("", "poor from", "bad from", "", "because"), rows)


def _limit(value: float) -> str:
    return "never" if math.isinf(value) else "any" if value < 1e-6 else f"{value:g}"


def _word(level: "Level") -> Text:
    return styled(_COLOURS[level], level.word)


def _share(value: float) -> str:
    return "none" if math.isnan(value) else "-" if value == 0 else f"{value:.2%}"

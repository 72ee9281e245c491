"""Listening to a live stream for three seconds before a session shows whether it sends, and what it claims to send."""

from typing import Any

from bci.cli.output import Output, styled
from bci.config.stream import StreamSettings
from bci.errors import StreamNotFound, StreamTimeError
from bci.io.files.formats.logs import collected
from bci.io.lsl.address import Address
from bci.io.lsl.source import LslSource
from bci.io.survey import survey_stream
from bci.memory.lsl_clock import LslClock

_SECONDS = 3.0
#: What a survey can measure, hertz.
_SLOWEST = 4.0


def listen(address: Address, settings: StreamSettings, output: Output) -> dict[str, Any]:
    """Return what a stream sends, ``samples`` and ``warnings``, and say the warnings; empty where it is not measured.

    Raises
    ------
    StreamError
        If the stream is gone, or there twice; or its time cannot be used.
    """
    clock = LslClock()
    with LslSource(address, clock=clock, timeout=settings.timeout_s, stated=settings.stated) as source:
        if len(source.signal.shape) > 1 or source.signal.rate < _SLOWEST:
            return {}
        try:
            # What the line would log of the stream is no matter here.
            with collected("bci"):
                found = survey_stream(source, clock, _SECONDS)
        except StreamNotFound as error:
            samples, warnings = 0, [str(error)]
        else:
            if source.stamping.fault:
                raise StreamTimeError(f"stream {source.info.source_id!r}: {source.stamping.fault}")
            samples, warnings = found.figures.samples, list(found.amplitude.reasons)
            warnings += [source.stamping.note] if source.stamping.note else []
    for words in warnings:
        output.say("          ", styled("bold yellow", "warning:"), f" {words}")
    return {"samples": samples, "warnings": warnings}

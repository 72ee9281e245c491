"""Listening to a live stream for three seconds before a session shows whether it sends, and what it claims to send.

Channels that do not move, or whose samples are no numbers, are named: a session goes on without them, and a person who
is still beside the amplifier can mend them.
"""

from typing import Any

from bci.cli.output import Output, styled
from bci.config.stream import StreamSettings
from bci.errors import StreamNotFound, StreamTimeError
from bci.io.files.formats.file import listed
from bci.io.files.formats.logs import collected
from bci.io.lsl.address import Address
from bci.io.lsl.source import LslSource
from bci.io.survey import Findings, survey_stream
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
            samples, warnings = found.figures.samples, [*found.amplitude.reasons, *_useless(found)]
            warnings += [source.stamping.note] if source.stamping.note else []
    for words in warnings:
        output.say("          ", styled("bold yellow", "warning:"), f" {words}")
    return {"samples": samples, "warnings": warnings}


def _useless(found: Findings) -> list[str]:
    """Return a sentence on the channels that never move, and one on those with samples that are no numbers."""
    labels, figures = found.signal.channels, found.figures
    broken = [label for label, share in zip(labels, figures.nan_share, strict=True) if share > 0]
    still = [
        label
        for label, share, no_number in zip(labels, figures.still_share[:, 1], figures.nan_share, strict=True)
        if share >= 1 and no_number == 0
    ]
    sentences = []
    if still and not found.amplitude.reasons:  # else it is the unit, and all of them are told of that
        sentences.append(
            f"not moving: {listed(still)}. Expected are electrodes that are connected; triggers may stand still"
        )
    if broken:
        sentences.append(
            f"samples that are no numbers come from {listed(broken)}. Look at that electrode or its driver"
        )
    return sentences

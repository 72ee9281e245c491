"""The terminal's view of a session that has ended: what happened, how it went, in tables."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci.cli.output import Output, styled
from bci.cli.planted_states import STATES, planted_states
from bci.cli.session_score import say_score, score_session
from bci.cli.words import say_latency
from bci.config.session import SessionConfig
from bci.config.sources import InSilicoSettings, simulated_modality
from bci.decoder.bundle import Bundle
from bci.decoder.onnx import UNLIKE
from bci.session.frames import RecordedFrame
from bci.session.recorded import RecordedSession
from bci.signal.types import SETTLING

_DIGIT = re.compile(r"\d")


def report(config: SessionConfig, summary: dict[str, Any], output: Output) -> dict[str, Any]:
    """Print how a session went; return what is known of the planted answer, for the last line."""
    folder = Path(summary["session"])
    source = config.source
    at = f", SNR {source.snr:g}" if isinstance(source, InSilicoSettings) and source.snr is not None else ""
    origin = (
        f"SIMULATED {simulated_modality(source)}{at} (nothing here is a measurement of a brain)"
        if summary["simulated"]
        else (f"the recording {summary['recording']}" if summary["recording"] else "the live stream")
    )
    output.say("")
    output.say(styled("bold", origin), f", until {summary['ended_by']}")
    for sentence in summary["told"]:
        output.say(styled("bold yellow", sentence))
    recorded = RecordedSession.read(folder)
    refused = refusals(recorded.frames)
    if refused:
        output.say(styled("bold yellow", refused))
    for failure in summary["failures"]:
        output.say(styled("bold red", "failed:"), f" {failure}")
    for program, times in summary["restarts"].items():
        output.say(
            styled("bold yellow", f"{program} died and was started again {times}×"),
            f": see {folder / 'log.txt'}",
        )
    windows = (
        f"{summary['windows']} windows = {summary['reconstructions']} reconstructions + "
        f"{summary['skipped']} skipped; "
    )
    counted = (
        f"{'' if recorded.collects else windows}"
        f"{summary['samples_lost']} of {summary['samples']} samples lost; "
        f"{summary['flips']} flips, {summary['dropped_flips']} dropped"
    )
    output.say(counted)
    output.explain(counted)
    if not recorded.collects:
        say_latency(output, summary["latency_ms"], "p50")
    planted = compare_with_planted(config, folder)
    if planted:
        output.table(
            "Planted state beside the decoded one",
            ("seconds", "planted", "decoded", "share decoded so", "mean confidence"),
            planted["rows"],
        )
        output.explain("planted confidence")
        output.say(
            f"decoded as planted: {planted['agreement']:.1%} of {planted['n']} reconstructions "
            f"(always saying the commoner state: {planted['baseline']:.1%})"
        )
    scores = score_session(config, folder)
    if scores:
        say_score(scores, output)
    pairs = folder / "preview.png"
    if pairs.exists():
        output.say(f"{'seen' if recorded.collects else 'seen above read'}, every trial: {pairs}")
    sheet = folder / "contact_sheet.png"
    output.say(
        f"session: {folder}"
        + (f"   what the screen showed: {sheet}" if sheet.exists() and sheet.stat().st_size else "")
    )
    return ({"planted": planted} if planted else {}) | ({"identification": scores} if scores else {})


def refusals(frames: Sequence[RecordedFrame]) -> str:
    """Return a sentence on the reconstructions that were refused, other than of filters that settle; none were: ""."""
    reasons = Counter(
        _DIGIT.split(frame.reason)[0].strip() or "no reason given"
        for frame in frames
        if not frame.valid and frame.reason != SETTLING
    )
    if not reasons:
        return ""
    why = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
    advice = (
        " Such input is noise, a test signal, another person's or another amplifier's: look at the electrodes (bci "
        "quality); where they are well, calibrate the bundle for who is recorded (bci calibrate)."
        if UNLIKE in reasons
        else ""
    )
    return f"{reasons.total()} of {len(frames)} reconstructions were refused, and not shown: {why}.{advice}"


def compare_with_planted(config: SessionConfig, folder: Path) -> dict[str, Any]:
    """Compare the first latent, cut at one half, with the state planted in the middle of each window."""
    simulator = planted_states(config)
    if simulator is None:
        return {}
    frames = [frame for frame in RecordedSession.read(folder).frames if frame.valid]
    if not frames:
        return {}
    bundle = Bundle.load(config.decoders[0].bundle)
    rate = simulator.signal.rate
    half_window = bundle.length * bundle.pipeline.ratio(bundle.signal) / rate / 2
    seconds = np.array([frame.last_sample for frame in frames]) / rate - half_window
    planted = simulator.state(seconds).astype(int)
    decoded = np.array([frame.latent[0] > 0.5 for frame in frames]).astype(int)
    confidence = np.array([frame.confidence for frame in frames])
    rows = []
    for part in np.split(np.arange(len(planted)), np.flatnonzero(np.diff(planted)) + 1):
        state = round(float(decoded[part].mean()))
        rows.append(
            (
                f"{seconds[part[0]]:.1f} to {seconds[part[-1]]:.1f}",
                STATES[int(planted[part[0]])],
                STATES[state],
                f"{np.mean(decoded[part] == state):.0%}",
                float(np.mean(confidence[part])),
            )
        )
    share = float(planted.mean())
    return {
        "rows": rows,
        "agreement": float(np.mean(planted == decoded)),
        "baseline": max(share, 1 - share),
        "n": len(planted),
    }

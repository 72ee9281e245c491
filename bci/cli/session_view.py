"""The terminal's view of a session: a line while it runs, tables when it has ended."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from rich.progress import BarColumn, Progress, TimeElapsedColumn

from bci.cli.output import Output, styled, words
from bci.cli.session_score import say_score, score_session
from bci.config.session import SessionConfig
from bci.config.sources import InSilicoSettings, SimulateSettings
from bci.decoder.bundle import Bundle
from bci.decoder.result import Result
from bci.session.recorded import RecordedSession
from bci.sim.eeg import AlphaSimulator

if TYPE_CHECKING:
    from bci.control.snapshot import ReconstructionSnapshot, SessionSnapshot
    from bci.control.supervisor import Supervisor


class Watch:
    """The live line: how long, what was decoded last, what was lost."""

    def __init__(self, config: SessionConfig, output: Output) -> None:
        self._progress = Progress(
            words(),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=output.console,
        )
        self._config = config
        self._planted = planted_states(config)
        self._trials = count_trials(config)
        self._results = [Bundle.load(decoder.bundle).spec.result for decoder in config.decoders]
        total = config.seconds if config.seconds is not None else self._trials
        self._task = self._progress.add_task("starting", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, supervisor: "Supervisor") -> None:
        """Show how the session stands."""
        self.show(supervisor.snapshot())

    def show(self, session: "SessionSnapshot") -> None:
        """Show a session at one moment."""
        words = ["LATCHED SAFE: the screen is held neutral, end the session"] * bool(session.latched)
        if session.restarts:
            words.append("restarts: " + ", ".join(f"{k} {n}" for k, n in session.restarts.items()))
        decoders = {name: p for name, p in session.programs.items() if name.partition(":")[0] == "decode"}
        # The line lists its decoders as the session file does.
        for (name, program), result in zip(decoders.items(), self._results, strict=True):
            which = f"{name.partition(':')[2]}: " if len(decoders) > 1 and ":" in name else ""
            counted = program.counters
            words.append(f"{which}{counted['reconstructions']} reconstructions, {counted['skipped']} skipped")
            newest = session.newest.get(name)
            if newest is not None:
                words.append(describe_frame(newest, result))
                if self._planted is not None and name == "decode":
                    seconds = newest.last_sample / self._planted.signal.rate
                    words.append(f"planted {STATES[int(self._planted.state(np.array([seconds]))[0])]}")
        done = session.elapsed
        if self._config.experiment is not None:
            trials = session.programs["engine"].counters["done"]
            if self._trials is None:
                words.insert(0, f"trial {trials + 1}")
            else:
                words.insert(0, f"trial {min(trials + 1, self._trials)} of {self._trials}")
                if self._config.seconds is None:
                    done = trials
        self._progress.update(self._task, completed=done, description=" · ".join(words))


STATES = ("open", "closed")


def describe_frame(newest: "ReconstructionSnapshot", result: Result) -> str:
    """Return a reconstruction in a few words; `result` is what its decoder gives."""
    if not newest.valid:
        return f"neutral ({newest.reason})"
    sure = "none" if np.isnan(newest.confidence) else f"{newest.confidence:.2f}"
    return f"{result.describe(newest.latent)}, confidence {sure}"


def count_trials(config: SessionConfig) -> int | None:
    """Return how many trials an experiment will have; None where there is none, or its protocol decides as it goes."""
    if config.experiment is None:
        return None
    from stimuli.protocols import count

    return count(config.experiment.model_dump())


def planted_states(config: SessionConfig) -> AlphaSimulator | None:
    """Return the simulator whose planted state is known, or None where the source is real."""
    source = config.source_of(config.decoded_by(0))
    return AlphaSimulator(source.seed) if isinstance(source, SimulateSettings) else None


def report(config: SessionConfig, summary: dict[str, Any], output: Output) -> dict[str, Any]:
    """Print how a session went; return what is known of the planted answer, for the last line."""
    folder = Path(summary["session"])
    source = config.source
    at = f", SNR {source.snr:g}" if isinstance(source, InSilicoSettings) and source.snr is not None else ""
    origin = (
        f"SIMULATED EEG{at} (nothing here is a measurement of a brain)"
        if summary["simulated"]
        else (f"the recording {summary['recording']}" if summary["recording"] else "the live stream")
    )
    output.say("")
    output.say(styled("bold", origin), f", until {summary['ended_by']}")
    for failure in summary["failures"]:
        output.say(styled("bold red", "given up:"), f" {failure}")
    for program, times in summary["restarts"].items():
        output.say(
            styled("bold yellow", f"{program} died and was started again {times}×"),
            f": see {folder / 'log.txt'}",
        )
    output.say(
        f"{summary['windows']} windows = {summary['reconstructions']} reconstructions + {summary['skipped']} skipped; "
        f"{summary['samples_lost']} of {summary['samples']} samples lost; "
        f"{summary['flips']} flips, {summary['dropped_flips']} dropped"
    )
    rows = [(name, p["p50"], p["p95"], p["p99"], p["n"]) for name, p in summary["latency_ms"].items()]
    output.table("Milliseconds per stage", ("stage", "p50", "p95", "p99", "n"), rows)
    planted = compare_with_planted(config, folder)
    if planted:
        output.table(
            "Planted state beside the decoded one",
            ("seconds", "planted", "decoded", "share decoded so", "mean confidence"),
            planted["rows"],
        )
        output.say(
            f"decoded as planted: {planted['agreement']:.1%} of {planted['n']} reconstructions "
            f"(always saying the commoner state: {planted['baseline']:.1%})"
        )
    scores = score_session(config, folder)
    if scores:
        say_score(scores, output)
    pairs = folder / "preview.png"
    if pairs.exists():
        output.say(f"seen above read, every trial: {pairs}")
    sheet = folder / "contact_sheet.png"
    output.say(f"session: {folder}" + (f"   what the screen showed: {sheet}" if sheet.exists() else ""))
    return ({"planted": planted} if planted else {}) | ({"identification": scores} if scores else {})


def compare_with_planted(config: SessionConfig, folder: Path) -> dict[str, Any]:
    """Compare the first latent, cut at one half, with the state planted in the middle of each window."""
    simulator = planted_states(config)
    if simulator is None:
        return {}
    frames = [frame for frame in RecordedSession.read(folder).frames if frame.valid]
    if not frames:
        return {}
    bundle = Bundle.load(config.decoder.bundle)
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

"""Line under load: what an operator's page, a busy broker and the recorder cost the line, against a line without them.

::

    python -m benchmarks.line_under_load            # five rounds of 20 s with and without, some 10 minutes
    python -m benchmarks.line_under_load --quick    # two rounds of 6 s

A round is two whole sessions of 384 channels at 2.5 kHz, windows every 10 ms, their recorders on
(`benchmarks.full_line`), one alone and one under load; which of them comes first alternates:

========  =========================================================================================================
alone     source, acquire, decode, headless display, record
loaded    the same with control plane, embedded broker and the operator's page; headless Chromium shows the page, all
          its processes on the machine's last core; another program, on the same core, publishes 1,000 messages a
          second to the broker and reads them again (`benchmarks.busy_broker`)
========  =========================================================================================================

The figure is the time from the push of a window's newest sample to the window in the decoder's hands; the verdict is
on the median over the rounds of the difference within a round. A load that was not there is no load: fewer than nine
in ten messages sent, or a page that was not open for the whole span, fail the benchmark as a lost sample does. Only a
browser that had not even asked for the page when the span began is no word about the page: that round is measured
again, which its line and the report say, and with more such rounds than good ones the benchmark ends.

It disturbs whatever else runs on the machine, and is disturbed by it: the load average stands in every round's line.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bci.config.control import ControlSettings
from bci.config.page import PageSettings
from bci.control.mqtt.ports import free_port
from bci.control.supervisor import Supervisor
from bci.errors import ConfigError, ProgramError
from benchmarks.browser import what_is_missing
from benchmarks.full_line import measure_line
from benchmarks.measurement import Measurement, cpu_seconds
from benchmarks.report import (
    machine_facts,
    median_range,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from benchmarks.stream_latency import FEEDS

#: Stream seconds before the measured span: by then a browser has opened the page on a busy machine.
WARM_UP = 12.0

#: Messages a second.
MESSAGES = 1000.0

#: Programs of the session that stand beside its line.
BESIDE = ("page", "control", "broker")

#: Seconds for which the load goes on beyond the measured span, whose end the session sees a little late.
_MARGIN = 2.0

Figures = dict[str, float]


class Load:
    """A Load starts a browser and a busy publisher beside a session, and notes whether they were there.

    Parameters
    ----------
    seconds : float
        Length of the measured span.
    folder : Path
        For what they leave.
    """

    def __init__(self, seconds: float, folder: Path) -> None:
        self._seconds, self._out, self._asked = seconds, folder / "busy.json", folder / "asked"
        self._span_at = float("inf")
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._open: list[int] = []
        self._updates: list[int] = []
        self._cpu: list[tuple[float, dict[str, float]]] = []

    def __call__(self, supervisor: Supervisor, now: float) -> None:
        """Start them once; within the measured span note how many browsers show the page."""
        if not self._programs:
            self._span_at = time.monotonic() - now
            seconds = self._seconds - now + _MARGIN
            url = json.loads((supervisor.folder / "page.json").read_text("utf-8"))["url"]
            core = (psutil.cpu_count() or 1) - 1
            self._begin("browser", url, seconds, "--core", core, "--asked", self._asked)
            self._begin("busy_broker", supervisor.folder, MESSAGES, seconds, self._out)
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(self._programs["busy_broker"].pid, {core})
        if len(self._cpu) < 2 and now >= len(self._cpu) * self._seconds:
            self._cpu.append((now, self._cpu_seconds(supervisor)))
        if 0 <= now < self._seconds:
            row = supervisor.board.row("page")
            self._open.append(int(row["open"]))
            self._updates.append(int(row["updates"]))

    def _begin(self, name: str, *words: object) -> None:
        command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, words)]
        self._programs[name] = subprocess.Popen(command)

    def _cpu_seconds(self, supervisor: Supervisor) -> dict[str, float]:
        """Return what each program beside the line has used so far."""
        used = {name: cpu_seconds(supervisor.children[name].process.pid or 0) for name in BESIDE}
        for name, program in self._programs.items():
            with contextlib.suppress(psutil.Error):
                whole = psutil.Process(program.pid)
                used[name] = sum(map(_used, (whole, *whole.children(recursive=True))))
        return used

    def facts(self) -> dict[str, Any]:
        """Return what the load was, once both programs have ended."""
        for program in self._programs.values():
            program.wait(60)
        (start, before), (end, after) = self._cpu
        busy = json.loads(self._out.read_text("utf-8"))
        return {
            "messages_hz": busy["sent"] / busy["seconds"],
            "read_again_hz": busy["received"] / busy["seconds"],
            "asked_s": self._asked_before(),
            "always_open": bool(self._open) and min(self._open) >= 1,
            "cpu": {name: (after[name] - before[name]) / (end - start) for name in before if name in after},
            "updates_hz": (self._updates[-1] - self._updates[0]) / self._seconds if self._updates else 0.0,
        }

    def _asked_before(self) -> float | None:
        """Return how long before the measured span the browser asked for the page, seconds; None if it never did."""
        if not self._asked.exists():
            return None
        return self._span_at - float(self._asked.read_text("utf-8"))

    def end(self) -> None:
        """End them if they are still there."""
        for program in self._programs.values():
            if program.poll() is None:
                program.terminate()
                program.wait(20)


def _used(process: psutil.Process) -> float:
    """Return the CPU seconds of a process; none of one that has just ended, as a browser's helpers do."""
    try:
        return cpu_seconds(process.pid)
    except (OSError, psutil.Error):
        return 0.0


@dataclass(frozen=True)
class Round:
    """A Round is one session alone and one under load, and what the load was."""

    alone: Figures
    loaded: Figures
    load: dict[str, Any]

    @property
    def without_browser(self) -> bool:
        """Whether the browser had not asked for the page when the measured span began."""
        return self.load["asked_s"] is None or self.load["asked_s"] < 0

    def rise(self, name: str) -> float:
        """Return by how much a figure rose."""
        return self.loaded[name] - self.alone[name]


def figures(run: Measurement) -> Figures:
    """Return what one session adds to the medians; times in milliseconds."""
    cuts = percentiles(1e3 * run.latency, (50, 99))
    return {
        "p50": cuts["p50"],
        "p99": cuts["p99"],
        "max": cuts["max"],
        "lost": float(run.lost),
        "broken": float(run.broken),
        "passed_over": float(run.passed_over),
    }


def judge(rounds: Sequence[Round], hop_ms: float) -> dict[str, dict[str, Any]]:
    """Return each target with its figure and whether it is met."""
    p50 = median_range([one.rise("p50") for one in rounds])
    ratio = median_range([one.loaded["p50"] / one.alone["p50"] for one in rounds])
    p99 = median_range([one.rise("p99") for one in rounds])
    lost = sum(
        one.loaded["lost"] + one.loaded["broken"] + one.alone["lost"] + one.alone["broken"] for one in rounds
    )
    there = all(one.load["always_open"] and one.load["messages_hz"] >= 0.9 * MESSAGES for one in rounds)
    return {
        "p50 rises by ≤ 25 % or 0.2 ms": {
            "figure": p50,
            "ratio": ratio,
            "met": ratio["median"] <= 1.25 or p50["median"] <= 0.2,
        },
        f"p99 rises by ≤ 1 hop ({hop_ms:g} ms)": {"figure": p99, "met": p99["median"] <= hop_ms},
        "no sample lost, no window broken": {"figure": lost, "met": lost == 0},
        "the page was open and the broker busy throughout": {"figure": there, "met": there},
    }


def measure_round(feed_name: str, seconds: float, *, loaded_first: bool) -> Round:
    """Run both sessions of a round."""
    both: dict[bool, Figures] = {}
    load: dict[str, Any] = {}
    for loaded in (loaded_first, not loaded_first):
        run, facts = _run(feed_name, seconds, loaded=loaded)
        both[loaded] = figures(run)
        load |= facts
    return Round(both[False], both[True], load)


def _run(feed_name: str, seconds: float, *, loaded: bool) -> tuple[Measurement, dict[str, Any]]:
    feed = FEEDS[feed_name]
    if not loaded:
        return measure_line(feed, warm_up=WARM_UP, seconds=seconds), {}
    with tempfile.TemporaryDirectory() as place:
        load = Load(seconds, Path(place))
        try:
            run = measure_line(
                feed,
                warm_up=WARM_UP,
                seconds=seconds,
                control=ControlSettings(broker="embedded"),
                page=PageSettings(port=free_port()),
                disturb=load,
            )
            return run, load.facts()
        finally:
            load.end()


def main() -> int:
    """Measure, print, and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two rounds of 6 s")
    parser.add_argument("--rounds", type=int, help="rounds, alone and loaded in turns")
    parser.add_argument("--seconds", type=float, help="measured seconds of each session")
    parser.add_argument("--feed", default="C", choices=sorted(FEEDS), help="which stream; see stream_latency")
    options = parser.parse_args()
    if missing := what_is_missing():
        raise ConfigError(f"this benchmark shows the page in a browser; missing is {missing}")
    number = options.rounds or (2 if options.quick else 5)
    seconds = options.seconds or (6.0 if options.quick else 20.0)
    rounds: list[Round] = []
    without: list[Round] = []
    while len(rounds) < number:
        one = measure_round(options.feed, seconds, loaded_first=bool(len(rounds) % 2))
        (without if one.without_browser else rounds).append(one)
        if len(without) > number:
            raise ProgramError(
                f"in {len(without)} rounds the browser had not asked for the page when the measured span began: start "
                f"Chromium by hand (python -m benchmarks.browser about:blank 1) and see what keeps it"
            )
        name = (
            "measured again, its browser had not started"
            if one.without_browser
            else f"{len(rounds)}/{number}"
        )
        progress(
            f"round {name}: alone p50 {one.alone['p50']:.3f}, p99 {one.alone['p99']:.2f} ms; loaded p50 "
            f"{one.loaded['p50']:.3f}, p99 {one.loaded['p99']:.2f} ms; {one.load['messages_hz']:.0f} messages/s sent, "
            f"{one.load['read_again_hz']:.0f} read; page drawn {one.load['updates_hz']:.1f} times/s, open throughout: "
            f"{one.load['always_open']}; load average {os.getloadavg()[0]:.1f}; cores used: "
            + ", ".join(f"{name} {share:.2f}" for name, share in one.load["cpu"].items())
        )
    feed = FEEDS[options.feed]
    return _report(rounds, len(without), str(feed), 1e3 * feed.hop / feed.rate)


def _report(rounds: list[Round], without: int, feed: str, hop_ms: float) -> int:
    machine = machine_facts(("bokeh", "amqtt", "paho-mqtt", "selenium"))
    targets = judge(rounds, hop_ms)
    print_machine(machine)
    print(f"{feed}, {len(rounds)} rounds; {without} more measured again, for want of a browser")
    print_table(
        ("session", "p50 ms", "p99 ms", "max ms", "lost", "passed over"),
        [
            (
                name,
                *(_range(rounds, name, cut) for cut in ("p50", "p99", "max")),
                f"{sum(getattr(one, name)['lost'] for one in rounds):.0f}",
                f"{sum(getattr(one, name)['passed_over'] for one in rounds):.0f}",
            )
            for name in ("alone", "loaded")
        ],
    )
    for target, verdict in targets.items():
        figure = verdict["figure"]
        words = (
            f"{figure['median']:+.3f} ms ({figure['low']:+.3f} to {figure['high']:+.3f})"
            if isinstance(figure, dict)
            else f"{figure}"
        )
        print(f"{'met   ' if verdict['met'] else 'MISSED'}  {target}: {words}")
    missed = [target for target, verdict in targets.items() if not verdict["met"]]
    print_last_line(
        {
            "machine": machine,
            "feed": feed,
            "targets": targets,
            "rounds": [{"alone": one.alone, "loaded": one.loaded, "load": one.load} for one in rounds],
            "without_browser": without,
            "missed": missed,
        }
    )
    return int(bool(missed))


def _range(rounds: list[Round], name: str, cut: str) -> str:
    of = median_range([getattr(one, name)[cut] for one in rounds])
    return f"{of['median']:.3f} ({of['low']:.3f} to {of['high']:.3f})"


if __name__ == "__main__":
    sys.exit(main())

"""Control latency: from a command published to a command carried out, while a session decodes.

::

    python -m benchmarks.control_latency            # three rounds of a minute with each broker, some 8 minutes
    python -m benchmarks.control_latency --quick    # one round of 15 s

A whole session decodes 384 channels at 2.5 kHz, its recorder on (`benchmarks.full_line`). Another program
(`benchmarks.commander`) publishes a command every 60 to 160 ms: neutral and release, which the display carries out, and
marks, which the supervisor does. The figure is the time from just before the publication until the program acted, both
by the session clock: ``acted`` in ``control.csv``. Rounds with mosquitto and with the embedded broker take turns. A
command that was not carried out fails the benchmark, as does a lost sample.
"""

import argparse
import csv
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bci.config.control import ControlSettings
from bci.control.mqtt.ports import free_port
from bci.control.supervisor import Supervisor
from bci.errors import ConfigError
from benchmarks.commander import KINDS
from benchmarks.full_line import measure_line
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from benchmarks.stream_latency import FEEDS

WARM_UP = 2.0

#: Longest p99, milliseconds, by broker.
TARGETS = {"mosquitto": 50.0, "embedded": 100.0}

#: The shipped example for one rig, which is what is measured but for its port.
EXAMPLE = Path(__file__).resolve().parents[1] / "configs" / "mosquitto" / "loopback.conf"
_PORT = "listener 1883 "

Figures = dict[str, Any]


class Commander:
    """A Commander starts the commanding program when the measured span begins, and reads what became of commands."""

    def __init__(self, seconds: float, out: Path) -> None:
        self._seconds, self._out = seconds, out
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, supervisor: Supervisor, now: float) -> None:
        """Start it, once, when it is time."""
        if self._process is None and now >= 0:
            words = [sys.executable, "-m", "benchmarks.commander"]
            self._process = subprocess.Popen(
                [*words, str(supervisor.folder), str(self._seconds), str(self._out)]
            )

    def read(self, session: Path, name: str) -> dict[str, Any]:
        """Return when each command was sent and carried out: ``{"commands": [(kind, milliseconds or None)]}``."""
        assert self._process is not None
        self._process.wait(30)
        with (session / "control.csv").open(newline="", encoding="utf-8") as file:
            acted = {row["id"]: float(row["acted"]) for row in csv.DictReader(file) if row["acted"]}
        sent = json.loads(self._out.read_text("utf-8"))
        return {
            "commands": [
                (one["kind"], 1e3 * (acted[one["id"]] - one["at"]) if one["id"] in acted else None)
                for one in sent
            ]
        }


@contextmanager
def mosquitto(folder: Path) -> Iterator[ControlSettings]:
    """Run mosquitto on a free port of this machine; yield how a session finds it."""
    program = shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"
    )
    if program is None:
        raise ConfigError(
            "no mosquitto found; install it (Debian: apt-get install mosquitto), or pass --brokers embedded"
        )
    port = free_port()
    settings = folder / "mosquitto.conf"
    shipped = EXAMPLE.read_text("utf-8")
    assert _PORT in shipped, f"{EXAMPLE} listens elsewhere by now"
    settings.write_text(shipped.replace(_PORT, f"listener {port} "), "utf-8")
    with subprocess.Popen([program, "-c", str(settings)], stderr=subprocess.DEVNULL) as process:
        try:
            _await_port(process, port)
            yield ControlSettings(broker=f"127.0.0.1:{port}")
        finally:
            process.terminate()


def _await_port(process: "subprocess.Popen[bytes]", port: int) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise ConfigError(f"mosquitto ended by itself with status {process.returncode}")


@contextmanager
def embedded(folder: Path) -> Iterator[ControlSettings]:
    """Yield the settings of a session with a broker of its own."""
    yield ControlSettings(broker="embedded")


BROKERS = {"mosquitto": mosquitto, "embedded": embedded}


def measure(broker: str, seconds: float) -> Figures:
    """Run one session that is commanded; return its figures."""
    with tempfile.TemporaryDirectory() as place, BROKERS[broker](Path(place)) as settings:
        commander = Commander(seconds, Path(place) / "sent.json")
        run = measure_line(
            FEEDS["C"],
            warm_up=WARM_UP,
            # Room at the end, so that the last command finds a session.
            seconds=seconds + 3.0,
            control=settings,
            disturb=commander.start,
            inspect=commander.read,
        )
    return {
        "commands": run.facts["commands"],
        "window_ms": percentiles(1e3 * run.latency),
        "lost": run.lost,
        "broken": run.broken,
    }


def summarise(rounds: list[Figures]) -> Figures:
    """Return the figures of all rounds with one broker."""
    commands = [command for run in rounds for command in run["commands"]]
    latencies = {
        kind: percentiles([ms for name, ms in commands if ms is not None and kind in (name, "all")])
        for kind in ("all", *KINDS)
    }
    return {
        "latency_ms": latencies,
        "sent": len(commands),
        "not_carried_out": sum(ms is None for _, ms in commands),
        "window_p50_ms": [run["window_ms"]["p50"] for run in rounds],
        "window_p99_ms": [run["window_ms"]["p99"] for run in rounds],
        "lost": sum(run["lost"] for run in rounds),
        "broken": sum(run["broken"] for run in rounds),
    }


def main() -> int:
    """Measure, print, and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of 15 s with each broker")
    parser.add_argument("--rounds", type=int, help="rounds with each broker")
    parser.add_argument("--seconds", type=float, help="seconds of each")
    parser.add_argument("--brokers", default=",".join(BROKERS), help="which, comma-separated")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 3)
    seconds = options.seconds or (15.0 if options.quick else 60.0)
    runs: dict[str, list[Figures]] = {name: [] for name in options.brokers.split(",")}
    for number in range(rounds):
        for broker, done in runs.items():
            progress(f"round {number + 1} of {rounds}: {broker}")
            done.append(measure(broker, seconds))
    machine = machine_facts(("aiomqtt", "amqtt", "paho-mqtt"))
    figures = {broker: summarise(done) for broker, done in runs.items()}
    print_machine(machine)
    print_table(
        ("broker", "command", "n", "p50 ms", "p99 ms", "max ms"),
        [
            (broker, kind, f"{ms['n']:.0f}", f"{ms['p50']:.1f}", f"{ms['p99']:.1f}", f"{ms['max']:.1f}")
            for broker, of in figures.items()
            for kind, ms in of["latency_ms"].items()
        ],
    )
    missed = []
    for broker, of in figures.items():
        p99 = of["latency_ms"]["all"]["p99"]
        print(
            f"{broker}: p99 {p99:.1f} ms of {TARGETS[broker]:g} ms; {of['not_carried_out']} of {of['sent']} not "
            f"carried out; windows p50 {np.median(of['window_p50_ms']):.2f} ms, p99 "
            f"{np.median(of['window_p99_ms']):.2f} ms; {of['lost']} samples lost"
        )
        if not p99 <= TARGETS[broker] or of["not_carried_out"] or of["lost"] or of["broken"]:
            missed.append(broker)
    print(f"missed: {', '.join(missed)}" if missed else "all targets met")
    print_last_line({"machine": machine, "brokers": figures, "missed": missed})
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

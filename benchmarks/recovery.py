"""Recovery: time from the kill of a program to the neutral screen, and to the next decoded picture.

::

    python -m benchmarks.recovery            # 20 kills of the source and 20 of decode, some 4 minutes
    python -m benchmarks.recovery --quick    # 3 of each, under a minute

One session with a headless display on an amplifier's program of its own (`benchmarks.amplifier`). That program is
killed, and a new one started when the screen has long been neutral; acquire finds it by itself. Then decode is
killed, and the supervisor starts it again. Each kill comes when valid pictures have been made for about a second.
All figures are taken from the stamps that the session recorded.

==========================  ============================================================================
source: neutral             from the kill to the flip of the neutral picture
source: decoding again      from the new outlet on the network to the first valid reconstruction
decode: neutral             as above
decode: decoding again      from the end of its imports to the first valid reconstruction; ONNX Runtime
                            is imported after that, with the bundle, so its time is included
==========================  ============================================================================

A reconstruction is valid when its whole window lies behind the gap and the filters have settled: with a new
source that alone takes the window's length and the filters' settling time, which are printed.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.config.display import DisplaySettings
from bci.config.programs import DecoderSettings, SupervisionSettings
from bci.config.session import SessionConfig
from bci.config.stream import StreamSettings
from bci.control.session_plan import SessionPlan
from bci.control.supervisor import Supervisor
from bci.decoder.providers import Provider
from bci.io.lsl.source import describe
from bci.session.recorded import RecordedSession
from bci.signal.types import Signal
from benchmarks.contenders.line import source_post
from benchmarks.full_line import make_bundle, own_log
from benchmarks.kills import AMPLIFIER, Kill, Script
from benchmarks.measurement import Stage, isolated
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
)
from benchmarks.source import Feed

#: Half-second windows: the line begins to decode half a second after new data, and the filters' settling.
FEED = Feed("recovery", channels=64, rate=1000, chunk=10, length=500, hop=20)

#: The source comes back, and decode decodes, within so many seconds.
AGAIN_S = 2.0


@dataclass(frozen=True)
class Shown:
    """A Shown holds the times that a session's tables hold of reconstructions and flips.

    Attributes
    ----------
    published, arrived : (n,) float64
        When each valid reconstruction was published, and when its newest sample had arrived.
    neutral, pictures : (m,) float64
        Flips that brought the neutral picture, and flips that brought a reconstruction.
    """

    published: NDArray[np.float64]
    arrived: NDArray[np.float64]
    neutral: NDArray[np.float64]
    pictures: NDArray[np.float64]

    @classmethod
    def of(cls, session: Path) -> "Shown":
        """Read a session's tables."""
        recorded = RecordedSession.read(session)
        frames = [row for row in recorded.table("frames") if row["valid"] == "1"]
        shown = recorded.table("shown")
        return cls(
            published=_column(frames, "published"),
            arrived=_column(frames, "arrived"),
            neutral=_column([row for row in shown if row["kind"] == "neutral"], "flip"),
            pictures=_column([row for row in shown if row["kind"] == "frame"], "flip"),
        )


def _column(rows: Sequence[Mapping[str, str]], name: str) -> NDArray[np.float64]:
    return np.array([float(row[name]) for row in rows])


def intervals(kill: Kill, shown: Shown) -> dict[str, float]:
    """Return the intervals that followed one kill, seconds; NaN for events that did not happen.

    Returns
    -------
    dict
        ``neutral`` since the kill; ``again`` and ``picture``, the first valid reconstruction and its flip, since
        the successor was there; ``total``, that flip since the kill.
    """
    # Samples on their way when the source died are no new data; frames that decode had published are not new, either.
    since = shown.arrived if kill.victim == "source" else shown.published
    again = _first(shown.published, since > kill.back)
    # A decoder that is forked is there long before the screen is neutral, and decodes long after.
    neutral = _last_neutral(shown, kill, kill.back if kill.victim == "source" else again)
    picture = _first(shown.pictures, shown.pictures > again)
    return {
        "neutral": neutral - kill.killed,
        "again": again - kill.back,
        "picture": picture - kill.back,
        "total": picture - kill.killed,
    }


def _last_neutral(shown: Shown, kill: Kill, until: float) -> float:
    """Return the time of the last change to neutral before `until`, at the earliest the kill."""
    before = shown.pictures[shown.pictures < until]
    since = before[-1] if len(before) else -np.inf
    return max(_first(shown.neutral, (shown.neutral > since) & (shown.neutral < until)), kill.killed)


def _first(times: NDArray[np.float64], which: NDArray[np.bool_]) -> float:
    return float(times[which][0]) if which.any() else float("nan")


def judge(found: Mapping[str, Sequence[Mapping[str, float]]], limit: float) -> dict[str, dict[str, Any]]:
    """Return each target with its figure and whether it is met by every kill.

    Parameters
    ----------
    found : mapping
        For ``"source"`` and ``"decode"``, the `intervals` of every kill.
    limit : float
        Seconds of silence after which the session shows the neutral picture, and one flip.
    """
    targets = (
        (
            f"source killed → neutral ≤ {1e3 * limit:.0f} ms (the session's limit + one flip)",
            "source",
            "neutral",
            limit,
        ),
        (f"source back → decoding again ≤ {AGAIN_S:g} s", "source", "again", AGAIN_S),
        (f"decode killed → decoding again ≤ {AGAIN_S:g} s after its imports", "decode", "again", AGAIN_S),
    )
    verdicts = {}
    for target, victim, key, most in targets:
        values = np.array([line[key] for line in found[victim]])
        never = int(np.count_nonzero(np.isnan(values)))
        cuts = percentiles(values[~np.isnan(values)])
        figure = f"p50 {cuts['p50']:.3f} s, max {cuts['max']:.3f} s of {cuts['n']}"
        verdicts[target] = {
            "figure": figure + (f", never {never} times" if never else ""),
            "met": len(values) > 0 and not never and cuts["max"] <= most,
        }
    return verdicts


def recover(
    kills: int,
    *,
    feed: Feed = FEED,
    make: Callable[[Path, Signal, Feed], None] = make_bundle,
    provider: Provider = "cpu",
) -> dict[str, Any]:
    """Run the session on a feed, with a bundle that `make` writes; return its figures."""
    with Stage() as stage:
        spec = {"source_id": stage.key, "feed": asdict(feed)}
        stage.take([source_post(spec, AMPLIFIER)])
        stage.start()
        bundle = stage.folder / "bundle"
        make(bundle, describe(stage.key).signal, feed)
        config = SessionConfig(
            name="recovery",
            stream=StreamSettings(source_id=stage.key),
            decoder=DecoderSettings(bundle=bundle, provider=provider),
            display=DisplaySettings(kind="headless", max_png=0, contact_sheet=0),
            supervision=SupervisionSettings(restarts=min(kills + 1, 100)),
        )
        limit = config.display.data_age_seconds_at(0.0) + 1 / config.display.refresh_hz
        script = Script(stage, kills, silence=limit + 0.3)
        with own_log():
            plan = SessionPlan(config)
            summary = Supervisor(plan, stage.folder, observe=script).run()
        shown = Shown.of(Path(summary["session"]))
        found: dict[str, list[dict[str, float]]] = {"source": [], "decode": []}
        for kill in script.kills:
            found[kill.victim].append(intervals(kill, shown))
        running = plan.roster.bundles[0].pipeline.start(plan.roster.bundles[0].signal)
        return {
            "status": summary["status"],
            "restarts": summary["restarts"],
            "window_s": feed.length / feed.rate,
            "settling_s": running.settle / feed.rate,
            "samples_lost": summary["samples_lost"],
            "kills": found,
            "targets": judge(found, limit),
        }


def print_result(result: Mapping[str, Any]) -> None:
    """Print the table and the targets."""
    print(
        f"\n{FEED}, windows of {result['window_s']:g} s, filters settle within {result['settling_s']:.2f} s; "
        f"ended as {result['status']}, restarts {result['restarts']}\n"
    )
    names = {
        "neutral": "kill → neutral",
        "again": "back → decoding",
        "picture": "back → picture",
        "total": "kill → picture",
    }
    rows = []
    for victim, lines in result["kills"].items():
        for key, name in names.items():
            cuts = percentiles([line[key] for line in lines if np.isfinite(line[key])])
            figures = [f"{1e3 * cuts[point]:.0f}" for point in ("p50", "p95", "max")]
            rows.append([victim, name, *figures, f"{cuts['n']} of {len(lines)}"])
    print_table(["killed", "", "p50 ms", "p95 ms", "max ms", "kills"], rows)
    for target, verdict in result["targets"].items():
        print(f"{'met    ' if verdict['met'] else 'NOT MET'}  {target}: {verdict['figure']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; status 1 if the line did not come back after every kill."""
    options = _parse(arguments)
    began = time.perf_counter()
    isolated()
    facts = machine_facts(["onnxruntime"])
    result = recover(options.kills)
    took = time.perf_counter() - began
    print_machine(facts)
    print_result(result)
    print(f"took {took:.0f} s in all")
    every = [value for lines in result["kills"].values() for line in lines for value in line.values()]
    ok = result["status"] == "recovered" and bool(np.isfinite(every).all())
    if options.json:
        settings = {key: getattr(options, key) for key in ("quick", "kills")}
        print_last_line(
            {
                "benchmark": "recovery",
                "ok": ok,
                "machine": facts,
                "settings": settings,
                "took_s": took,
                **result,
            }
        )
    return 0 if ok else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recovery", description="How soon is the screen neutral, and the line back?"
    )
    parser.add_argument("--quick", action="store_true", help="3 kills of each")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    parser.add_argument("--kills", type=int, help="kills of each program; default 20, quick 3")
    options = parser.parse_args(arguments)
    options.kills = options.kills or (3 if options.quick else 20)
    if options.kills > 99:
        parser.error("a session starts a program again at most 100 times")
    return options


if __name__ == "__main__":
    raise SystemExit(main())

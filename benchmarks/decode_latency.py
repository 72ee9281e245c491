"""Decode latency: window closed → reconstruction made → frame read by the display, against raw runs of the graphs.

::

    python -m benchmarks.decode_latency [--quick] [--json]

Each window is decoded by `OnnxDecoder` and written to a frame ring in shared memory; another process, which stands
for the display, waits on that ring and stamps when it holds its own copy. Between windows the decoder's process
sleeps, as it does in a session, so the figures include waking up and cold caches. The floor is `session.run` on
the same graphs with the same options on the same windows; floor and decoder take turns, and who is first
alternates.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
import uuid
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.probe import probe
from bci.memory.frames import frame_columns, write_frame
from bci.memory.lsl_clock import LslClock
from bci.memory.ring import Ring, RingHandle
from bci.signal.clock import Clock
from bci.signal.types import Window
from benchmarks.fresh_bundle import fresh_bundle
from benchmarks.report import (
    machine_facts,
    median_range,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)

DEMO = Path(__file__).resolve().parent.parent / "models" / "bundles" / "alpha"

#: Targets of the line, window closed → frame read by the display, milliseconds.
TARGET_MS = {"p50": 10.0, "p99": 25.0}

ROUNDS = 5
_EVERY_S = 0.02
_FRAMES = 256


def watch(handle: RingHandle, pipe: Connection) -> None:
    """Read every frame as the display does, in the other process, and report the time of each."""
    clock = LslClock()
    with Ring.attach(handle) as ring:
        held = {column.name: np.empty((1, *column.shape), column.dtype) for column in ring.columns}
        taken: list[float] = []
        pipe.send("ready")
        while True:
            ring.wait(len(taken) + 1)
            while len(taken) < ring.count:
                ring.read_into(len(taken), held)
                taken.append(clock.now())
            if ring.finished and len(taken) == ring.count:
                break
        pipe.send(taken)


def frame_ring(bundle: Bundle) -> Ring:
    """Create the ring that carries frames to the display."""
    columns = frame_columns(*bundle.image_size, bundle.latent_size)
    return Ring.create(f"b{uuid.uuid4().hex[:12]}", columns, _FRAMES, 8, readers=1)


class Floor:
    """A Floor runs the same graphs in ONNX Runtime sessions with the decoder's options, and does nothing else."""

    def __init__(self, bundle: Bundle) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = bundle.spec.options.cpu.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._sessions = [
            onnxruntime.InferenceSession(bundle.read(name), options, providers=["CPUExecutionProvider"])
            for _, name, _ in bundle.chain().graphs
        ]
        self._outputs = [bundle.chain().outputs(role) for role, _, _ in bundle.chain().graphs]
        self.gives = "pixels" if bundle.spec.pixels else "image"

    def __call__(self, window: NDArray[np.float32]) -> NDArray[Any]:
        """Run the chain; return the image, (1, 3, height, width), or the pixels where its graphs make them."""
        taken, name = window, "window"
        for session, outputs in zip(self._sessions, self._outputs, strict=True):
            given = session.run(outputs, {name: taken})
            taken, name = given[0], "latent"
        return given[outputs.index(self.gives)]


def make_windows(bundle: Bundle, n: int) -> list[Window]:
    """Make windows of noise, which are unlike training: a network's run time does not depend on its input."""
    random = np.random.default_rng(0)
    shape = bundle.window_shape
    good = np.zeros((bundle.length, *bundle.output.flag_shape), bool)
    times = np.arange(bundle.length) / (bundle.output.rate or 1.0)
    return [
        Window(
            bundle.output, i, random.standard_normal(shape, np.float32), times, good, i + bundle.length - 1
        )
        for i in range(n)
    ]


def measure(bundle: Bundle, windows_per_round: int, clock: Clock) -> dict[str, Any]:
    """Run all rounds; return the latencies in milliseconds, round by round."""
    decoder, floor = OnnxDecoder(bundle, clock=clock, unlike="keep"), Floor(bundle)
    windows = make_windows(bundle, 64)
    began = clock.now()
    decoder.warm_up()
    warm_up = clock.now() - began
    expected = floor(windows[0].samples[None])
    if decoder.raw(windows[0].samples)[floor.gives].tobytes() != expected.tobytes():
        raise SystemExit("the floor and the decoder give different images: they do not do the same work")
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    n = ROUNDS * windows_per_round
    closed, made_at, raw = np.empty(n), np.empty(n), np.empty(n)
    with frame_ring(bundle) as ring:
        display = context.Process(target=watch, args=(ring.handle, there))
        display.start()
        try:
            _hear(here, display)
            for i in range(n):
                if i % windows_per_round == 0:
                    progress(f"round {i // windows_per_round + 1} of {ROUNDS}")
                window = windows[i % len(windows)]
                clock.sleep_until(clock.now() + _EVERY_S)
                if i % 2:
                    raw[i] = _time_floor(floor, window, clock)
                    clock.sleep_until(clock.now() + _EVERY_S / 2)
                closed[i] = clock.now()
                made = decoder.decode(window, {"arrived": closed[i], "cut": closed[i]})
                made_at[i] = clock.now()
                write_frame(ring, made)
                if not made.valid:
                    raise SystemExit(f"window {i} is invalid: {made.reason}")
                if not i % 2:
                    clock.sleep_until(clock.now() + _EVERY_S / 2)
                    raw[i] = _time_floor(floor, window, clock)
            ring.finish()
            taken = np.array(_hear(here, display))
        finally:
            display.join(10)
            if display.is_alive():
                display.kill()
    if len(taken) != n:
        raise SystemExit(f"{n} frames were written and {len(taken)} taken")
    rounds = (ROUNDS, windows_per_round)
    return {
        "floor": 1e3 * raw.reshape(rounds),
        "decode": 1e3 * (made_at - closed).reshape(rounds),
        "hands": 1e3 * (taken - closed).reshape(rounds),
        "warm_up_ms": 1e3 * warm_up,
        "environment": dict(decoder.environment),
    }


def _hear(pipe: Connection, display: SpawnProcess) -> Any:
    """Return the display process' next message; end the benchmark when that process died or stays silent."""
    if pipe not in wait([pipe, display.sentinel], 60):
        raise SystemExit("the process that stands for the display died, or said nothing for 60 s")
    return pipe.recv()


def _time_floor(floor: Floor, window: Window, clock: Clock) -> float:
    began = clock.now()
    floor(window.samples[None])
    return clock.now() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decode_latency", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--bundle", type=Path, default=DEMO, help="the bundle to run (default: the demo's)")
    parser.add_argument(
        "--fresh", action="store_true", help="run an untrained bundle of the demo's size instead"
    )
    parser.add_argument("--size", type=int, default=64, help="edge of the untrained bundle's picture")
    parser.add_argument(
        "--image", action="store_true", help="let NumPy make the untrained bundle's pixels, not its graph"
    )
    parser.add_argument("--windows", type=int, default=600, help="windows in each of the five rounds")
    parser.add_argument("--quick", action="store_true", help="100 windows in each: under a minute")
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if not arguments.fresh and not arguments.bundle.is_dir():
            raise SystemExit(f"no bundle at {arguments.bundle}. Name one with --bundle, or pass --fresh.")
        if arguments.fresh:
            made = fresh_bundle(Path(scratch) / "fresh", size=arguments.size, pixels=not arguments.image)
        bundle = Bundle.load(made.folder if arguments.fresh else arguments.bundle)
        folder = bundle.folder
        began = time.perf_counter()
        probe(folder, [bundle.chain()])
        trial_s = time.perf_counter() - began
        found = measure(bundle, 100 if arguments.quick else arguments.windows, LslClock())
    ratios = [
        float(np.median(d) / np.median(f)) for d, f in zip(found["decode"], found["floor"], strict=True)
    ]
    rows = {name: percentiles(found[name].ravel()) for name in ("floor", "decode", "hands")}
    met = all(rows["hands"][point] <= limit for point, limit in TARGET_MS.items())
    facts = machine_facts(["onnxruntime"])
    print_machine(facts)
    print(
        f"bundle {bundle.name} ({'untrained' if arguments.fresh else bundle.hash[:12]}), one window every 30 ms, CPU"
    )
    says = {
        "floor": "raw session.run",
        "decode": "window → reconstruction",
        "hands": "window → display's hands",
    }
    print_table(
        ["", "p50 ms", "p95 ms", "p99 ms", "n"],
        [[says[k], *(f"{r[p]:.2f}" for p in ("p50", "p95", "p99")), str(r["n"])] for k, r in rows.items()],
    )
    print(
        f"decode / floor, median of {ROUNDS} rounds: {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f}–{max(ratios):.2f})"
    )
    print(f"trial in a capped process {trial_s:.2f} s, warm-up {found['warm_up_ms']:.0f} ms")
    print(
        f"target p50 ≤ {TARGET_MS['p50']:g} ms, p99 ≤ {TARGET_MS['p99']:g} ms in hand: {'met' if met else 'MISSED'}"
    )
    if arguments.json:
        print_last_line(
            {
                "benchmark": "decode_latency",
                "machine": facts,
                "bundle": bundle.name,
                "hash": bundle.hash,
                "fresh": arguments.fresh,
                "pixels": bundle.spec.pixels,
                "latency_ms": rows,
                "ratio": median_range(ratios),
                "trial_s": trial_s,
                "warm_up_ms": found["warm_up_ms"],
                "target_ms": TARGET_MS,
                "met": met,
                "environment": found["environment"],
            }
        )


if __name__ == "__main__":
    main()

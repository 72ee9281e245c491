"""Live latency of every system's bundle: window closed → reconstruction made, one row a bundle.

::

    python -m benchmarks.live_systems [BUNDLE …] [--windows 400] [--json]

Every bundle that is named, or every decoder below ``models/bundles``, decodes windows of noise, one every 30 ms, on the
processor. Between windows the process sleeps, as it does in a session, so that waking up and cold caches are in the
figures. Beside them stand what the bundle reads and the shape of a window. What lies before (the wait for samples, the
pipeline's steps) and after it (the frame ring, the flip) is the line's and the same for every system:
``python -m benchmarks.decode_latency``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.io.shipped import SHIPPED
from bci.memory.lsl_clock import LslClock
from bci.signal.clock import Clock
from benchmarks.decode_latency import make_windows
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from models.systems.system import UNNAMED

_EVERY_S = 0.03
#: Windows before the ones that are timed.
_FIRST = 20


def decode_times(bundle: Bundle, count: int, clock: Clock) -> list[float]:
    """Decode windows of noise, evenly spaced; return how long each took, milliseconds."""
    decoder = OnnxDecoder(bundle, clock=clock, unlike="keep")
    decoder.warm_up()
    windows = make_windows(bundle, 32)
    took = []
    for k in range(_FIRST + count):
        clock.sleep_until(clock.now() + _EVERY_S)
        began = clock.now()
        made = decoder.decode(windows[k % len(windows)], {"arrived": began, "cut": began})
        took.append(1e3 * (clock.now() - began))
        if not made.valid:
            raise SystemExit(f"bundle {bundle.name}: window {k} is invalid: {made.reason}")
    return took[_FIRST:]


def describe(bundle: Bundle, took: Sequence[float]) -> dict[str, Any]:
    """Return a bundle's row."""
    readout = bundle.spec.provenance.config.get("readout")
    return {
        "bundle": bundle.name,
        "hash": bundle.hash,
        "kind": str(bundle.spec.provenance.config.get("kind", UNNAMED)),
        "readout": str(readout.get("name", "")) if isinstance(readout, dict) else "",
        "window": list(bundle.window_shape),
        "latency_ms": percentiles(np.asarray(took)),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_systems", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("bundles", type=Path, nargs="*", help="folders; else every decoder in models/bundles")
    parser.add_argument("--windows", type=int, default=400, help="of each bundle (default 400)")
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    asked = parser.parse_args(words)
    folders = asked.bundles or sorted(one.parent for one in SHIPPED["bundles"].glob("*/bundle.json"))
    rows = []
    for folder in folders:
        bundle = Bundle.load(folder)
        progress(f"{bundle.name}: {asked.windows} windows")
        rows.append(describe(bundle, decode_times(bundle, asked.windows, LslClock())))
    facts = machine_facts(["onnxruntime"])
    print_machine(facts)
    print_table(
        ["bundle", "kind", "readout", "window", "p50 ms", "p95 ms", "p99 ms", "n"],
        [
            [
                row["bundle"], row["kind"], row["readout"], " × ".join(map(str, row["window"])),
                *(f"{row['latency_ms'][point]:.2f}" for point in ("p50", "p95", "p99")),
                str(row["latency_ms"]["n"]),
            ]
            for row in rows
        ],
    )  # fmt: skip
    if asked.json:
        print_last_line({"benchmark": "live_systems", "machine": facts, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Time to open a file, sandbox run in a capped child included, beside the bare library, each in a fresh process.

``python -m benchmarks.opening [--quick] [--json]``: wall and processor time from the start of Python to the first
sample, for a minute of 64 channels at 500 Hz as XDF (floor: pyxdf) and as FIF (floor: MNE).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Signal
from benchmarks.report import (
    machine_facts,
    median_range,
    print_last_line,
    print_machine,
    print_table,
    progress,
)

RATE, CHANNELS, SECONDS = 500.0, 64, 60

OURS = "import sys; from bci.io.files.recording import open_recording; open_recording(sys.argv[1]).read(0, 1)"
FLOORS = {
    "xdf": "import sys, pyxdf; pyxdf.load_xdf(sys.argv[1])",
    "fif": "import sys, mne; mne.io.read_raw(sys.argv[1], verbose='ERROR').get_data(start=0, stop=1, verbose='ERROR')",
}


def write_files(folder: Path) -> dict[str, Path]:
    """Write the same minute in both formats."""
    import mne

    n = int(RATE * SECONDS)
    samples = np.random.default_rng(1).normal(0, 20, (n, CHANNELS)).astype(np.float32)
    labels = tuple(f"E{i}" for i in range(CHANNELS))
    xdf, fif = folder / "a.xdf", folder / "a_raw.fif"
    with XdfWriter(xdf, LslClock()) as writer:
        info = StreamInfo(Signal("amp", RATE, (CHANNELS,), labels, "uV"), "amp", kind="EEG")
        stream = writer.add_stream(info)
        for first in range(0, n, 50):
            writer.write(stream, samples[first : first + 50], 1000 + (first + np.arange(50)) / RATE)
    raw = mne.io.RawArray(samples.T * 1e-6, mne.create_info(list(labels), RATE, "eeg"), verbose="ERROR")
    raw.save(fif, verbose="ERROR")
    return {"xdf": xdf, "fif": fif}


def cost(code: str, path: Path) -> tuple[float, float]:
    """Return wall and processor seconds of a fresh process, with its children's."""
    began, spent = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - spent.children_user - spent.children_system
    return time.perf_counter() - began, cpu


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds instead of fifteen")
    parser.add_argument("--json", action="store_true", help="only the last line")
    options = parser.parse_args()
    rounds = 3 if options.quick else 15
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bci-opening-") as folder:
        for kind, path in write_files(Path(folder)).items():
            pairs = []
            for i in range(rounds):
                progress(f"{kind}: round {i + 1} of {rounds}")
                pairs.append((cost(FLOORS[kind], path), cost(OURS, path)))
            found[kind] = {
                f"{name}_{what}_ms": median_range([1e3 * pair[who][j] for pair in pairs])
                for who, name in enumerate(("floor", "ours"))
                for j, what in enumerate(("wall", "cpu"))
            }
            for j, what in enumerate(("wall", "cpu")):
                found[kind][f"{what}_ratio"] = median_range([ours[j] / floor[j] for floor, ours in pairs])
    facts = machine_facts(("mne", "pyxdf"))
    if not options.json:
        print_machine(facts)
        names = list(found["xdf"])
        rows = [
            [kind, *(f"{values[name]['median']:.3g}" for name in names)] for kind, values in found.items()
        ]
        print_table(["format", *names], rows)
    print_last_line({"benchmark": "opening", "machine": facts, "rounds": rounds, **found})


if __name__ == "__main__":
    main()

"""The doctor examines whether this machine is ready for sessions, and names the line that fixes each fault."""

import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import psutil

from bci.errors import BciError, ProviderError
from bci.io.installation import install_line
from bci.memory.hot import find_compiled
from bci.memory.leftovers import remove_leftovers
from bci.memory.turns import take_short_turns

#: What extras are for: what the doctor calls it, the extra, a package that tells, and what goes on without it.
OPTIONAL = (
    ("Training", "train", "torch", "sessions run, training does not"),
    ("BIDS", "bids", "mne-bids", "sessions run, bci export does not"),
    ("EEGLAB", "eeglab", "pymatreader", "recordings play, .set files in MATLAB's version 7.3 do not"),
    ("NWB", "nwb", "h5py", "recordings play, .nwb files do not"),
    ("Control", "broker", "aiomqtt", "sessions run, bci run --control does not"),
    ("Operator's page", "page", "bokeh", "sessions run, bci page and bci run --page do not"),
    ("Scanner", "fmri", "nibabel", "sessions run, volumes of a scanner are not read"),
    ("Riemannian readouts", "eeg", "pyriemann", "other readouts are trained"),
    ("Amplifiers", "devices", "brainflow", "sessions run, bci device does not"),
    ("Cluster", "cluster", "distributed", "bci compare runs on this machine alone"),
)


#: What acquisition's regular hop costs compiled and in Python, 64 channels × 1 kHz to 256 × 30 kHz: measured with
#: `benchmarks.hot_path`, see docs/decisions/0039-hot-path.md. Another machine's figures differ, their ratio less so.
HOP_COSTS = {True: "14 to 31 µs", False: "87 to 113 µs"}

#: What tells more of a card that does not do well.
_BENCHMARK = "python -m benchmarks.gpu tells where its time goes"


@dataclass(frozen=True)
class Finding:
    """A Finding is the result of examining one thing.

    Attributes
    ----------
    what, seen : str
        The thing examined, and its state.
    ok : bool
        Whether it is in order.
    fix : str
        The line that fixes it; empty when it is in order.
    needed : bool
        Whether a session cannot run without it.
    """

    what: str
    seen: str
    ok: bool
    fix: str = ""
    needed: bool = True


def examine() -> list[Finding]:
    """Examine everything that a session depends on."""
    return [
        _python(),
        _liblsl(),
        _clocks(),
        _sleep(),
        _hot_path(),
        _turns(),
        _memory(),
        *_shared_memory(),
        _onnx(),
        _card(),
        _screen(),
        *_network(),
        *_extras(),
    ]


def _python() -> Finding:
    seen = f"{sys.version.split()[0]} ({sys.executable})"
    return Finding("Python", seen, sys.version_info >= (3, 11), "install Python 3.11 or newer")


def _liblsl() -> Finding:
    try:
        import pylsl
    except RuntimeError as error:
        fix = (
            "on Linux the wheel brings liblsl for glibc 2.35 or newer; otherwise install liblsl from "
            "conda-forge or its releases and set PYLSL_LIB to the file"
        )
        return Finding("Lab Streaming Layer", str(error).splitlines()[0], False, fix)
    library = pylsl.library_version()
    seen = f"liblsl {library // 100}.{library % 100}, pylsl {version('pylsl')}"
    return Finding("Lab Streaming Layer", seen, library >= 116, "pip install --upgrade pylsl")


def _clocks() -> Finding:
    import pylsl

    gaps = [abs(pylsl.local_clock() - time.perf_counter()) for _ in range(5)]
    same = min(gaps) < 1e-3
    seen = (
        f"local_clock and perf_counter differ by {min(gaps) * 1e6:.0f} µs"
        if same
        else "they have other origins"
    )
    return Finding(
        "Clocks", seen, same, "" if same else "stamps are taken from local_clock only", needed=False
    )


def _sleep() -> Finding:
    late = []
    for _ in range(20):
        start = time.perf_counter()
        time.sleep(0.002)
        late.append(time.perf_counter() - start - 0.002)
    worst = float(np.max(late)) * 1e3
    ok = worst < 5
    fix = (
        ""
        if ok
        else "close other programs; on Windows use a Python of 3.11 or newer (high-resolution timers)"
    )
    return Finding("Timer", f"a 2 ms sleep ends at most {worst:.2f} ms late", ok, fix, needed=False)


def _hot_path() -> Finding:
    found, why = find_compiled()
    ways = {True: "compiled: regular hops and the waits for them", False: f"in Python ({why})"}
    seen = f"{ways[found is not None]}, {HOP_COSTS[found is not None]} of processor time a hop"
    # Python is no fault; only where compiled code could run is there something to be mended.
    ok = found is not None or not sys.platform.startswith("linux")
    fix = "" if ok else "everything works; with a C compiler, install the project again, and a hop costs less"
    return Finding("Hot path", seen, ok, fix, needed=False)


def _turns() -> Finding:
    with ThreadPoolExecutor(1) as one:  # a thread of its own: this one keeps its turns
        granted = one.submit(take_short_turns).result()
    seen = (
        "as long as other programs': a window may wait for one that computes (Linux 6.12 or newer has short ones)"
        if granted is None
        else f"of {1e3 * granted:g} ms: a sample wakes acquisition and decoder ahead of programs that compute"
    )
    return Finding("Turns on a core", seen, True, needed=False)


def _memory() -> Finding:
    memory, cores = psutil.virtual_memory(), os.cpu_count() or 1
    seen = f"{cores} cores, {memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    return Finding("Machine", seen, memory.available > 1e9, "free 1 GB of memory")


def _shared_memory() -> list[Finding]:
    if not sys.platform.startswith("linux"):
        return []
    found = []
    if left := remove_leftovers():
        megabytes = sum(leftover.nbytes for leftover in left) / 1e6
        found = [
            Finding(
                "Killed sessions", f"{megabytes:.1f} MB of shared memory that they left are removed", True
            )
        ]
    free = shutil.disk_usage("/dev/shm").free
    fix = "enlarge /dev/shm (in a container: --shm-size=2g)"
    ok = free > 256e6
    return [*found, Finding("Shared memory", f"{free / 1e6:.0f} MB free in /dev/shm", ok, "" if ok else fix)]


def _onnx() -> Finding:
    both = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(both) == 2:
        fix = "pip uninstall -y onnxruntime onnxruntime-gpu, then install the one you want"
        return Finding("ONNX Runtime", "the CPU and the GPU package overwrite each other", False, fix)
    if not both:
        fix = f"{install_line('cpu')}, or with an NVIDIA card {install_line('gpu')}"
        return Finding("ONNX Runtime", "missing", False, fix)
    import onnxruntime

    providers = ", ".join(p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers())
    return Finding("ONNX Runtime", f"{both[0]} {version(both[0])} with {providers}", True)


def _card() -> Finding:
    """Run a graph on the graphics card, where what runs there is installed; else say whether one lies idle."""
    from bci.decoder import card_trial
    from bci.decoder.bundle import Bundle
    from bci.decoder.card_use import measure_use
    from bci.decoder.cuda import CardSettings, describe_card, libraries, require_cuda
    from bci.io.shipped import SHIPPED
    from bci.memory.lsl_clock import LslClock

    card = describe_card()
    if not _installed("onnxruntime-gpu"):
        if not card:
            return Finding("Graphics card", "none is used: ONNX Runtime here is for processors", True)
        seen = f"{card.get('name', 'NVIDIA')} is not used: ONNX Runtime here is for processors"
        return Finding("Graphics card", seen, False, "python3 run.py --gpu setup", needed=False)
    began = time.perf_counter()
    try:
        card_trial.require_answering(CardSettings())
        require_cuda()
    except ProviderError as error:
        seen, install, fix = str(error).partition(". Install")
        return Finding("Graphics card", seen, False, f"install{fix}" if install else "", needed=False)
    took, built = time.perf_counter() - began, libraries()["built_for_cuda"]
    who = ", ".join(
        filter(None, (card.get("name"), f"driver {card.get('driver', 'unknown')}", f"CUDA {built}"))
    )
    seen = f"{who}: a graph ran on it, loaded in {took:.1f} s"
    try:
        use = measure_use(Bundle.load(SHIPPED["bundles"] / "alpha"), LslClock())
    except BciError as error:
        return Finding(
            "Graphics card", f"{seen}, but not a decoder: {error}", False, _BENCHMARK, needed=False
        )
    return Finding("Graphics card", f"{seen}; {use}", use.ok, "" if use.ok else _BENCHMARK, needed=False)


def _screen() -> Finding:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if _installed("pygame") and _installed("pygame-ce"):
        fix = "pip uninstall -y pygame pygame-ce && pip install pygame-ce"
        return Finding("Screen", "pygame and pygame-ce overwrite each other", False, fix)
    import pygame

    try:
        pygame.display.init()
        sizes = ", ".join(f"{w}×{h}" for w, h in pygame.display.get_desktop_sizes())
        driver = pygame.display.get_driver()
        pygame.display.quit()
    except pygame.error as error:
        return Finding("Screen", f"none ({error})", False, "sessions run with --headless", needed=False)
    if driver in ("dummy", "offscreen"):
        return Finding(
            "Screen", f"none (driver {driver})", False, "sessions run with --headless", needed=False
        )
    return Finding("Screen", f"driver {driver}: {sizes}", True)


def _network() -> list[Finding]:
    """Examine what decides whether streams of other machines are seen."""
    try:
        from bci.io.lsl.surroundings import look_around

        around = look_around()
    except RuntimeError:
        return []  # without liblsl, which has a finding of its own
    where = ", ".join(
        f"{i.name} {' '.join(i.addresses)}{'' if i.kind == 'network' else f' ({i.kind})'}"
        for i in around.interfaces
        if i.up and i.kind != "loopback"
    )
    hints = around.hints()
    streams = around.streams or ()
    return [
        Finding("Network", where or "no interface is up", not hints, "; ".join(hints), needed=False),
        Finding("LSL on this machine", f"a stream of its own is {'' if around.own else 'not '}found", bool(around.own),
                "a firewall on this machine stops LSL: let Python in", needed=False),
        Finding("Streams", "; ".join(streams) or "none visible", True),
    ]  # fmt: skip


def _extras() -> list[Finding]:
    """Examine what can be done without: a session needs none of it."""
    findings = []
    for what, extra, package, without in OPTIONAL:
        there = _installed(package)
        seen = f"{package} {version(package)}" if there else f"no {package}: {without}"
        findings.append(Finding(what, seen, there, "" if there else install_line(extra), needed=False))
    return findings


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True

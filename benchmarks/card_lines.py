"""What a graphics card must reach, line by line, judged from what `benchmarks.gpu` measured there."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.cuda import visible
from bci.signal.clock import Clock

#: Status of a benchmark of cards on a machine without one; argparse takes 2.
NO_CARD = 3

#: Seconds between two windows: a hop's, a slow hop's, a volume's.
SPACINGS_S = (0.01, 0.1, 1.5)

#: Frames whose bits must be equal.
FRAMES = 10_000

_RATIO, _EXCESS_MS = 1.1, 0.2

#: Milliseconds from the newest sample to the frame, 256 × 256, with acquisition and recording running.
_TO_FRAME_MS = 5.0
#: Seconds from a kill to the next picture, beside the card's own context.
_RESTART_S = 2.0

Raw = Callable[[NDArray[np.float32]], dict[str, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class Line:
    """A Line says whether the card holds one target: yes, no, or None where it was not measured."""

    name: str
    holds: bool | None
    came: str


def judge_decode(name: str, decode: NDArray[np.float64], floor: NDArray[np.float64]) -> Line:
    """Judge latencies, both (rounds, n) in milliseconds: 1.1 × the floor, or 0.2 ms more."""
    ours, least = np.median(decode, axis=1), np.median(floor, axis=1)
    ratio, excess = float(np.median(ours / least)), float(np.median(ours - least))
    holds = ratio <= _RATIO or excess <= _EXCESS_MS
    return Line(f"{name}: decode against the bound graphs", holds, f"{ratio:.3f} ×, {excess:+.3f} ms")


def judge_frames(name: str, raw: Raw, windows: Sequence[NDArray[np.float32]], frames: int) -> Line:
    """Decode `windows` in turn until so many frames are made; judge whether a window's bits are always the same."""
    first: dict[int, bytes] = {}
    unlike = 0
    for i in range(frames):
        place = i % len(windows)
        digest = hashlib.sha256()
        for _, array in sorted(raw(windows[place]).items()):
            digest.update(array.tobytes())
        unlike += first.setdefault(place, digest.digest()) != digest.digest()
    holds: bool | None = unlike == 0
    if holds and frames < FRAMES:
        holds = None
    return Line(f"{name}: {FRAMES} frames equal", holds, f"{unlike} of {frames} differ")


def judge_session(ages: NDArray[np.float64]) -> Line:
    """Judge how old the newest sample was when each frame of a session was published, (n,) milliseconds."""
    least, most = (float(np.percentile(ages, point)) for point in (50, 99)) if len(ages) else (np.nan, np.nan)
    name = "sample to frame, p99 at 256 × 256 with acquisition and recording"
    return Line(name, most <= _TO_FRAME_MS, f"p50 {least:.2f} ms, p99 {most:.2f} ms of {len(ages)}")


def judge_restarts(seconds: Sequence[float], context: float) -> Line:
    """Judge the seconds from each kill to the next picture; `context` is what the card itself needs of them.

    Examples
    --------
    >>> judge_restarts([2.4, 2.9], 1.0).holds, judge_restarts([2.4, float("nan")], 1.0).holds
    (True, False)
    """
    limit = _RESTART_S + context
    came = f"{', '.join(f'{value:.2f}' for value in seconds) or 'none'} s, the card's context {context:.2f} s"
    return Line("restart after a kill", bool(seconds) and all(value <= limit for value in seconds), came)


def status(lines: Iterable[Line]) -> int:
    """Return 0 where every line holds; 1 where one does not, or was not measured: nothing is proven by leaving it out.

    Examples
    --------
    >>> status([Line("a", True, "")]), status([Line("a", True, ""), Line("b", None, "")])
    (0, 1)
    """
    return int(not all(line.holds for line in lines))


def time_spaced(
    run: Callable[[NDArray[np.float32]], object],
    windows: Sequence[NDArray[np.float32]],
    spacing: float,
    n: int,
    clock: Clock,
) -> NDArray[np.float64]:
    """Run a window every `spacing` seconds, `n` in all; return how long each took, (n,) milliseconds."""
    taken = np.empty(n)
    due = clock.now()
    for i in range(n):
        due += spacing
        clock.sleep_until(due)
        began = clock.now()
        run(windows[i % len(windows)])
        taken[i] = 1e3 * (clock.now() - began)
    return taken


def clocks(device: int = 0) -> dict[str, Any]:
    """Return what the card's clocks are now, in the driver's words; empty where it does not answer."""
    tool, card = shutil.which("nvidia-smi"), visible(device)
    if tool is None or not card:
        return {}
    words = [tool, f"--id={card}", "--query-gpu=clocks.sm,clocks.mem", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    facts = [fact.strip() for fact in done.stdout.split(",")]
    return dict(zip(("cores", "memory"), facts, strict=False)) if done.returncode == 0 else {}

"""Whole sessions on a graphics card: sample to frame while acquisition and recording run, and a restart after a kill.

Both run on any provider; what they must reach is stated for a card (`benchmarks.card_lines`).
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.providers import Provider
from bci.decoder.spec import SignalSpec
from bci.errors import ProgramError
from bci.session.recorded import RecordedSession
from bci.signal.types import Signal
from benchmarks.fresh_bundle import fresh_bundle
from benchmarks.full_line import measure_line
from benchmarks.recovery import recover
from benchmarks.source import Feed

#: A window of a quarter of a second of 64 electrodes, fifty times a second.
FEED = Feed("card", channels=64, rate=1000, chunk=10, length=250, hop=20)

_WARM_UP_S, _CONTEXT_LIMIT_S = 2.0, 120

#: What a fresh process spends on its first use of the card, seconds, on its last line.
_CONTEXT = """
import time
import onnxruntime
from bci.decoder.cuda import require_cuda
began = time.perf_counter()
require_cuda()
print(time.perf_counter() - began)
"""


def make_bundle(size: int, width: int) -> Callable[[Path, Signal, Feed], None]:
    """Return what writes an untrained decoder of a feed, with pictures of `size` × `size`."""

    def make(folder: Path, signal: Signal, feed: Feed) -> None:
        fresh_bundle(
            folder,
            length=feed.length,
            hop=feed.hop,
            latent=64,
            size=size,
            width=width,
            signal=SignalSpec.of(signal),
        )

    return make


def sample_to_frame(
    provider: Provider, seconds: float, *, size: int = 256, width: int = 512
) -> NDArray[np.float64]:
    """Run a session with everything on; return how old the newest sample of each frame was at its publication, ms.

    Raises
    ------
    BciError
        If a program fails, or a sample was lost.
    """

    def ages(session: Path, name: str) -> dict[str, Any]:
        rows = RecordedSession.read(session).table("frames")
        return {
            "ages": [
                1e3 * (float(row["published"]) - float(row["data"])) for row in rows if row["valid"] == "1"
            ]
        }

    found = measure_line(
        FEED,
        warm_up=_WARM_UP_S,
        seconds=seconds,
        make=make_bundle(size, width),
        provider=provider,
        inspect=ages,
    )
    if found.lost or found.broken:
        raise ProgramError(
            f"expected every sample and window counted, came {found.lost} samples lost and {found.broken} miscounts"
        )
    # The first windows come while the programs still start.
    return np.array(found.facts["ages"])[round(_WARM_UP_S * FEED.rate / FEED.hop) :]


def restarts(provider: Provider, kills: int, *, size: int = 256, width: int = 512) -> list[float]:
    """Kill a session's decoder so often; return the seconds from each kill to the next picture on the screen."""
    found = recover(kills, feed=FEED, make=make_bundle(size, width), provider=provider)
    return [kill["total"] for kill in found["kills"]["decode"]]


def context_s() -> float:
    """Return how many seconds a fresh process spends on its first use of the card, its own imports aside.

    Raises
    ------
    ProgramError
        If there is none that can be used.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CONTEXT],
        capture_output=True,
        text=True,
        check=False,
        timeout=_CONTEXT_LIMIT_S,
    )
    if done.returncode:
        raise ProgramError(f"no context on the card: {done.stderr.strip().splitlines()[-1:]}")
    return float(done.stdout.split()[-1])

"""The in-silico program: a simulated participant looks at what the display flips and answers over LSL.

It reads the ring of what was shown, pixels and flip stamps and nothing else, and publishes what a scanner or an
amplifier would. A sample of time t leaves `lag` seconds after t, when every flip before t is known; its stamp is t.
For the same flips `bci.sim.participant.record` gives the same samples, bit for bit, unless a change was late or lost:
both are counted.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError, StreamError
from bci.io.lsl.source import LslOutlet
from bci.live.participant_link import LAG, Watch
from bci.memory.program import Program
from bci.memory.ring import LONGEST_WAIT
from bci.sim.participant import Participant, make_participant
from bci.sim.permuted import PermutedParticipant
from bci.sim.threads import is_one_thread

#: The figures that make a participant, and what only the program needs.
_FIGURES = frozenset(
    {
        "subject",
        "session",
        "snr",
        "units",
        "background",
        "tr",
        "rate",
        "jitter_deg",
        "lapse_rate",
        "adaptation",
    }
)
_KEYS = _FIGURES | {
    "kind", "feeds", "modality", "reference", "permute_channels", "source_id", "speed", "lag", "seconds",
    "consumer_timeout", "ring",
}  # fmt: skip

#: The program that takes the samples is started after this one is ready, and loads a decoder first.
_CONSUMER_TIMEOUT = 300.0


def main(program: Program) -> None:
    """Look and answer until the supervisor says stop.

    Spec: ``source_id``; ``modality`` (``"fmri"``, ``"eeg"`` or ``"lfp"``) and whatever figures
    `bci.sim.participant.make_participant` takes, ``reference`` as the path of a .npy file of pictures (n, h, w, 3)
    uint8; ``permute_channels``, the seed of a null run; ``speed``; ``lag``, session seconds; ``seconds`` of the
    participant's time (endless when absent); ``consumer_timeout``, seconds to wait for somebody who takes the samples.
    Opens the ring of role ``shown``.

    Ready facts, as of any source: ``signal``, ``source_id``, ``speed``, ``simulated`` (always True), ``recording`` (who
    it is), ``defects``, ``expected_samples``. Report: ``started``, the session time of sample 0, as soon as there is
    one; at the end `bci.live.participant_link.Watch.facts`.

    Raises
    ------
    ConfigError
        If the spec has an unknown key or a figure out of its range, or the reference pictures cannot be read.
    StreamError
        If nobody takes the samples within the time.
    """
    spec = {key: value for key, value in program.spec.items() if value is not None}
    participant = open_participant(spec)
    if not is_one_thread():
        program.log.warning("matrix products may use several threads, which is slow: set OMP_NUM_THREADS=1")
    speed, source_id = _positive(spec, "speed", 1.0), str(spec["source_id"])
    lag = _positive(spec, "lag", LAG)
    samples = None
    if "seconds" in spec:
        samples = max(1, round(_positive(spec, "seconds", 1.0) * participant.signal.rate))
    ring = program.ring("shown")
    who = f"participant in silico, subject {participant.subject}, SNR {participant.snr:g}"
    if isinstance(participant, PermutedParticipant):
        who += ", channels permuted"
    told = {
        "simulated": "true",
        "recording": who,
        "participant": participant.subject,
        "snr": repr(participant.snr),
        "computed_from": "flipped pixels",
    }
    with LslOutlet(
        participant.signal, source_id, kind=participant.kind, speed=speed, exact_stamps=True, extra=told
    ) as outlet:
        program.ready(
            signal=asdict(participant.signal),
            source_id=source_id,
            marker_source_id=None,
            speed=speed,
            simulated=True,
            recording=who,
            defects=[],
            expected_samples=samples,
            left_out_markers=0,
        )
        if not _wait_for_consumer(
            program, outlet, source_id, spec.get("consumer_timeout", _CONSUMER_TIMEOUT)
        ):
            return
        watch = Watch(participant, ring, outlet, program.clock.now(), speed=speed, lag=lag, samples=samples)
        program.report(started=watch.zero)
        slot = program.slot("shown")
        going = True
        while going and not watch.done:
            left = watch.next_due - program.clock.now()
            ring.wait(ring.count + 1, min(LONGEST_WAIT, max(0.0, left)), slot=slot)
            watch.step(program.clock.now())
            program.row["samples"] = watch.sent
            going = program.tick()
        program.report(**watch.facts())
        # The stream stays until the supervisor has stopped acquisition: its end is no loss.
        while going:
            program.clock.sleep_until(program.clock.now() + 0.05)
            going = program.tick()


def open_participant(spec: Mapping[str, Any]) -> Participant:
    """Make the participant that a spec describes, and have it look once, so that its first look takes no longer.

    Raises
    ------
    ConfigError
        If the spec has an unknown key or a figure out of its range, or the reference pictures cannot be read.
    """
    unknown = sorted(set(spec) - _KEYS)
    if unknown:
        raise ConfigError(
            f"a participant in silico has no {', '.join(unknown)}; it takes {', '.join(sorted(_KEYS))}"
        )
    if spec.get("kind", "insilico") != "insilico":
        raise ConfigError(f"a participant in silico is a source of kind 'insilico', got {spec['kind']!r}")
    for key in ("modality", "source_id"):
        if key not in spec:
            raise ConfigError(f"a participant in silico needs {key!r}")
    figures = {key: spec[key] for key in _FIGURES & set(spec)}
    for key, value in figures.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{key} of a participant in silico is a number, got {value!r}")
    reference = _pictures(Path(spec["reference"])) if "reference" in spec else None
    participant = make_participant(spec["modality"], reference=reference, **figures)
    population = participant.observer.population
    population.drive(np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 2)))
    if "permute_channels" in spec:
        return PermutedParticipant(participant, _seed(spec["permute_channels"]))
    return participant


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"permute_channels is the seed of an order, a whole number from 0; got {value!r}")
    return value


def _pictures(path: Path) -> NDArray[np.uint8]:
    try:
        pictures = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the reference pictures {path}: {error}") from None
    if not isinstance(pictures, np.ndarray) or pictures.dtype != np.uint8 or pictures.ndim != 4:
        raise ConfigError(f"reference pictures are (n, h, w, 3) uint8 in one .npy file; {path} is not")
    if pictures.shape[3] != 3:
        raise ConfigError(f"reference pictures have 3 colours; those of {path} have shape {pictures.shape}")
    return pictures


def _positive(spec: Mapping[str, Any], key: str, default: float) -> float:
    value = spec.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigError(f"{key} is a number above 0; got {value!r}")
    return float(value)


def _wait_for_consumer(program: Program, outlet: LslOutlet, source_id: str, timeout: float) -> bool:
    """Return when somebody receives the samples; False when told to stop before that."""
    deadline = program.clock.now() + timeout
    while not outlet.wait_for_consumers(0.05):
        if not program.tick():
            return False
        if program.clock.now() > deadline:
            raise StreamError(
                f"nobody took the stream {source_id!r} within {timeout:g} s, so the participant did not begin. Connect "
                "a consumer (bci streams shows what is on the network), or allow it more time."
            )
    return True

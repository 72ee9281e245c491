"""The in-silico program: a simulated participant looks at what the display flips and answers over LSL.

It reads the ring of what was shown, pixels and flip stamps and nothing else, and publishes what a scanner or an
amplifier would. A sample of time t leaves `lag` seconds after t, when every flip before t is known; its stamp is t.
For the same flips `bci.sim.participant.record` gives the same samples, bit for bit, unless a change was late or lost:
both are counted.
"""

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.config.sources import InSilicoSpec
from bci.config.toml import check_settings
from bci.errors import ConfigError, StreamError
from bci.io.files.npy import load_array
from bci.io.lsl.source import LslOutlet
from bci.live.participant_link import LAG, ParticipantLink
from bci.memory.program import Program
from bci.memory.ring import LONGEST_WAIT
from bci.sim.participant import Participant, make_participant
from bci.sim.permuted import PermutedParticipant
from bci.sim.threads import is_one_thread

#: What a spec may say of the participant itself.
_FIGURES = frozenset(inspect.signature(make_participant).parameters) - {"kind", "reference"}


def main(program: Program) -> None:
    """Look and answer until the supervisor says stop.

    Spec: `bci.config.sources.InSilicoSpec`. Opens the ring of role ``shown``.

    Ready facts, as of any source: ``signal``, ``source_id``, ``speed``, ``simulated`` (always True), ``recording`` (who
    it is), ``defects``, ``expected_samples``. Report: ``started``, the session time of sample 0, as soon as there is
    one; at the end `bci.live.participant_link.ParticipantLink.facts`.

    Raises
    ------
    ConfigError
        If the spec is no participant's, or a figure is out of its range, or the reference pictures cannot be read.
    StreamError
        If no consumer takes the samples within the time.
    """
    spec = read_spec(program.spec)
    participant = open_participant(spec)
    if not is_one_thread():
        program.log.warning("matrix products may use several threads, which is slow: set OMP_NUM_THREADS=1")
    speed, source_id = spec.speed, spec.source_id
    lag = LAG if spec.lag is None else spec.lag
    samples = None if spec.seconds is None else max(1, round(spec.seconds * participant.signal.rate))
    ring = program.ring("shown")
    who = f"participant in silico, subject {participant.subject}, SNR {participant.snr:g}"
    if isinstance(participant, PermutedParticipant):
        who += ", channels permuted"
    extra = {
        "simulated": "true",
        "recording": who,
        "participant": participant.subject,
        "snr": repr(participant.snr),
        "computed_from": "flipped pixels",
    }
    with LslOutlet(
        participant.signal, source_id, kind=participant.kind, speed=speed, exact_stamps=True, extra=extra
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
        if not _wait_for_consumer(program, outlet, source_id, spec.consumer_timeout):
            return
        watch = ParticipantLink(
            participant, ring, outlet, program.clock.now(), speed=speed, lag=lag, samples=samples
        )
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


def read_spec(values: Mapping[str, Any]) -> InSilicoSpec:
    """Return what a spec says of the participant; a value of None counts as not given.

    Raises
    ------
    ConfigError
        If it has a key that is unknown, missing or impossible; named.
    """
    given = {key: value for key, value in values.items() if value is not None}
    return check_settings(given, InSilicoSpec, "the spec of a participant in silico")


def open_participant(spec: InSilicoSpec) -> Participant:
    """Make the participant that a spec describes, and have it look once, so that its first look takes no longer.

    What it leaves open is as `make_participant` has it.

    Raises
    ------
    ConfigError
        If a figure is out of its range, or the reference pictures cannot be read.
    """
    figures = spec.model_dump(include=set(_FIGURES), exclude_unset=True, exclude_none=True)
    reference = None if spec.reference is None else _pictures(spec.reference)
    participant = make_participant(spec.modality, reference=reference, **figures)
    population = participant.observer.population
    population.drive(np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 2)))
    if spec.permute_channels is not None:
        return PermutedParticipant(participant, spec.permute_channels)
    return participant


def _pictures(path: Path) -> NDArray[np.uint8]:
    pictures = load_array(path, lambda words: ConfigError(f"cannot read the reference pictures: {words}"))
    if pictures.dtype != np.uint8 or pictures.ndim != 4:
        raise ConfigError(f"reference pictures are (n, h, w, 3) uint8 in one .npy file; {path} is not")
    if pictures.shape[3] != 3:
        raise ConfigError(f"reference pictures have 3 colours; those of {path} have shape {pictures.shape}")
    return pictures


def _wait_for_consumer(program: Program, outlet: LslOutlet, source_id: str, timeout: float) -> bool:
    """Return when a consumer receives the samples; False when ordered to stop before that."""
    deadline = program.clock.now() + timeout
    while not outlet.wait_for_consumers(0.05):
        if not program.tick():
            return False
        if program.clock.now() > deadline:
            raise StreamError(
                f"no consumer took the stream {source_id!r} within {timeout:g} s, so the participant did not begin. "
                "Connect a consumer (bci streams shows what is on the network), or allow it more time."
            )
    return True

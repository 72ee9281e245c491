"""A Participant in silico simulates a person: it looks at pictures as they were flipped and answers with neural data.

Its samples are a function of the subject's number, of the session's, and of the pixels and times of what was flipped;
a stimulus' latent never reaches it. `see` and `read` may be called in any order as long as each change is seen before
`read` passes the flip by more than `dead_time`: the samples are then the same, bit for bit.
So what it answers live equals what `record` returns for the same flips.
"""

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.types import Signal
from bci.sim.cortex.adaptation import Adaptation
from bci.sim.cortex.gaze import Eye, Pictures
from bci.sim.cortex.population import Population
from bci.sim.electrodes import ElectrodeParticipant
from bci.sim.observer import Observer
from bci.sim.seeds import session_seed
from bci.sim.sensors import probe, scalp
from bci.sim.spikes import SpikingParticipant
from bci.sim.threads import one_thread
from bci.sim.voxels import VoxelParticipant

Kind = Literal["fmri", "eeg", "lfp", "spikes"]

#: Default signal-to-noise ratio of single trials: what studies report (fMRI: the median voxel).
DEFAULT_SNR = {"fmri": 0.05, "eeg": 0.1, "lfp": 0.1, "spikes": 1.0}

#: Default number of units; in a scanner each is a voxel.
DEFAULT_UNITS = {"fmri": 2048, "eeg": 512, "lfp": 512, "spikes": 64}


class Participant(Protocol):
    """A Participant sees each change of the screen and gives the samples that a recording would hold.

    Attributes
    ----------
    signal : Signal
        Rate, channels and unit of the samples that `read` returns.
    kind : str
        ``"fMRI"``, ``"EEG"``, ``"LFP"`` or ``"Spikes"``.
    simulated : bool
        Always True.
    observer : Observer
        The participant's eye, cortex, attention and memory.
    snr : float
        Single-trial signal-to-noise ratio, a ratio of variances.
    dead_time : float
        Seconds after a flip before which no sample depends on it.
    late : int
        Changes seen too late for samples already read.
    """

    signal: Signal
    kind: str
    simulated: bool
    observer: Observer
    subject: int
    snr: float
    dead_time: float
    late: int

    def reset(self) -> None:
        """Begin the session again."""
        ...

    def see(self, picture: Pictures, time: float) -> None:
        """Take a change of the screen, flipped `time` seconds after sample 0."""
        ...

    def read(self, n: int) -> NDArray[Any]:
        """Return the next `n` samples (n, channels) float32; in a scanner volumes (n, x, y, z) int16."""
        ...


def make_participant(
    kind: Kind,
    *,
    subject: int = 1,
    session: int = 0,
    snr: float | None = None,
    units: int | None = None,
    reference: Pictures | None = None,
    background: int = 128,
    tr: float = 1.5,
    rate: float | None = None,
    jitter_deg: float = 0.12,
    lapse_rate: float = 0.02,
    adaptation: float = 0.2,
) -> VoxelParticipant | ElectrodeParticipant | SpikingParticipant:
    """Make a participant.

    Parameters
    ----------
    kind : "fmri", "eeg", "lfp" or "spikes"
        What is recorded.
    subject : int
        Number of the participant, which fixes anatomy, tuning and noise.
    session : int
        Number of the session, which fixes noise, eye positions, lapses and latencies.
    snr : float, optional
        Single-trial signal-to-noise ratio, a ratio of variances; 0 for a null run. By default `DEFAULT_SNR`.
    units : int, optional
        Early and higher units, half of each; in a scanner, voxels; of spikes, channels.
    reference : (n, h, w, 3) uint8, optional
        Pictures over which responses are scaled: the ratio holds for pictures as varied as these.
    background : int
        Grey level of the empty screen.
    tr : float
        Seconds from volume to volume.
    rate : float, optional
        Samples per second of electrodes; by default 250 on the scalp, 1250 for a probe; of spikes, bins, 100.
    jitter_deg : float
        Standard deviation of the eye's position.
    lapse_rate : float
        Share of looks that are not answered.
    adaptation : float
        Share of its response that an immediate repeat loses.

    Raises
    ------
    ConfigError
        If the kind is unknown or a figure is out of its range.
    """
    if kind not in DEFAULT_SNR:
        raise ConfigError(f"a participant is of kind {', '.join(map(repr, DEFAULT_SNR))}; got {kind!r}")
    try:
        with one_thread():
            seed = session_seed(subject, session)
            units = DEFAULT_UNITS[kind] if units is None else units
            if units < 16:
                raise ValueError(f"a participant needs at least 16 units, got {units}")
            eye = Eye(seed, jitter_deg, background)
            population = Population(subject, units // 2, units - units // 2, eye, reference)
            observer = Observer(population, seed, lapse_rate, Adaptation(population.mean, adaptation))
            snr = DEFAULT_SNR[kind] if snr is None else snr
            if kind == "fmri":
                return VoxelParticipant(observer, subject, snr=snr, tr=tr)
            if kind == "spikes":
                return SpikingParticipant(
                    observer, subject, snr=snr, **({} if rate is None else {"rate": rate})
                )
            make = scalp if kind == "eeg" else probe
            return ElectrodeParticipant(
                observer, subject, lambda n, rng: make(n, rng, *(() if rate is None else (rate,))), snr=snr
            )
    except ValueError as error:
        raise ConfigError(f"this participant cannot be made: {error}") from None


def record(
    participant: Participant, changes: Iterable[tuple[Pictures, float]], samples: int
) -> NDArray[np.float32]:
    """Return the samples that a live session with these flips would have recorded.

    Parameters
    ----------
    participant : Participant
        The participant; its session is begun again.
    changes : iterable of ((h, w, 3) uint8, float)
        Every change of the screen and its flip, seconds after sample 0, in order.
    samples : int
        Number of samples.

    Returns
    -------
    samples : (samples, channels) float32
        Bit for bit what the live program sends for these flips, as long as it saw none of them late.
    """
    participant.reset()
    rate = participant.signal.rate
    out = np.empty((samples, participant.signal.shape[0]), np.float32)
    at = 0
    for picture, time in changes:
        stop = min(samples, max(at, int(time * rate)))
        out[at:stop] = participant.read(stop - at)
        at = stop
        participant.see(picture, time)
    out[at:] = participant.read(samples - at)
    return out

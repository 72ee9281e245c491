"""Trials of a simulated experiment: the order of pictures, and the participant's responses.

Training and evaluation share them, so that the held-out trials of a bundle can be made again from what it says of
itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.epochs import Epochs
from bci.signal.pipeline import Pipeline
from bci.signal.types import Event, Signal, Window
from bci.sim.participant import Participant, make_participant, record
from models.insilico.layout import layout_of
from models.insilico.settings import InSilico
from models.insilico.whole_run import Betas
from models.provenance import digest

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]

_CHUNK = 4096

#: Pictures over which the participant's responses are scaled; live sessions name the same, ``reference.npy``.
_REFERENCE = 32

#: Sessions of the participant: the one that is fitted on, the one that is scored.
TRAINING, HELD_OUT = 0, 1

#: A trial more of whose values must not be trusted is left out, as a decoder refuses it.
MOST_BAD = 0.2


@dataclass(frozen=True, eq=False)
class Design:
    """A Design holds the latents of an experiment and the order in which their pictures are shown.

    Attributes
    ----------
    latents : (train + test, d) float32
        Of every picture, the training pictures first.
    train, test : (n,) int64
        Which of them are fitted on, once each, and which are not.
    shown : (test * repeats,) int64
        The order of the held-out trials.
    """

    latents: NDArray[np.float32]
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    shown: NDArray[np.int64]

    @property
    def reference(self) -> NDArray[np.int64]:
        """Pictures over which the participant's responses are scaled."""
        return self.train[:_REFERENCE]


def design(setup: InSilico, d: int, random: np.random.Generator) -> Design:
    """Draw latents of size `d`, and the order in which their pictures are shown."""
    latents = random.standard_normal((setup.trials.train + setup.trials.test, d), np.float32)
    train, test = np.split(np.arange(len(latents)), [setup.trials.train])
    shown = np.concatenate([random.permutation(test) for _ in range(setup.trials.repeats)])
    return Design(latents, train, test, shown)


@dataclass(frozen=True, eq=False)
class Set:
    """A Set holds the trials of one session of the participant.

    Attributes
    ----------
    brain : (n, length * channels) or (n, channels) float32
        Epochs through the pipeline, as the decoder gets them, laid out in one row, or averaged over time.
    latents : (n, d) float32
        Of what was shown.
    runs : (n,) int64
        Of each trial.
    """

    brain: NDArray[np.float32]
    latents: NDArray[np.float32]
    runs: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """SHA-256 of answers, latents and runs."""
        return digest(self.brain, self.latents, self.runs)


def participant_of(setup: InSilico, reference: Pictures, session: int) -> Participant:
    """Return the participant for one session, in its scanner; responses are scaled over the pictures `reference`."""
    who = setup.participant
    participant = make_participant(
        who.modality,
        subject=who.subject,
        session=session,
        snr=who.snr,
        units=who.units,
        tr=who.tr,
        reference=reference,
    )
    if who.scanner is None:
        return participant
    from bci.sim.scanner.scanned import ScannedParticipant  # it needs the extra fmri

    return ScannedParticipant(participant, session, **who.scanner.at_rest)


def positions_of(setup: InSilico) -> tuple[Sequence[float], ...]:
    """Return where the head lies in the runs of the training session, which take turns; none where it lies still."""
    scanner = setup.participant.scanner
    return () if scanner is None else scanner.positions


def onsets_of(setup: InSilico, trials: int) -> NDArray[np.float64]:
    """Return when each picture is flipped, seconds after the first sample."""
    if setup.participant.scanner is not None:
        return layout_of(setup, trials).since_beginning
    return np.asarray(setup.trials.lead_in_s + setup.trials.every * (1 + np.arange(trials)))


def answers(
    setup: InSilico,
    participant: Participant,
    pictures: Pictures,
    latents: Floats,
    whole: Betas | None = None,
    positions: Sequence[Sequence[float]] = (),
) -> Set:
    """Return the participant's responses to pictures, each followed by the empty screen.

    Parameters
    ----------
    whole : list, optional
        Of scanned runs: takes the betas of each whole run, of the trials that are returned.
    positions : sequence, optional
        Of scanned runs: as `models.insilico.scans.scanned_epochs` takes them.

    Raises
    ------
    ConfigError
        If hardly an epoch comes after the filters have settled.
    """
    return set_of(setup, epochs(setup, participant, pictures, whole, positions), latents, whole)


def set_of(setup: InSilico, windows: Sequence[Window], latents: Floats, whole: Betas | None = None) -> Set:
    """Return the trials of a session from the epochs of all of its pictures; the rest is as of `answers`."""
    kept = [i for i, window in enumerate(windows) if window.settled and window.bad.mean() <= MOST_BAD]
    if len(kept) < 2:
        raise ConfigError(
            f"expected epochs after the filters have settled, came {len(kept)} of {len(windows)}. Give [trials] a "
            "longer lead_in_s, or [[pipeline]] a filter that settles sooner."
        )
    shown, trials = len(windows), setup.trials
    rows = [windows[i].samples for i in kept]
    brain = np.stack([row.mean(0) if setup.epoch.mean else row.ravel() for row in rows])
    runs = np.arange(shown) * trials.runs // shown
    if setup.participant.scanner is not None:
        runs = layout_of(setup, shown).runs
    if whole:
        whole[:] = [np.concatenate(whole)[kept]]
    return Set(brain, np.asarray(latents, np.float32)[kept], runs[kept])


def epochs(
    setup: InSilico,
    participant: Participant,
    pictures: Pictures,
    whole: Betas | None = None,
    positions: Sequence[Sequence[float]] = (),
) -> list[Window]:
    """Return the epoch of each picture, through the bundle's pipeline, as the decoder gets them."""
    if setup.participant.scanner is not None:
        from models.insilico.scans import run_of, scanned_epochs

        scanned: Any = participant
        return scanned_epochs(setup, scanned, pictures, run_of(scanned), whole, positions)
    samples, onsets = show(setup, participant, pictures)
    return cut(setup, participant.signal, samples, onsets)


def show(setup: InSilico, participant: Participant, pictures: Pictures) -> tuple[NDArray[np.float32], Floats]:
    """Show pictures, each followed by the empty screen; return the signal (n, channels) and the onsets (trials,)."""
    grey = np.full(pictures.shape[1:], 128, np.uint8)
    onsets = onsets_of(setup, len(pictures))
    changes: list[tuple[Pictures, float]] = [(grey, 0.0)]
    for picture, onset in zip(pictures, onsets, strict=True):
        changes += [(picture, float(onset)), (grey, float(onset + setup.trials.stimulus_s))]
    rate = participant.signal.rate
    last = onsets[-1] + setup.trials.every + setup.epoch.stop
    return record(participant, changes, int(last * rate) + 1), onsets


def cut(setup: InSilico, signal: Signal, samples: NDArray[np.float32], onsets: Floats) -> list[Window]:
    """Cut epochs as the decoder does: the pipeline over all samples, then the samples around each onset."""
    pipeline = Pipeline.from_json([dict(step) for step in setup.pipeline])
    cutter = Epochs(signal, pipeline, start=setup.epoch.start, stop=setup.epoch.stop)
    markers = [Event(float(onset), "stimulus") for onset in onsets]
    windows: list[Window] = []
    for first in range(0, len(samples), _CHUNK):
        part = samples[first : first + _CHUNK]
        times = np.arange(first, first + len(part)) / signal.rate
        bad = np.zeros(part.shape, bool)
        chunk = Window(signal, first, part, times, bad, first + len(part) - 1, reset="" if first else "start")
        windows += [epoch.window for epoch in cutter.push(chunk, markers if first == 0 else ())]
    if len(windows) < len(markers):
        raise ConfigError(
            f"{len(markers)} stimuli gave {len(windows)} epochs: [epoch] does not fit into the trials' timing"
        )
    return windows

"""Training trials of a simulated experiment are made again here, for a comparison of readouts."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.datasets.comparable import ComparableTrials
from models.datasets.trials import Stimuli, Trials
from models.generators.package import GeneratorPackage
from models.insilico.learned import Model, learned
from models.insilico.oracle import SessionOracle
from models.insilico.settings import InSilico
from models.insilico.trials import TRAINING, design, participant_of, positions_of
from models.readouts.settings import VoxelSettings


def training_trials(
    setup: Model, seed: int, package: GeneratorPackage, voxels: VoxelSettings | None = None
) -> ComparableTrials:
    """Show the training pictures to the participant.

    Parameters
    ----------
    setup : InSilico
        Settings of the participant, timing and epochs.
    seed : int
        Of the latents that are drawn.
    package : GeneratorPackage
        Draws them.
    voxels : VoxelSettings, optional
        Which voxels a readout takes unless a comparison says otherwise.

    Raises
    ------
    ConfigError
        If hardly an epoch comes after the filters have settled.
    """
    plan = design(setup, package.spec.latent, np.random.default_rng(seed))
    pictures = package.draw(plan.latents)
    participant = participant_of(setup, pictures[plan.reference], TRAINING)
    setup, seen = learned(
        setup, participant, pictures[plan.train], plan.latents[plan.train], positions=positions_of(setup)
    )
    # Where a latent stands among all shown: trials that had not settled are not in `seen`.
    place = {latent.tobytes(): k for k, latent in enumerate(plan.latents)}
    shown = np.array([place[latent.tobytes()] for latent in seen.latents])
    stimuli = Stimuli(
        names=tuple(f"{k:04d}" for k in range(len(plan.latents))),
        latents=plan.latents,
        generator=package.spec.name,
    )
    trials = Trials(
        brain=seen.brain,
        shown=shown,
        stimuli=stimuli,
        subject=f"in silico {setup.participant.subject}",
        runs=seen.runs,
        simulated=True,
    )
    oracle = _TrainingOracle(setup, pictures, plan.train, plan.reference)
    return ComparableTrials(trials, setup.participant.snr, voxels, oracle)


class _TrainingOracle:
    """A _TrainingOracle is the oracle of the training session, in which each picture was shown once, in order."""

    def __init__(
        self,
        setup: InSilico,
        pictures: NDArray[np.uint8],
        train: NDArray[np.int64],
        reference: NDArray[np.int64],
    ) -> None:
        self._setup, self._pictures, self._train, self._reference = setup, pictures, train, reference

    @cached_property
    def _session(self) -> SessionOracle:
        """The responses of the whole session, computed again at the first use, because that takes long."""
        pictures = self._pictures
        return SessionOracle(self._setup, pictures[self._train], pictures[self._reference], TRAINING)

    def __call__(self, stimulus: int, candidates: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the log likelihood of each candidate in the trial of this stimulus: (candidates,)."""
        return self._session(np.array([stimulus]), self._pictures[candidates])[0]

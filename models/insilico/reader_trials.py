"""Training and held-out trials of a simulated experiment with their pictures, for a comparison of systems."""

import numpy as np

from models.datasets.reader_trials import ReaderTrials
from models.datasets.trials import Stimuli, Trials
from models.generators.package import GeneratorPackage
from models.insilico.learned import learned
from models.insilico.oracle import SessionOracle
from models.insilico.settings import InSilico
from models.insilico.trials import (
    HELD_OUT,
    MOST_BAD,
    TRAINING,
    design,
    epochs,
    participant_of,
)
from models.metrics.ceiling import describe_ceiling, noise_ceiling


def shown_trials(setup: InSilico, seed: int, package: GeneratorPackage) -> ReaderTrials:
    """Show the training pictures in one session, the held-out ones in another.

    Parameters
    ----------
    setup : InSilico
        Settings of the participant, timing and epochs.
    seed : int
        Of the latents that are drawn.
    package : GeneratorPackage
        Draws them.

    Raises
    ------
    ConfigError
        If hardly an epoch comes after the filters have settled.
    """
    plan = design(setup, package.spec.latent, np.random.default_rng(seed))
    pictures = package.draw(plan.latents)
    reference, subject = pictures[plan.reference], f"in silico {setup.participant.subject}"
    participant = participant_of(setup, reference, TRAINING)
    setup, seen = learned(setup, participant, pictures[plan.train], plan.latents[plan.train])
    place = {latent.tobytes(): k for k, latent in enumerate(plan.latents)}
    stimuli = Stimuli(
        names=tuple(f"{k:04d}" for k in range(len(plan.latents))),
        latents=plan.latents,
        images=pictures,
        generator=package.spec.name,
    )
    learn = Trials(
        seen.brain,
        np.array([place[latent.tobytes()] for latent in seen.latents]),
        stimuli,
        subject,
        runs=seen.runs,
        simulated=True,
    )
    windows = epochs(setup, participant_of(setup, reference, HELD_OUT), pictures[plan.shown])
    kept = [i for i, window in enumerate(windows) if window.settled and window.bad.mean() <= MOST_BAD]
    rows = [windows[i].samples for i in kept]
    brain = np.stack([row.mean(0) if setup.epoch.mean else row.ravel() for row in rows])
    which = plan.shown[kept] - plan.test[0]
    names = tuple(stimuli.names[k] for k in plan.test)
    tested = Stimuli(names, plan.latents[plan.test], pictures[plan.test], package.spec.name)
    oracle = SessionOracle(setup, pictures[plan.shown], reference, HELD_OUT)
    who = setup.participant
    return ReaderTrials(
        learn=learn,
        test=Trials(brain, which, tested, subject, simulated=True),
        generator=package.folder,
        about=f"a simulated participant's {who.modality.upper()} to pictures of {package.spec.name!r}, single-trial "
        f"signal-to-noise ratio {who.snr:g}",
        ceiling=describe_ceiling(noise_ceiling(brain, which, averaged=1)),
        likelihoods=oracle(np.array(kept), pictures[plan.test]),
    )

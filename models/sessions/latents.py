"""The latents of the pictures that sessions showed, by the names of the pictures."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.session.recorded import RecordedSession
from models.datasets.session_settings import SessionsSettings
from models.datasets.sessions import STIMULUS, find_sessions
from models.sessions.readings import LATENTS, drawn_latents, known_latents


def latents_shown(
    settings: SessionsSettings, root: Path, latent: int, generator: str
) -> dict[str, NDArray[np.float32]]:
    """Return the latent of each picture that was shown, by its name.

    They stand in ``trials.csv`` where a generator drew the pictures while the session ran, else in ``latents.json``
    beside the pictures.

    Parameters
    ----------
    settings : SessionsSettings
        Which sessions, and which kinds of trials.
    root : Path
        The data root.
    latent : int
        How many values the generator's latents have.
    generator : str
        Its name, for errors.

    Raises
    ------
    RecordingError
        If one is not known, has two latents, or one of another size than the generator's.
    """
    kinds = settings.kinds or (STIMULUS,)
    known: dict[str, NDArray[np.float32]] = {}
    for path, folder in find_sessions(settings, root).items():
        session = RecordedSession.read(folder)
        stimuli = session.experiment().get("folder")
        rows = [row for row in session.table("trials") if (row.get("type") or STIMULUS) in kinds]
        drawn = drawn_latents(session)
        beside = known_latents(Path(stimuli)) if stimuli and (Path(stimuli) / LATENTS).is_file() else {}
        for name in dict.fromkeys(row["name"] for row in rows):
            one = drawn.get(name, beside.get(name))
            if one is None:
                raise RecordingError(
                    f"{path}: expected the latent of picture {name!r} in {LATENTS} beside the pictures, in {stimuli}, "
                    'or in trials.csv, came none. Show pictures that a generator drew (protocol = "latents", or a '
                    "folder with their latents)."
                )
            if one.shape != (latent,):
                raise RecordingError(
                    f"{path}: expected latents of {latent} values, as generator {generator} draws, came "
                    f"{one.size} of picture {name!r}. Name the generator that drew it."
                )
            if name in known and not np.array_equal(known[name], one):
                raise RecordingError(
                    f"{path}: picture {name!r} has another latent than in a session before. Train on one set of "
                    "pictures."
                )
            known[name] = one
    return known

"""How a session's decoder was adapted: what it was told before it began, and every change, out of its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.adaptation import Drift, OnlineAdaptation, state_size
from bci.errors import ConfigError, RecordingError
from bci.io.files.folder import write_json
from bci.io.files.regular import Refuse, read_json
from bci.signal.types import Signal

if TYPE_CHECKING:
    from bci.session.recorded import RecordedSession

#: The stream of a session on which each change is recorded: the newest source sample of the trial that was learned
#: from, then the state after it.
ADAPTATION = "adaptation"

#: In a folder of pictures: the latent of each by its name.
LATENTS = "latents.json"


def adaptation_signal(d: int) -> Signal:
    """Return what the stream of changes carries, for latents of d numbers."""
    return Signal(ADAPTATION, 0.0, (1 + state_size(d),), (), "", "float64")


@dataclass(frozen=True, slots=True)
class AdaptationPlan:
    """An AdaptationPlan is what a decoder's adaptation begins with.

    Attributes
    ----------
    memory, trust : float
        See `bci.decoder.adaptation.Drift`.
    common : bool
        Whether one scale serves all latents.
    truth : mapping of str to list of float
        Latent of each stimulus by its name.
    state : list of float, optional
        What an earlier session ended with.
    """

    memory: float
    trust: float
    common: bool
    truth: Mapping[str, list[float]]
    state: list[float] | None = None

    def open(self) -> OnlineAdaptation:
        """Return the adaptation as the session begins it.

        Raises
        ------
        DataError
            If the state is that of other latents.
        """
        truth = {name: np.asarray(row, np.float64) for name, row in self.truth.items()}
        d = len(next(iter(truth.values())))
        drift = Drift(d, memory=self.memory, trust=self.trust, common=self.common)
        if self.state is not None:
            drift.restore(self.state).renewed()
        return OnlineAdaptation(drift, truth)


def read_truth(path: Path, d: int) -> dict[str, list[float]]:
    """Read the latents of stimuli, d numbers each.

    Raises
    ------
    ConfigError
        If the file is not there, or says something else.
    """

    def refuse(words: str) -> ConfigError:
        return ConfigError(
            f"[decoder.adaptation] latents: {words} Expected JSON with {d} numbers for each stimulus by its name."
        )

    rows = read_json(path, refuse)
    if not isinstance(rows, dict) or not rows:
        raise refuse(f"{path} holds no names.")
    truth = {}
    for name, row in rows.items():
        try:
            values = np.asarray(row, np.float64)
        except (TypeError, ValueError):
            raise refuse(f"{path}: {name!r} has no numbers.") from None
        if values.shape != (d,) or not np.isfinite(values).all():
            raise refuse(f"{path}: {name!r} has {values.shape} of them.")
        truth[str(name)] = values.tolist()
    return truth


def last_state(folder: Path, plan: AdaptationPlan, decoder: str | None = None) -> list[float]:
    """Return the state that an earlier session ended with; of one that was not adapted, the state that fits its trials.

    Parameters
    ----------
    folder : Path
        The earlier session's.
    plan : AdaptationPlan
        Truth, memory and trust of the session that is to begin.
    decoder : str, optional
        Which decoder's; the first one's when absent.

    Raises
    ------
    RecordingError
        If it is no whole session, or none of its trials has a stimulus whose latent is known.
    """
    from bci.session.recorded import RecordedSession  # only here: decoders, too, import this module

    session = RecordedSession.read(folder)
    if changes := read_changes(session, decoder):
        state: list[float] = changes[max(changes)].tolist()
        return state
    adaptation = plan.open()
    for frame in session.decoding(decoder).frames:
        if frame.valid and frame.event is not None:
            adaptation.learn(frame.event.text, frame.latent)
    if not adaptation.drift.trials:
        raise RecordingError(
            f"{folder}: expected trials of stimuli whose latents are known, to begin an adaptation with; came none. "
            f"Name "
            "a session with the same stimuli, or leave out [decoder.adaptation] begin."
        )
    fitted: list[float] = adaptation.drift.state.tolist()
    return fitted


def read_changes(session: "RecordedSession", decoder: str | None = None) -> dict[int, NDArray[np.float64]]:
    """Return the states after each trial that a decoder learned from, by the newest source sample of the trial."""
    name = f"{ADAPTATION}:{decoder}" if decoder else ADAPTATION
    if name not in session.stream_names():
        return {}
    rows = [np.asarray(samples, np.float64) for _, samples in session.pieces(name)]
    return {int(row[0]): row[1:] for row in np.concatenate(rows)} if rows else {}


def write_plans(folder: Path, plans: Mapping[str, AdaptationPlan]) -> None:
    """Keep in a session's folder what its decoders' adaptations begin with, by the decoders' names."""
    for name, plan in plans.items():
        said = {
            "memory": plan.memory, "trust": plan.trust, "common": plan.common, "truth": dict(plan.truth),
            "state": plan.state,
        }  # fmt: skip
        write_json(_path(folder, name), said)


def read_plan(folder: Path, decoder: str | None = None) -> AdaptationPlan | None:
    """Return what a decoder's adaptation began with; None where it has none.

    Raises
    ------
    RecordingError
        If the file is damaged.
    """
    path = _path(folder, decoder)
    if not path.is_file():
        return None

    def refuse(words: str) -> RecordingError:
        return RecordingError(f"{path}: {words.rstrip('.')}. Expected what the session wrote when it began.")

    return _parsed(read_json(path, refuse), refuse)


def _parsed(said: Any, refuse: Refuse) -> AdaptationPlan:
    try:
        return AdaptationPlan(
            float(said["memory"]),
            float(said["trust"]),
            bool(said["common"]),
            dict(said["truth"]),
            said["state"],
        )
    except (TypeError, KeyError, ValueError) as error:
        raise refuse(f"something of it is missing ({error})") from None


def _path(folder: Path, decoder: str | None) -> Path:
    return folder / (f"adaptation-{decoder}.json" if decoder else "adaptation.json")

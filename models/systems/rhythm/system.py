"""A rhythm, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from models.reports.decoded import Decoded
from models.systems.system import FoundData, Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Fit a readout to the windows of every recording; score it on folds that it did not see."""
    from models.systems.rhythm.train import train_rhythm

    return train_rhythm(path, out, data_root, progress, even_at_chance)


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the recordings, once all are there, and cut their windows."""
    from models.settings import find_data_root
    from models.systems.rhythm.settings import load_rhythm
    from models.systems.rhythm.trials import cut_rhythm

    config = load_rhythm(path)
    root = find_data_root(data_root, needed=False)
    missing = [one.path for one in config.recordings if not (root / one.path).is_file()]
    if missing:
        return [f"the recording {name} below {root}" for name in missing]
    cut_rhythm(config, root)
    return []


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Cut the windows again, and predict each by a readout that never saw its fold."""
    from models.systems.rhythm.evaluate import cross_predicted_phases

    return cross_predicted_phases(bundle, data_root)


def own_report(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Report on a rhythm: phase locking, its course beside the true one; no metric needs `weights`."""
    from models.systems.rhythm.evaluate import evaluate_rhythm

    return evaluate_rhythm(bundle, out, data_root, progress)


def find_data(path: Path, *, data_root: Path | None) -> FoundData:
    """Say what the recordings hold, as training will use it."""
    from models.systems.rhythm.evaluate import find_rhythm

    return find_rhythm(path, data_root)


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.rhythm.settings import RhythmConfig

    return RhythmConfig


SYSTEM = System(
    kind="rhythm",
    about="phase and power of a rhythm at the newest sample, read from the past alone and drawn on a dial",
    train=train,
    held_out=held_out,
    own_report=own_report,
    check=check,
    settings=settings,
    find_data=find_data,
)

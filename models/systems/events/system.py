"""Classes of events, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from models.datasets.reader_trials import ReaderTrials
from models.reports.decoded import Decoded
from models.systems.system import FoundData, Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Fit a readout to the epochs of every recording; score it on folds that it did not see."""
    from models.systems.events.train import train_events

    return train_events(path, out, data_root, progress, even_at_chance)


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the recordings, once all are there, and cut their epochs."""
    from models.settings import find_data_root
    from models.systems.events.folds import folds_of
    from models.systems.events.own_data import written_out
    from models.systems.events.settings import load_events
    from models.systems.events.trials import cut_trials

    config = load_events(path)
    root = find_data_root(data_root, needed=False)
    missing = [one.path for one in config.recordings if not (root / one.path).is_file()]
    if missing:
        return [f"the recording {name} below {root}" for name in missing]
    config = written_out(config, root)
    folds_of(config, cut_trials(config, root))
    return []


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Cut the epochs again, and predict each by a readout that never saw its fold."""
    from models.systems.events.evaluate import cross_predicted

    return cross_predicted(bundle, data_root)


def own_report(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Report on classes: areas under the curve, averages of trials, mean responses; no metric needs `weights`."""
    from models.systems.events.evaluate import evaluate

    return evaluate(bundle, out, data_root, progress)


def find_data(path: Path, *, data_root: Path | None) -> FoundData:
    """Say what the recordings hold, as training will use it."""
    from models.systems.events.found import find_events

    return find_events(path, data_root)


def shown(path: Path, *, data_root: Path | None) -> ReaderTrials:
    """Let two pictures of the shipped generator of faces stand for two classes."""
    from models.systems.events.stand_ins import shown_trials

    return shown_trials(path, data_root)


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.events.settings import EventsConfig

    return EventsConfig


def class_of(bundle: Bundle, marker: str) -> str:
    """Return the class that a marker is of, as the bundle was trained; empty for none."""
    from models.systems.events.settings import parse_events
    from models.systems.saving import settings_of

    labels = parse_events(*settings_of(bundle, "events")).labels_of(marker)
    return labels[0] if len(labels) == 1 else ""


SYSTEM = System(
    kind="events",
    about="classes of events, read from the epochs around them and drawn as a bar each",
    train=train,
    held_out=held_out,
    own_report=own_report,
    check=check,
    settings=settings,
    find_data=find_data,
    class_of=class_of,
    shown=shown,
)

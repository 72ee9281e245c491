"""What `benchmarks.trust` gives decoders of one's own data: each fold of a recording, as it is and spoilt.

Every fold is read by a bundle that was trained on the others, limits and all.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.signal.types import Event
from benchmarks.live_folds import bundle_without, number_bundle_without
from benchmarks.trust_inputs import Given, Samples, around, channels_of, opened, sliding, spoilt
from models.settings import find_data_root
from models.systems.events.drawing import open_drawing
from models.systems.events.folds import folds_of
from models.systems.events.settings import load_events
from models.systems.events.trials import cut_trials
from models.systems.numbers.settings import load_numbers
from models.systems.numbers.trials import contiguous_folds, cut_windows

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
#: Training files of recordings whose trials are few.
OWN = {name: CONFIGS / f"{name}-train.toml" for name in ("ssvep", "fists", "grip")}


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """A bundle, and of the recording that it never saw the samples, the markers and where its windows end."""

    bundle: Bundle
    samples: Samples
    markers: Sequence[Event]
    ends: NDArray[np.int64]


def own_inputs(name: str, data: Path | None) -> Iterator[Given]:
    """Yield what the decoder of each fold is given of its own recording, one kind of input after the other."""
    root = find_data_root(data)
    with tempfile.TemporaryDirectory(prefix="bci-trust-") as work:
        folds = (_of_numbers if name == "grip" else _of_events)(OWN[name], root, Path(work))
        for same in zip(*(spoilt(fold.bundle.signal, fold.samples) for fold in folds), strict=True):
            for fold, (kind, samples) in zip(folds, same, strict=True):
                if name == "grip":
                    cut = sliding(fold.bundle, samples)
                else:
                    cut = around(fold.bundle, samples, fold.markers)
                yield kind, fold.bundle, [one for one in cut if one.last_sample + 1 in fold.ends]


def _of_events(file: Path, root: Path, work: Path) -> list[_Fold]:
    config = load_events(file)
    trials, recordings, folds = cut_trials(config, root), opened(config, root), []
    drawing = open_drawing(config, root, CONFIGS)
    for place, fold in enumerate(folds_of(config, trials)):
        _, bundle = bundle_without(fold, config, trials, drawing, work / f"{place}")
        (run,) = np.unique(trials.run[fold.score])
        one = recordings[run]
        samples = channels_of(bundle, one, 0, one.n)
        folds.append(_Fold(bundle, samples, one.markers, trials.end[fold.score]))
    return folds


def _of_numbers(file: Path, root: Path, work: Path) -> list[_Fold]:
    config = load_numbers(file)
    trials, (one,), folds = cut_windows(config, root), opened(config, root), []
    for place, fold in enumerate(contiguous_folds(trials, np.arange(len(trials)), config.folds)):
        _, bundle = number_bundle_without(fold, config, trials, work / f"{place}")
        folds.append(_Fold(bundle, channels_of(bundle, one, 0, one.n), (), trials.end[fold.score]))
    return folds

"""Trials that were cut elsewhere, as NumPy arrays: what was recorded, what each trial is, runs and onsets.

Arrays say nothing of themselves, so what does not fit is refused in words, and where no rate is stated a decoder of
them can be evaluated, not run live.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.npy import PLAIN, load_array, load_arrays
from bci.io.files.regular import require_regular
from models.datasets.recordings import digest_of
from models.datasets.session_settings import ArraySettings

#: Kinds of array that are read: plain values, and text for classes and runs.
_KINDS = PLAIN + "U"


@dataclass(frozen=True, slots=True, eq=False)
class ArrayTrials:
    """An ArrayTrials holds trials as arrays gave them, without those that are not finite.

    Attributes
    ----------
    samples : (n, length, channels) float32
        Time is axis 1; features are one sample each.
    what : (n, …)
        What each trial is: a class, a number, or a latent.
    run : (n,) int64
    onset : (n,) int64 or None
        Where in its run each was cut, in samples after the pipeline; None where no two overlap.
    runs : tuple of str
        What each run is called.
    data : mapping of str to str
        SHA-256 of each file, by its path.
    left_out : mapping of str to int
        Trials that cannot be used, by reason.
    defects : tuple of str
        What is to be known of them, a sentence each.
    features : bool
        Whether there are no samples in time.
    """

    samples: NDArray[np.float32]
    what: NDArray[Any]
    run: NDArray[np.int64]
    onset: NDArray[np.int64] | None
    runs: tuple[str, ...]
    data: Mapping[str, str]
    left_out: Mapping[str, int] = field(default_factory=dict)
    defects: tuple[str, ...] = ()
    features: bool = False

    def __len__(self) -> int:
        return len(self.run)

    def ends(self) -> NDArray[np.int64]:
        """Return one past the last sample of each trial in its run, after the pipeline: (n,)."""
        length = self.samples.shape[1]
        if self.onset is not None:
            return self.onset + length
        counted = np.empty(len(self), np.int64)
        for run in range(len(self.runs)):
            own = self.run == run
            counted[own] = np.arange(1, own.sum() + 1)
        return counted * length


def open_arrays(settings: ArraySettings, root: Path) -> ArrayTrials:
    """Read the arrays of a training file.

    Parameters
    ----------
    settings : ArraySettings
        Which arrays.
    root : Path
        The data root.

    Raises
    ------
    RecordingError
        If a file is missing or cannot be read, arrays do not fit each other, or a run holds the trials of another.
    """
    parts = []
    data = {}
    for name in settings.files:
        place = find_array_file(name, root)
        parts.append(_read(name, place, settings))
        data[name] = digest_of(sorted(place.glob("*.npy")) if place.is_dir() else [place])
    _require_alike(parts)
    left_out: Counter[str] = Counter()
    samples = np.concatenate([part.samples for part in parts])
    what = np.concatenate([part.what for part in parts])
    finite = np.isfinite(samples).all(axis=(1, 2))
    known = _known(what)
    left_out.update({why: int(n) for why, n in _reasons(finite, known) if n})
    first_of = np.cumsum([0, *(len(part.runs) for part in parts[:-1])])
    run = np.concatenate([part.run + first for part, first in zip(parts, first_of, strict=True)])
    onsets = [part.onset for part in parts if part.onset is not None]
    if onsets and len(onsets) < len(parts):
        raise RecordingError(
            f"[data.arrays]: expected onsets in each of {len(parts)} files, or in none, came {len(onsets)} with them."
        )
    kept = finite & known
    runs = tuple(one for part in parts for one in part.runs)
    _require_no_copies(runs, samples, run)
    trials = ArrayTrials(
        samples[kept].astype(np.float32),
        what[kept],
        run[kept],
        np.concatenate(onsets)[kept] if onsets else None,
        runs,
        data,
        dict(left_out),
        tuple(_doubled(samples[kept])),
        parts[0].features,
    )
    if not len(trials):
        raise RecordingError(
            f"[data.arrays]: expected trials of finite numbers, came {len(kept)} of which none is."
        )
    return trials


def values_of_arrays(settings: ArraySettings, root: Path) -> list[str]:
    """Return the values of ``y`` as text, each once, in order.

    Raises
    ------
    RecordingError
        As `open_arrays`.
    """
    values = [_array(name, find_array_file(name, root), settings.y, "y") for name in settings.files]
    for part in values:
        require_flat(part, settings.y)
    return sorted({text_of(value) for part in values for value in part[_known(part)].ravel()}, key=_order)


def require_flat(what: NDArray[Any], name: str) -> None:
    """Refuse latents where one class or number for each trial is wanted.

    Raises
    ------
    RecordingError
        If it is no array of shape (trials,).
    """
    if what.ndim != 1:
        raise RecordingError(
            f"[data.arrays] {name}: expected one value for each trial, (trials,), came shape {what.shape}. Latents are "
            "read by kind = 'pictures'."
        )


def text_of(value: Any) -> str:
    """Return a value of ``y`` as a marker would say it.

    Examples
    --------
    >>> [text_of(value) for value in np.array([1.0, 2.5])], text_of(np.str_("left"))
    (['1', '2.5'], 'left')
    """
    if isinstance(value, np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def find_array_file(name: str, root: Path) -> Path:
    """Return the archive or folder of arrays that is called so, below the data root or the current folder.

    Raises
    ------
    RecordingError
        If there is none.
    """
    places = [base / name for base in (root, Path())]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise RecordingError(
            f"[data.arrays] files: expected {name!r}, an archive (.npz) or a folder of .npy, below {root} or "
            f"{Path().resolve()}, and there is none. Name the folder that paths start from with --data or BCI_DATA."
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A _Part is one file: its trials, (n, length, channels), and its own runs."""

    name: str
    samples: NDArray[Any]
    what: NDArray[Any]
    run: NDArray[np.int64]
    onset: NDArray[np.int64] | None
    runs: tuple[str, ...]
    features: bool


def _read(name: str, place: Path, settings: ArraySettings) -> _Part:
    samples = _array(name, place, settings.X, "X")
    if samples.ndim not in (2, 3) or not samples.size or samples.dtype.kind == "U":
        raise RecordingError(
            f"{name}: expected {settings.X} as numbers of shape (trials, channels, samples) or (trials, features), "
            f"came {samples.dtype} of shape {samples.shape}."
        )
    what = _array(name, place, settings.y, "y")
    if not what.ndim or len(what) != len(samples):
        turned = " Trials are axis 0." if what.ndim and len(what) in samples.shape[1:] else ""
        raise RecordingError(
            f"{name}: expected {settings.y} to say what each of {len(samples)} trials of {settings.X} is, came an "
            f"array of shape {what.shape} for one of shape {samples.shape}.{turned}"
        )
    run, runs = _runs(name, place, settings, len(samples))
    onset = _array(name, place, settings.onsets or "onsets", "onsets", needed=settings.onsets is not None)
    if onset is not None and (onset.shape != (len(samples),) or onset.dtype.kind not in "iu"):
        raise RecordingError(
            f"{name}: expected onsets as a whole number, in samples, for each of {len(samples)} trials, came "
            f"{onset.dtype} of shape {onset.shape}."
        )
    features = samples.ndim == 2
    return _Part(
        name,
        samples[:, None, :] if features else np.swapaxes(samples, 1, 2),
        what,
        run,
        None if onset is None else onset.astype(np.int64),
        runs,
        features,
    )


def _runs(
    name: str, place: Path, settings: ArraySettings, n: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the run of each of `n` trials of a file, (n,), and what each run is called."""
    given = _array(name, place, settings.runs or "runs", "runs", needed=settings.runs is not None)
    if given is None:
        return np.zeros(n, np.int64), (name,)
    if given.shape != (n,) or given.dtype.kind == "f":
        raise RecordingError(
            f"{name}: expected runs as a whole number or a name for each of {n} trials, came {given.dtype} of shape "
            f"{given.shape}."
        )
    values, run = np.unique(given, return_inverse=True)
    return run.astype(np.int64), tuple(f"{name} {text_of(value)}" for value in values)


def _array(name: str, place: Path, called: str, key: str, *, needed: bool = True) -> Any:
    """Return an array of an archive or a folder; None where there is none and it is not `needed`."""
    if place.is_dir():
        there = {path.stem: path for path in sorted(place.glob("*.npy"))}
        found = load_array(there[called], RecordingError, kinds=_KINDS) if called in there else None
    elif place.suffix.lower() == ".npz":
        require_regular(place, RecordingError)
        read = load_arrays(place, RecordingError, kinds=_KINDS, only=None if needed else {called})
        there, found = dict.fromkeys(read, place), read.get(called)
    else:
        raise RecordingError(
            f"[data.arrays] files: expected archives (.npz), or folders of X.npy and y.npy, came {name}."
        )
    if found is None and needed:
        raise RecordingError(
            f"{name}: expected an array {called!r}, came {', '.join(sorted(there)) or 'none'}. Say what it is called: "
            f"[data.arrays] {key}."
        )
    return found


def _require_alike(parts: Sequence[_Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        for what, own, other in (
            ("trials", part.samples.shape[1:], first.samples.shape[1:]),
            ("y", part.what.shape[1:], first.what.shape[1:]),
        ):
            if own != other or part.features != first.features:
                raise RecordingError(
                    f"expected {what} of one shape, came {_turned(other)} in {first.name} and {_turned(own)} in "
                    f"{part.name}. Train on those of one montage and length."
                )


def _turned(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape as the file has it, channels before samples."""
    return shape[::-1]


def _known(what: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which trials say what they are: (n,)."""
    if what.dtype.kind == "f":
        return np.asarray(np.isfinite(what.reshape(len(what), -1)).all(axis=1))
    return np.ones(len(what), bool)


def _reasons(finite: NDArray[np.bool_], known: NDArray[np.bool_]) -> list[tuple[str, int]]:
    return [("not finite", int((~finite).sum())), ("without a y", int((finite & ~known).sum()))]


def _require_no_copies(runs: Sequence[str], samples: NDArray[Any], run: NDArray[np.int64]) -> None:
    seen: dict[str, str] = {}
    for place, name in enumerate(runs):
        own = np.ascontiguousarray(samples[run == place])
        other = seen.setdefault(hashlib.sha256(own.tobytes()).hexdigest(), name)
        if other != name:
            raise RecordingError(
                f"{name} holds the very trials of {other}: expected different runs, came a copy. Name each once."
            )


def _doubled(samples: NDArray[Any]) -> list[str]:
    """Return a sentence where trials are there more than once: folds would score what was fitted on."""
    rows = [hashlib.sha256(np.ascontiguousarray(row).tobytes()).digest() for row in samples]
    again = len(rows) - len(set(rows))
    return [f"{again} of {len(rows)} trials hold the very samples of another one"] if again else []


def _order(text: str) -> tuple[bool, float, str]:
    """Return what texts are sorted by: numbers by their size, before words."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text

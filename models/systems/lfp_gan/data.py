"""Windows of a recording with the image that each was shown, and windows drawn at random from all of it.

The recording is never loaded: windows are read one by one from where they lie. Windows of images that are tested on
are kept from whatever learns, from pretraining too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError, DataError
from bci.io.files.npy import load_array
from bci.io.files.recording import Recording, open_recording
from bci.signal.types import Signal
from models.provenance import digest
from models.systems.lfp_gan.settings import AllenData, LfpGanConfig, RecordedData, SurrogateData
from models.systems.lfp_gan.surrogate import SurrogateLfp
from models.systems.lfp_gan.tables import LENGTH

Windows = NDArray[np.float32]

#: Seconds of a window; the published rate gives its 313 samples.
WINDOW_S = 0.25
#: Draws for one window at random before the recording is given up as too short.
_TRIES = 200


@dataclass(frozen=True, eq=False)
class ShownWindows:
    """A ShownWindows holds the windows after the onsets of images.

    Attributes
    ----------
    recording : Recording
    columns : (channels,) int64
        Which of its channels.
    signal : Signal
        Of these channels.
    length : int
        Samples of a window.
    onsets, which : (n,) int64
        First sample of each presentation, and its image.
    images : (k, height, width) float32
        0 to 1.
    tested : (k,) bool
        Images that nothing learns from.
    windows : (n, channels, length) float32
        In units of `scale`, without `mean`.
    mean : (channels, 1) float32
    scale : float
        Deviation of the training windows, in the signal's unit.
    origin : dict of str to str
        What it was made from, with hashes.
    """

    recording: Recording
    columns: NDArray[np.int64]
    signal: Signal
    length: int
    onsets: NDArray[np.int64]
    which: NDArray[np.int64]
    images: NDArray[np.float32]
    tested: NDArray[np.bool_]
    windows: Windows
    mean: NDArray[np.float32]
    scale: float
    origin: dict[str, str]

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """Which windows are of images that nothing learns from, (n,)."""
        return self.tested[self.which]

    @property
    def training(self) -> tuple[Windows, NDArray[np.int64]]:
        """Windows to learn from, and the image of each."""
        return self.windows[~self.held_out], self.which[~self.held_out]

    @property
    def test(self) -> tuple[Windows, NDArray[np.int64]]:
        """Windows to compare with, and the image of each."""
        return self.windows[self.held_out], self.which[self.held_out]

    def at_random(self, n: int, random: np.random.Generator) -> tuple[Windows, float]:
        """Return windows from anywhere but presentations of tested images: (n, channels, length).

        Returns
        -------
        windows : (n, channels, length) float32
        share : float
            Of places drawn that lay in a presentation of a tested image, and were left out.

        Raises
        ------
        DataError
            If hardly a place is left.
        """
        forbidden = self.onsets[self.held_out]
        places, drawn, refused = [], 0, 0
        while len(places) < n:
            if drawn > _TRIES * n:
                raise DataError(
                    f"expected a recording with windows of {self.length} samples beside those of tested images, came "
                    f"{self.recording.name}, where {len(places)} of {drawn} places drawn were such. Test on fewer."
                )
            first = _somewhere(self.recording, self.length, self.onsets, random)
            drawn += 1
            if len(forbidden) and np.abs(forbidden - first).min() < self.length:
                refused += 1
            else:
                places.append(first)
        cut = _cut(self.recording, places, self.columns, self.length)
        return (cut - self.mean) / np.float32(self.scale), refused / drawn


def open_windows(config: LfpGanConfig, root: Path) -> ShownWindows:
    """Open the recording of a training file and cut its windows; paths start from `root`.

    Raises
    ------
    ConfigError
        If a key does not fit what the files hold.
    DataError
        If there are too few images, or presentations of one.
    RecordingError
        If a file cannot be read.
    """
    data = config.data
    if isinstance(data, SurrogateData):
        made = SurrogateLfp(config.seed, data.images, data.images * data.repeats + 1)
        shown = [
            (e.time, int(e.text.split()[1]))
            for e in made.markers_between(0, data.images * data.repeats * 0.3)
        ]
        origin = {f"surrogate LFP, seed {config.seed}": digest(made.contrasts)}
        return _cut_all(config, made, shown, made.pictures, None, origin)
    images = _images(root / data.images, config.networks.image_size)
    if isinstance(data, AllenData):
        from models.systems.lfp_gan.allen import open_probe, presentations

        probe = open_probe(root / data.path, data.probe)
        recording, shown = probe, presentations(root / data.session, probe)
        files = [data.path, data.session, data.images]
    else:
        recording, shown = _recorded(data, root)
        files = [data.path, data.images]
    origin = {Path(name).name: _hash(root / name) for name in files}
    return _cut_all(config, recording, shown, images, data.channels, origin)


def _recorded(data: RecordedData, root: Path) -> tuple[Recording, list[tuple[float, int]]]:
    recording = open_recording(root / data.path, rate=data.rate, unit=data.unit, stream=data.stream)
    try:
        pattern = re.compile(data.marker)
    except re.error as error:
        raise ConfigError(
            f"data.marker: expected a regular expression, came {data.marker!r}: {error}."
        ) from None
    if "image" not in pattern.groupindex:
        raise ConfigError(
            f"data.marker: expected a group called image, such as 'image (?P<image>\\d+)', came {data.marker!r}."
        )
    matches = [(event, pattern.fullmatch(event.text)) for event in recording.markers]
    return recording, [(event.time, int(match["image"])) for event, match in matches if match]


def _cut_all(
    config: LfpGanConfig,
    recording: Recording,
    shown: Sequence[tuple[float, int]],
    images: NDArray[np.float32],
    channels: tuple[str, ...] | None,
    origin: dict[str, str],
) -> ShownWindows:
    signal, columns = _columns(recording, channels)
    length = LENGTH if round(signal.rate) == 1250 else round(WINDOW_S * signal.rate)
    onsets, which = _onsets(recording, shown, length)
    _require_images(recording, which, len(images))
    random = np.random.default_rng([config.seed, 11])
    present = np.unique(which)
    tested = np.zeros(len(images), bool)
    tested[random.permutation(present)[: max(2, round(config.test_share * len(present)))]] = True
    windows = _cut(recording, onsets, columns, length)
    learned = windows[~tested[which]]
    mean = learned.mean((0, 2), np.float64).astype(np.float32)[:, None]
    scale = float((learned - mean).std(dtype=np.float64))
    if not scale > 0 or not np.isfinite(scale):
        raise DataError(
            f"expected a signal that moves, came {recording.name}, whose windows have deviation {scale:g}."
        )
    return ShownWindows(
        recording, columns, signal, length, onsets, which, images, tested, (windows - mean) / np.float32(scale), mean,
        scale, origin,
    )  # fmt: skip


def _columns(recording: Recording, channels: tuple[str, ...] | None) -> tuple[Signal, NDArray[np.int64]]:
    signal = recording.signal
    if len(signal.shape) != 1:
        raise ConfigError(f"{recording.name}: expected channels, came samples of shape {signal.shape}.")
    if channels is None:
        return signal, np.arange(signal.shape[0])
    if unknown := [name for name in channels if name not in signal.channels]:
        raise ConfigError(
            f"data.channels: expected channels of {recording.name}, {', '.join(signal.channels[:12])}, came "
            f"{', '.join(unknown)}."
        )
    picked = Signal(signal.name, signal.rate, (len(channels),), channels, signal.unit)
    return picked, np.array([signal.channels.index(name) for name in channels])


def _onsets(
    recording: Recording, shown: Sequence[tuple[float, int]], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first samples and images of presentations whose window lies in one run without a gap."""
    from bci.io.files.recording import sample_at

    rows = []
    for time, image in shown:
        first = sample_at(recording, time)
        if any(low <= first and first + length <= high for low, high in recording.segments):
            rows.append((first, image))
    first_samples, which = (
        (np.array(column, np.int64) for column in zip(*rows, strict=True)) if rows else ([], [])
    )
    return np.asarray(first_samples, np.int64), np.asarray(which, np.int64)


def _require_images(recording: Recording, which: NDArray[np.int64], known: int) -> None:
    if len(which) and (which.min() < 0 or which.max() >= known):
        raise DataError(
            f"{recording.name}: expected presentations of {known} images, numbered from 0, came image {which.max()}. "
            "Name the array that holds all images."
        )
    counts = np.bincount(which, minlength=1)
    if (counts > 0).sum() < 10 or counts[counts > 0].min() < 2:
        raise DataError(
            f"{recording.name}: expected ten images or more, each shown twice or more, came {(counts > 0).sum()} "
            f"images in {len(which)} presentations that lie whole in the recording."
        )


def _somewhere(
    recording: Recording, length: int, onsets: NDArray[np.int64], random: np.random.Generator
) -> int:
    """Return a first sample at random; an endless recording ends where its presentations do."""
    last = int(onsets.max()) + length
    runs = [(low, min(high, last) if recording.n is None else high) for low, high in recording.segments]
    room = np.array([max(0, high - low - length + 1) for low, high in runs])
    place = int(random.integers(room.sum()))
    run = int(np.searchsorted(np.cumsum(room), place, "right"))
    return int(runs[run][0] + place - (np.cumsum(room)[run] - room[run]))


def _cut(
    recording: Recording, places: Sequence[int] | NDArray[np.int64], columns: NDArray[np.int64], length: int
) -> Windows:
    out = np.empty((len(places), len(columns), length), np.float32)
    for k in np.argsort(places, kind="stable"):  # in order of time: neighbours share what is read
        first = int(places[k])
        out[k] = recording.read(first, first + length)[:, columns].T
    return out


def _images(path: Path, size: tuple[int, int] | None) -> NDArray[np.float32]:
    from PIL import Image

    images = np.asarray(load_array(path, DataError))
    if images.ndim != 3:
        raise DataError(
            f"{path}: expected images (n, height, width), grey, came an array of shape {images.shape}."
        )
    grey = images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)
    if not (np.isfinite(grey).all() and 0 <= grey.min() and grey.max() <= 1):
        raise DataError(f"{path}: expected images as uint8, or from 0 to 1, came {images.dtype} beyond that.")
    if size is None:
        return grey
    resized = [np.asarray(Image.fromarray(one).resize(size[::-1], Image.Resampling.BOX)) for one in grey]
    return np.clip(np.stack(resized), 0, 1)


def _hash(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

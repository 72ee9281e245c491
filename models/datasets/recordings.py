"""The recordings of a training file: opened, of one rate and unit, and known by their hashes."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bci.decoder.bundle import Bundle
from bci.errors import RecordingError
from bci.io.files.pace import require_paced
from bci.io.files.recording import Recording, open_recording, usual_movement
from bci.signal.labels import label_key
from bci.signal.quality.amplitude import implausible, impossible, measurable
from bci.signal.units import unit_key
from models.settings import ExpectedSignal, RecordedFile

Opened = tuple[Recording, str]

#: Whose a recording is, in a path of BIDS or LabRecorder, sub-P001/ses-S001/eeg/sub-P001_…, or of EEG-ExPy,
#: subject0001/session001/….
_PARTICIPANT = re.compile(r"(?:^|/|_)(sub-[A-Za-z0-9]+|subject[-_]?[0-9]+)")


def open_recordings(
    files: Sequence[RecordedFile], root: Path, expected: ExpectedSignal
) -> tuple[list[Opened], float]:
    """Open recordings; return each with its SHA-256, and their rate.

    Parameters
    ----------
    files : sequence of RecordedFile
        Paths start at `root`.
    root : Path
        The data root.
    expected : ExpectedSignal
        Which channels will be read of them, and in what unit.

    Raises
    ------
    RecordingError
        If one is missing, cannot be read, has no end, is of another participant, unit or rate, moves by what no brain
        gives in that unit, or holds what another holds.
    """
    return require_alike(
        [open_file(settings, root) for settings in files], [one.path for one in files], expected
    )


def require_alike(
    opened: list[Opened], names: Sequence[str], expected: ExpectedSignal
) -> tuple[list[Opened], float]:
    """Return recordings, by their names, and their rate, if they are of one unit and rate and no copies.

    Raises
    ------
    RecordingError
        As `open_recordings`.
    """
    for name, (recording, _) in zip(names, opened, strict=True):
        _require_unit(name, recording, expected.unit)
        require_possible(name, recording, expected)
    _require_one_participant(names)
    rates = sorted({recording.signal.rate for recording, _ in opened})
    if len(rates) > 1:
        raise RecordingError(
            f"expected recordings of one rate, came {', '.join(f'{rate:g} Hz' for rate in rates)}. "
            "Train on those of one rate."
        )
    _require_different(names, opened)
    return opened, rates[0]


def defects_of(opened: Sequence[Opened]) -> tuple[str, ...]:
    """Return what recordings say of themselves, each sentence behind the name of its recording."""
    return tuple(f"{recording.name}: {words}" for recording, _ in opened for words in recording.defects)


def require_trained_on(bundle: Bundle, data: Mapping[str, str]) -> None:
    """Refuse recordings, SHA-256 by path, that are not those that a bundle was trained on.

    Raises
    ------
    RecordingError
        If one is another of the same name.
    """
    trained = bundle.spec.provenance.data
    changed = [path for path, digest in data.items() if trained.get(path) != digest]
    if changed:
        raise RecordingError(
            f"{changed[0]}: expected the recording that bundle {bundle.name!r} was trained on, came another of that "
            "name. Name the folder of the recordings with --data."
        )


def open_file(settings: RecordedFile, root: Path) -> Opened:
    """Open one recording, whose path starts at `root`; return it with its SHA-256.

    Raises
    ------
    RecordingError
        If it is missing or cannot be read, does not say what is needed to read it, or is of another rate than it says.
    """
    path = root / settings.path
    if not path.is_file():
        raise RecordingError(
            f"expected the recording {settings.path} below {root}, and there is none. "
            "Name the folder that the paths start from with --data or BCI_DATA."
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    stream = getattr(settings, "stream", None)
    recording = open_recording(
        path, rate=settings.rate, channels=settings.channels, unit=settings.unit, stream=stream
    )
    require_paced(recording)
    return recording, digest


def digest_of(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of files together, each with its name."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _require_one_participant(names: Sequence[str]) -> None:
    """Refuse recordings of two participants, where their paths say whose they are, as BIDS and LabRecorder do."""
    whose: dict[str, str] = {}
    for name in names:
        if found := _PARTICIPANT.search(name):
            whose.setdefault(found[1], name)
    if len(whose) > 1:
        (first, one), (second, other) = list(whose.items())[:2]
        raise RecordingError(
            f"expected recordings of one participant, came {first} in {one} and {second} in {other}. A decoder reads "
            "one brain: train one file for each."
        )


def _require_unit(name: str, recording: Recording, unit: str) -> None:
    has = recording.signal.unit
    if unit_key(has) != unit_key(unit):
        raise RecordingError(
            f"{name}: expected a recording in {unit}, came {has or 'no unit'}. "
            "State its unit under [[recordings]], or in [signal] that of the recording."
        )
    if recording.n is None:
        raise RecordingError(f"{name}: expected a recording with an end, came one without")


def require_possible_amplitude(name: str, movement: float, expected: ExpectedSignal, kind: str = "") -> None:
    """Refuse channels that move by a hundred times more or less than what is recorded of a brain.

    Parameters
    ----------
    name : str
        Of the recording, or the array.
    movement : float
        How far the median channel moves within a second; see `bci.signal.quality.amplitude.moves`.
    expected : ExpectedSignal
        Its unit is the one stated; with `any_amplitude` nothing is refused.
    kind : str
        What is measured, where it is known.

    Raises
    ------
    RecordingError
        Saying what came, what is plausible, and which unit would fit.
    """
    if not expected.any_amplitude and impossible(movement, expected.unit, kind):
        raise RecordingError(
            f"{name}: {implausible(movement, expected.unit, kind)}. If it is as it should be: [signal] any_amplitude = "
            "true."
        )


def require_possible(name: str, recording: Recording, expected: ExpectedSignal) -> None:
    """Refuse a recording whose channels move by what no brain gives; see `require_possible_amplitude`.

    Raises
    ------
    RecordingError
        As there.
    """
    if measurable(recording.signal):
        wanted = {label_key(label) for label in expected.channels}
        labels = recording.signal.channels
        read = [place for place, label in enumerate(labels) if label_key(label) in wanted]
        require_possible_amplitude(name, usual_movement(recording, read or None), expected)


def _require_different(names: Sequence[str], opened: Sequence[Opened]) -> None:
    """Refuse a run that is a copy of another, whatever its name: folds would score what they were fitted to."""
    seen: dict[str, str] = {}
    for name, (recording, _) in zip(names, opened, strict=True):
        samples = hashlib.sha256(str(recording.signal.shape).encode())
        n = recording.n or 0
        for first in range(0, n, 1 << 16):
            samples.update(recording.read(first, min(first + (1 << 16), n)).tobytes())
        other = seen.get(samples.hexdigest())
        if other is not None:
            raise RecordingError(
                f"{name} holds the very samples of {other}: expected different recordings, came a copy. "
                "Name each once."
            )
        seen[samples.hexdigest()] = name

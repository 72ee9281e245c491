"""A Kind is one kind of file or folder that this project reads or writes; `kind_of` recognises it by what it holds.

Only names and first lines are looked at, so that a file of another kind, a damaged or a hostile one is recognised
without being read: settings by their sections, folders by the file that describes them, recordings by their suffix.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from bci.errors import nearest

#: How much of a file of settings is looked at, bytes.
_HEAD = 2**18


@dataclass(frozen=True, slots=True)
class Kind:
    """A Kind is one kind of file or folder.

    Attributes
    ----------
    called : str
        What messages call one: ``"a session file"``.
    wanted_by : str
        What takes it, in a sentence.
    """

    called: str
    wanted_by: str


SESSION_FILE = Kind("a session file", "`bci run`, `bci check` and `bci certify` take it")
TRAINING_FILE = Kind("a training file", "`bci train FILE --out FOLDER` takes it, and `bci check`")
CALIBRATION_FILE = Kind("a calibration file", "`bci calibrate FILE --out FOLDER` takes it, and `bci check`")
COMPARISON_FILE = Kind("a comparison file", "`bci compare` and `bci check` take it")
CLUSTER_FILE = Kind("a cluster file", "`bci compare --cluster FILE` takes it, and `bci check`")
RECORD_FILE = Kind("a record file", "`bci record FILE` takes it, and `bci check`")
BUNDLE = Kind(
    "a decoder's bundle",
    "`bci info` and `bci evaluate` take it, and session files name it in [decoder] bundle",
)
GENERATOR = Kind(
    "a generator's package",
    "training files name it as generator; card.md in it says what it is and how it was scored, for people",
)
SESSION = Kind(
    "a session's folder",
    "`bci latency`, `bci evaluate`, `bci reproduce`, `bci verify`, `bci export` and `bci quality` take it, and while "
    "it runs `bci control`; `bci page` opens it in a browser",
)
RECORDED = Kind(
    "a folder of `bci record`",
    "`bci verify`, `bci export` and `bci quality` take it, `bci replay` the .xdf file in it",
)
RECORDING = Kind(
    "a recording",
    "`bci replay`, `bci quality` and `bci demo --recording` take it, an XDF file also `bci verify` and `bci export`; "
    "session files name it in [source] file",
)
REPORT = Kind("a report", "no command takes it; open its page in a browser")
CERTIFICATE = Kind("a certificate", "no command takes it; open its page in a browser")
STIMULI = Kind("a folder of pictures", "session files name it in [experiment] folder")
RUN = Kind(
    "the folder of a generator's training", "`bci train` goes on from it: name the training file, and --run"
)

#: The file that a folder is known by, in order: the first that is there decides.
_DESCRIBED_BY = (
    ("bundle.json", BUNDLE),
    ("generator.json", GENERATOR),
    ("certificate.json", CERTIFICATE),
    ("report.json", REPORT),
    ("config.json", SESSION),
    ("frames.csv", SESSION),
    ("shown.csv", SESSION),
    ("recording.xdf", RECORDED),
    ("recording.xdf.partial", RECORDED),
    ("checkpoint.safetensors", RUN),
    ("latents.json", STIMULI),
)

#: Kinds that are folders: a file in one of them is not meant.
FOLDERS = frozenset(kind for _, kind in _DESCRIBED_BY)

#: Sections and keys at the top of a file of settings that no other kind has.
_SIGNS = (
    (CALIBRATION_FILE, {"base", "blocks", "states"}),
    (COMPARISON_FILE, {"readouts", "data", "candidates"}),
    (
        SESSION_FILE,
        {
            "decoder",
            "display",
            "source",
            "experiment",
            "preview",
            "publish",
            "recording",
            "supervision",
            "control",
            "limits",
        },
    ),
    (
        TRAINING_FILE,
        {
            "kind",
            "recordings",
            "split",
            "trials",
            "participant",
            "epoch",
            "pictures",
            "game",
            "package",
            "generator",
        },
    ),
)

#: Kinds of settings by what their ``kind`` says; any other word is a system's or a generator's.
_NAMED = {
    "comparison": COMPARISON_FILE,
    "comparison-of-systems": COMPARISON_FILE,
    "cluster": CLUSTER_FILE,
    "record": RECORD_FILE,
}

_SUFFIXES = frozenset(
    ".bdf .cnt .con .csv .edf .eeg .fif .gdf .mat .mff .npy .npz .set .sqd .tsv .vhdr .vmrk .xdf .xdfz".split()
)
#: Names of files of volumes; in a folder of a run, those of DICOM too.
_VOLUMES, _DICOM = (".nii", ".nii.gz"), (".dcm", ".ima", ".IMA")
_PICTURES = frozenset(".bmp .jpeg .jpg .png .tif .tiff .webp".split())
#: How files begin that are given by mistake, and what they are.
_BEGINNINGS = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"%PDF", "a PDF file"),
    (b"\x89HDF", "an HDF5 file (of Keras, MATLAB or EEGLAB)"),
    (b"PK\x03\x04", "an archive (zip, NumPy or PyTorch)"),
    (b"\x1f\x8b", "an archive (gzip)"),
    (b"\x80\x02", "a pickle, which is a program: none is opened here"),
    (b"\x80\x03", "a pickle, which is a program: none is opened here"),
    (b"\x80\x04", "a pickle, which is a program: none is opened here"),
    (b"\x80\x05", "a pickle, which is a program: none is opened here"),
)
_SECTION = re.compile(r"\[\[?\s*([A-Za-z0-9_-]+)")
_KEY = re.compile(r"([A-Za-z0-9_-]+)\s*=\s*(.*)")


def is_run(path: Path) -> bool:
    """Whether a path is a file of volumes by its name, or a folder of files that are named so or as DICOM."""
    if path.is_dir():
        return any(next(path.glob(f"*{suffix}"), None) for suffix in (*_DICOM, *_VOLUMES))
    return path.name.casefold().endswith(_VOLUMES)


def kind_of(path: Path) -> Kind | None:
    """Return which kind of file or folder a path is; None where it is none that is known, or is not there."""
    if path.is_dir():
        for name, kind in _DESCRIBED_BY:
            if (path / name).is_file():
                return kind
        if path.suffix.casefold() in _SUFFIXES:
            return RECORDING
        if is_run(path):
            return RECORDING
        return STIMULI if _holds_pictures(path) else None
    if not path.is_file():
        return None
    suffix, name = path.suffix.casefold(), path.name.casefold()
    if suffix == ".toml":
        return _kind_of_settings(path)
    if suffix in _SUFFIXES or is_run(path) or name.endswith((".fif.gz", ".xdf.gz", ".xdf.partial")):
        return RECORDING
    inside = {described_by: kind for described_by, kind in _DESCRIBED_BY if described_by.endswith(".json")}
    if name in inside:
        return inside[name]
    if suffix in (".html", ".json", ".onnx", ".md"):
        return kind_of(path.parent)
    return None


def what_is(path: Path) -> str:
    """Return in words what a path is, and which command wants it, for an error that expected something else.

    >>> what_is(Path("no/such/file"))
    'nothing: there is no such file or folder'
    """
    if not path.exists():
        return f"nothing: there is no such file or folder{nearest(path.name, _neighbours(path))}"
    kind = kind_of(path)
    if kind is None and path.is_dir():
        return "a folder of no known kind (without bundle.json, generator.json, config.json and their like)"
    if kind is None:
        return _by_its_beginning(path) if path.is_file() else "neither a file nor a folder"
    if path.is_file() and kind in FOLDERS:
        return f"a file of {kind.called} (name the folder: {kind.wanted_by})"
    return f"{kind.called} ({kind.wanted_by})"


def _by_its_beginning(path: Path) -> str:
    """Return in words what a file is that this project has no kind for, by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return "a file that cannot be read"
    for beginning, words in _BEGINNINGS:
        if head.startswith(beginning):
            return words
    try:
        text = head.decode("utf-8") if head else ""
    except UnicodeDecodeError as error:
        text = "" if error.start < len(head) - 3 else head[: error.start].decode("utf-8")
    return (
        "a file of text"
        if text and "\0" not in text
        else "a file of no known kind"
        if head
        else "an empty file"
    )


def _neighbours(path: Path) -> list[str]:
    """Return the names in the folder that a path would be in."""
    try:
        return [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:
        return []


def _holds_pictures(folder: Path) -> bool:
    try:
        return any(file.suffix.casefold() in _PICTURES for file in folder.iterdir())
    except OSError:
        return False


def _kind_of_settings(path: Path) -> Kind | None:
    """Return the kind of a file of settings by the keys and sections at its top, whether or not it can be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).decode("utf-8", "replace")
    except OSError:
        return None
    keys, sections, kind = set[str](), set[str](), ""
    for line in map(str.strip, head.splitlines()):
        if section := _SECTION.match(line):
            sections.add(section.group(1))
        elif not sections and (key := _KEY.match(line)):
            keys.add(key.group(1))
            kind = key.group(2).partition("#")[0].strip(" \"'") if key.group(1) == "kind" else kind
    if kind:
        return _NAMED.get(kind, TRAINING_FILE)
    counted = {known: len(signs & (keys | sections)) for known, signs in _SIGNS}
    best = max(counted, key=lambda known: counted[known])
    return best if counted[best] else None

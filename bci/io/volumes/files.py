"""One file of a series, read whole or not at all: `read_image` knows its format by its name and its first bytes."""

from pathlib import Path

from bci.errors import RecordingError
from bci.io.files.regular import require_regular
from bci.io.volumes.dicom import read_dicom
from bci.io.volumes.nifti import MOST_BYTES, is_nifti, read_nifti
from bci.io.volumes.volume import SliceImage, Volume, refusing, tail_of

#: What is in an image, or on the way into one, and can be passed over by name.
_PASSED = (
    ".tmp",
    ".part",
    ".partial",
    ".lock",
    ".json",
    ".txt",
    ".log",
    ".csv",
    ".tsv",
    ".md",
    ".png",
    ".xml",
)

Pieces = list[Volume] | list[SliceImage]


def may_be_image(path: Path) -> bool:
    """Whether a file can be an image by its name: DICOM files often have no suffix, or a number for one.

    >>> [may_be_image(Path(name)) for name in ("001_13_001.dcm", "IM_0001", "a.nii.gz", ".a.dcm.swp", "notes.txt")]
    [True, True, True, False, False]
    """
    return not path.name.startswith(".") and path.suffix.lower() not in _PASSED and path.name != "DICOMDIR"


def read_image(path: Path) -> Pieces:
    """Return the volumes, or the slice, in a file.

    Raises
    ------
    RecordingError
        If it is no image, or not whole yet; the file is named by the end of its name alone, which may hold a person's.
    """
    require_regular(path, refusing(path), largest=MOST_BYTES)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{tail_of(path)} cannot be read: {error.strerror}") from None
    try:
        return read_nifti(path, content) if is_nifti(path) else read_dicom(content)
    except RecordingError as error:
        raise RecordingError(f"{tail_of(path)}: {error}") from None

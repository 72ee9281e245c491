"""Allen Neuropixels (Visual Coding): local field potentials of one probe, and the natural scenes that were shown.

The probe's file, ``probe_729445652_lfp.nwb``, holds the signal; the session's, ``session_719161530.nwb``, the times and
the frames of presentations, on one clock.
"""

from pathlib import Path

from bci.errors import RecordingError
from bci.io.files.formats.file import FileRecording
from bci.io.files.formats.nwb import choose_series, open_nwb, presentations_of, series_of
from bci.io.files.regular import require_regular

#: The table of the session's file.
NATURAL_SCENES = "natural_scenes_presentations"


def open_probe(path: Path, probe: str) -> FileRecording:
    """Open a probe's file.

    Raises
    ------
    RecordingError
        If the probe is not named, or not in the file; what is there is named.
    """
    require_regular(path, RecordingError)
    chosen = choose_series(path, series_of(path), probe, needed=True)
    return open_nwb(path, None, None, None, chosen["name"])


def presentations(session: Path, recording: FileRecording) -> list[tuple[float, int]]:
    """Return when each natural scene was shown, seconds from the recording's first sample, and its frame."""
    require_regular(session, RecordingError)
    begins = float(recording.header["begins"][0])
    return [(time - begins, frame) for time, frame in presentations_of(session, NATURAL_SCENES)]

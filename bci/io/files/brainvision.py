"""BrainVision Core Data Format 1.0 is the one of the two formats recommended by BIDS for EEG that keeps float32.

A recording is three files: a header, the samples unchanged, and an (empty) list of markers.
"""

from collections.abc import Sequence
from pathlib import Path

from bci.io.files.recording import Recording
from bci.io.files.to_mne import Channel

_BLOCK = 1 << 16

#: The unit that readers take for a plain number; without any unit they would assume microvolts.
_NO_UNIT = "ARU"

_HEADER = """Brain Vision Data Exchange Header File Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={name}.eeg
MarkerFile={name}.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels={n}
SamplingInterval={interval!r}

[Binary Infos]
BinaryFormat=IEEE_FLOAT_32

[Channel Infos]
{channels}
"""

_MARKERS = """Brain Vision Data Exchange Marker File, Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile={name}.eeg

[Marker Infos]
"""


def write_brainvision(folder: Path, name: str, recording: Recording, channels: Sequence[Channel]) -> Path:
    """Write the samples of a recording as ``name.vhdr``, ``.eeg`` and ``.vmrk``; return the header's path.

    Parameters
    ----------
    folder : Path
        An existing folder to write into.
    name : str
        Name of the files, without suffix.
    recording : Recording
        A recording with an end; written block by block, float32, in its own units.
    channels : sequence of Channel
        From `bci.io.files.to_mne.channels_of`.
    """
    described = "\n".join(
        # The format writes a comma within a name as \1.
        "Ch{}={},,1,{}".format(
            i + 1, c.name.replace(",", "\\1"), c.unit.replace("uV", "µV") if c.unit in _VOLTS else _NO_UNIT
        )
        for i, c in enumerate(channels)
    )
    header = folder / f"{name}.vhdr"
    header.write_text(
        _HEADER.format(name=name, n=len(channels), interval=1e6 / recording.signal.rate, channels=described),
        encoding="utf-8",
    )
    (folder / f"{name}.vmrk").write_text(_MARKERS.format(name=name), encoding="utf-8")
    assert recording.n is not None
    with (folder / f"{name}.eeg").open("wb") as file:
        for first in range(0, recording.n, _BLOCK):
            file.write(
                recording.read(first, min(first + _BLOCK, recording.n)).astype("<f4", copy=False).tobytes()
            )
    return header


_VOLTS = ("V", "mV", "uV", "nV")

"""Files made by hand for tests: EDF, BDF and XDF, byte by byte, sound or not."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_edf(
    path: Path,
    samples: np.ndarray,
    rate: int,
    labels: Sequence[str],
    *,
    announced: int | None = None,
    units: Sequence[str | bytes] | None = None,
    bdf: bool = False,
    signals: int | None = None,
    kind: str = "",
    tals: Sequence[bytes] = (),
) -> Path:
    """Write whole numbers (n, channels), n a multiple of `rate`, one record a second, a step of one unit.

    `tals` are the annotation lists of each record, for an annotation signal of 60 samples behind the channels; `kind`
    is what the header calls the file ("EDF+D").
    """
    if tals:
        return _with_annotations(path, samples, rate, labels, units, bdf, kind, tals)
    n, channels = samples.shape
    most = (1 << 23) - 1 if bdf else (1 << 15) - 1

    def fields(values: Sequence[object], width: int) -> bytes:
        as_bytes = (value if isinstance(value, bytes) else str(value).encode() for value in values)
        return b"".join(value.ljust(width)[:width] for value in as_bytes)

    def same(value: object, width: int) -> bytes:
        return fields([value] * channels, width)

    records = n // rate
    fixed = fields(["X", "Startdate X X X X"], 80) + b"01.01.2501.01.01" + fields([256 * (channels + 1)], 8)
    fixed += fields([kind or ("24BIT" if bdf else "")], 44) + fields(
        [records if announced is None else announced, 1], 8
    )
    fixed += fields([channels if signals is None else signals], 4)
    table = fields(labels, 16) + same("", 80) + fields(units or ["uV"] * channels, 8)
    table += same(-most - 1, 8) + same(most, 8) + same(-most - 1, 8) + same(most, 8)
    table += same("", 80) + same(rate, 8) + same("", 32)
    body = b""
    for record in range(records):
        for channel in range(channels):
            values = samples[record * rate : (record + 1) * rate, channel].astype("<i4")
            if bdf:
                body += values.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
            else:
                body += values.astype("<i2").tobytes()
    begin = b"\xffBIOSEMI" if bdf else b"0       "
    path.write_bytes(begin + fixed + table + body)
    return path


#: Samples of an annotation signal in each record.
TAL_SAMPLES = 60


def _with_annotations(
    path: Path,
    samples: np.ndarray,
    rate: int,
    labels: Sequence[str],
    units: Sequence[str | bytes] | None,
    bdf: bool,
    kind: str,
    tals: Sequence[bytes],
) -> Path:
    """Write a file without annotations, then put their signal behind the others, in header and records."""
    channels = samples.shape[1]
    write_edf(path, samples, rate, labels, units=units, bdf=bdf, kind=kind)
    content, width = path.read_bytes(), 3 if bdf else 2
    name = "BDF Annotations" if bdf else "EDF Annotations"
    columns = [
        (16, name), (80, ""), (8, ""), (8, "-1"), (8, "1"), (8, "-32768"), (8, "32767"), (80, ""),
        (8, str(TAL_SAMPLES)), (32, ""),
    ]  # fmt: skip
    table, at = b"", 256
    for size, value in columns:
        table += content[at : at + size * channels] + value.ljust(size).encode()
        at += size * channels
    fixed = content[:184] + str(256 * (channels + 2)).ljust(8).encode() + content[192:252]
    fixed += str(channels + 1).ljust(4).encode()
    body, each = b"", rate * channels * width
    for record, tal in enumerate(tals):
        body += content[at + record * each : at + (record + 1) * each] + tal.ljust(TAL_SAMPLES * width, b"\0")
    path.write_bytes(fixed + table + body)
    return path


def tal(start: float, *annotations: tuple[float, str | bytes]) -> bytes:
    """Return the annotation lists of a record that starts at `start`: (onset, text) each."""
    out = b"+%g\x14\x14\0" % start
    for onset, text in annotations:
        out += b"%+g\x14" % onset + (text if isinstance(text, bytes) else text.encode()) + b"\x14\0"
    return out


def number(value: int) -> bytes:
    """Return an XDF integer of variable length."""
    return b"\x08" + struct.pack("<Q", value) if value > 255 else b"\x01" + struct.pack("<B", value)


def chunk(tag: int, content: bytes, length: int | None = None) -> bytes:
    """Return an XDF chunk; `length` may lie."""
    return number(2 + len(content) if length is None else length) + struct.pack("<H", tag) + content


def header(
    stream: int,
    name: str,
    channels: int,
    rate: float,
    kind: str = "float32",
    desc: str = "",
) -> bytes:
    """Return an XDF stream header."""
    xml = (
        f"<?xml version='1.0'?><info><name>{name}</name><type>EEG</type><channel_count>{channels}</channel_count>"
        f"<nominal_srate>{rate}</nominal_srate><channel_format>{kind}</channel_format>"
        f"<source_id>{name}-id</source_id><desc>{desc}</desc></info>"
    )
    return chunk(2, struct.pack("<I", stream) + xml.encode())


def samples(stream: int, values: np.ndarray, stamps: Sequence[float], claimed: int | None = None) -> bytes:
    """Return an XDF chunk of numbers; `claimed` may lie about how many samples there are."""
    rows = b"".join(
        b"\x08" + struct.pack("<d", stamp) + row.tobytes() for stamp, row in zip(stamps, values, strict=True)
    )
    return chunk(3, struct.pack("<I", stream) + number(len(values) if claimed is None else claimed) + rows)


def texts(stream: int, values: Sequence[str], stamps: Sequence[float]) -> bytes:
    """Return an XDF chunk of text, one channel."""
    rows = b"".join(
        b"\x08" + struct.pack("<d", stamp) + number(len(text.encode())) + text.encode()
        for stamp, text in zip(stamps, values, strict=True)
    )
    return chunk(3, struct.pack("<I", stream) + number(len(values)) + rows)


def xdf(*chunks: bytes) -> bytes:
    """Return an XDF file of these chunks."""
    return b"XDF:" + chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>") + b"".join(chunks)

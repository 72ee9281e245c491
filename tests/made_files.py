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


def write_gdf(
    path: Path,
    samples: np.ndarray,
    rate: int,
    units: Sequence[int | bytes],
    *,
    events: Sequence[tuple[int, int]] = (),
) -> Path:
    """Write float32 samples (n, channels), one record a second; codes of units make it GDF 2.20, words GDF 1.25.

    `events` are (sample, type).
    """
    n, channels = samples.shape
    old = isinstance(units[0], bytes)
    labels = b"".join(f"E{i}".encode().ljust(16, b"\0") for i in range(channels))
    limits = [np.full(channels, v, "<f8").tobytes() for v in (-1e6, 1e6)]
    stored = [np.full(channels, v, "<i8" if old else "<f8").tobytes() for v in (-1000000, 1000000)]
    per_record = np.full(channels, rate, "<i4").tobytes() + np.full(channels, 16, "<i4").tobytes()
    tail = struct.pack("<qII", n // rate, 1, 1)
    if old:
        head = (
            b"GDF 1.25"
            + b" " * 160
            + b"2025010112000000"
            + struct.pack("<q", 256 * (channels + 1))
            + bytes(44)
        )
        head += tail + struct.pack("<I", channels)
        words = b"".join(unit.ljust(8, b"\0") for unit in units if isinstance(unit, bytes))
        table = labels + bytes(80 * channels) + words + b"".join(limits + stored) + b" " * 80 * channels
        table += per_record + bytes(32 * channels)
    else:
        head = b"GDF 2.20" + b"X X".ljust(66) + bytes(14) + b"X".ljust(64) + bytes(32)
        head += struct.pack("<H", channels + 1) + bytes(50) + tail + struct.pack("<HH", channels, 0)
        table = labels + bytes(86 * channels) + np.array(units, "<u2").tobytes() + b"".join(limits + stored)
        table += bytes(80 * channels) + per_record + bytes(32 * channels)
    body = samples.reshape(-1, rate, channels).transpose(0, 2, 1).astype("<f4").tobytes()
    if old:
        table_of_events = struct.pack("<I", rate)[:3] + struct.pack("<I", len(events))
    else:
        table_of_events = struct.pack("<I", len(events))[:3] + struct.pack("<f", rate)
    table_of_events += np.array([sample + 1 for sample, _ in events], "<u4").tobytes()
    table_of_events += np.array([kind for _, kind in events], "<u2").tobytes()
    path.write_bytes(head + table + body + b"\x01" + table_of_events)
    return path


#: A BrainVision header for INT_16 samples at 100 Hz.
VHDR = (
    "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\n{page}DataFile={name}.eeg\n"
    "MarkerFile={name}.vmrk\nDataFormat=BINARY\nDataOrientation={order}\nNumberOfChannels={n}\n"
    "SamplingInterval=10000\n[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\n{channels}\n"
)


def write_brainvision(
    folder: Path,
    samples: np.ndarray,
    channels: Sequence[str],
    markers: Sequence[str] = (),
    *,
    encoding: str = "utf-8",
    page: str = "",
    order: str = "MULTIPLEXED",
) -> Path:
    """Write whole numbers (n, channels) at 100 Hz; channels and markers as the lines of the files have them."""
    rows = samples if order == "MULTIPLEXED" else samples.T
    (folder / "a.eeg").write_bytes(rows.astype("<i2").tobytes())
    described = "\n".join(f"Ch{i + 1}={words}" for i, words in enumerate(channels) if words)
    coded = f"Codepage={page}\n" if page else ""
    header = VHDR.format(name="a", n=samples.shape[1], channels=described, page=coded, order=order)
    (folder / "a.vhdr").write_bytes(header.encode(encoding))
    lines = "\n".join(f"Mk{i + 1}={words}" for i, words in enumerate(markers))
    begin = f"Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\n{coded}DataFile=a.eeg\n"
    (folder / "a.vmrk").write_bytes(f"{begin}[Marker Infos]\n{lines}\n".encode(encoding))
    return folder / "a.vhdr"


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
    content: str = "EEG",
) -> bytes:
    """Return an XDF stream header."""
    xml = (
        f"<?xml version='1.0'?><info><name>{name}</name><type>{content}</type><channel_count>{channels}</channel_count>"
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

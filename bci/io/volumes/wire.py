"""The wire format of volumes that are pushed over TCP, version 1: a self-contained message for each volume.

A message is a fixed head, a header in JSON, and the voxels::

    bytes  0..3    BCIV
    bytes  4..5    version, 1                        unsigned, little endian, as all numbers
    bytes  6..7    kind: 1, a volume
    bytes  8..11   length of the header, at most 65536
    bytes 12..19   length of the voxels, at most 1 GiB
    header         UTF-8 JSON, an object
    voxels         as the header says

The header has ``series_uid`` (text), ``shape`` ([x, y, z]), ``affine`` (16 numbers, rows of four, from indices to
millimetres in RAS+), ``tr`` (seconds), ``dtype`` (``"int16"`` or ``"float32"``, little endian), ``order`` (``"C"``: z
runs fastest, or ``"F"``: x does), ``current`` (place in the run, from 1), ``total`` (0 where it is not known); and,
where the sender knows them, ``series_number``, ``acquired`` (seconds of the day), ``motion`` (6 numbers: millimetres,
degrees) and ``slice_times`` (seconds along z). A key that is not known is ignored, so that a later sender of version 1
can say more.

Every message is answered: ``BCIA``, version (2 bytes), 0 for taken or 1 for refused (2 bytes), length of a text (4
bytes), and the text, which says why. After a refusal the connection is closed.
"""

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.io.volumes.volume import ImagingSeries, Volume

VERSION = 1
HEAD, ANSWER = struct.Struct("<4sHHIQ"), struct.Struct("<4sHHI")
_MAGIC, _ANSWERED = b"BCIV", b"BCIA"
_VOLUME = 1
_MOST_HEADER, _MOST_VOXELS = 1 << 16, 1 << 30
_DTYPES = ("int16", "float32")


def pack_volume(volume: Volume, total: int = 0) -> bytes:
    """Return the message of a volume; `total` takes the place of what its series says."""
    series = volume.series
    header = {
        "series_uid": series.uid, "series_number": series.number, "shape": list(series.shape),
        "affine": series.affine.reshape(-1).tolist(), "tr": series.tr, "dtype": series.dtype, "order": "C",
        "current": volume.index + 1, "total": total or series.total, "slice_times": list(series.slice_times),
    }  # fmt: skip
    if math.isfinite(volume.acquired):
        header["acquired"] = volume.acquired
    if volume.motion:
        header["motion"] = list(volume.motion)
    text = json.dumps(header).encode()
    voxels = np.ascontiguousarray(volume.data, np.dtype(series.dtype).newbyteorder("<")).tobytes()
    return HEAD.pack(_MAGIC, VERSION, _VOLUME, len(text), len(voxels)) + text + voxels


def receive_volume(read: Callable[[int], bytes]) -> Volume | None:
    """Return the next volume of a connection, None when it has ended between two messages.

    Parameters
    ----------
    read : callable
        Returns so many bytes, fewer only when the connection has ended.

    Raises
    ------
    RecordingError
        If what comes is no message of this version, or contradicts itself.
    """
    head = read(HEAD.size)
    if not head:
        return None
    if len(head) < HEAD.size:
        raise RecordingError("the connection ended within a message")
    magic, version, kind, header_length, voxels_length = HEAD.unpack(head)
    if magic != _MAGIC:
        raise RecordingError(f"a message begins with {_MAGIC!r}; came {magic!r}")
    if version != VERSION or kind != _VOLUME:
        raise RecordingError(
            f"a volume of version {VERSION} was expected; came kind {kind} of version {version}"
        )
    if header_length > _MOST_HEADER or voxels_length > _MOST_VOXELS:
        raise RecordingError(
            f"at most {_MOST_HEADER} bytes of header and {_MOST_VOXELS} of voxels are taken; came "
            f"{header_length} and {voxels_length}"
        )
    text = read(header_length)
    try:
        header = json.loads(text)
    except ValueError as error:
        raise RecordingError(f"the header is no JSON: {error}") from None
    series, current = _series(header)
    dtype = np.dtype(series.dtype).newbyteorder("<")
    needed = math.prod(series.shape) * dtype.itemsize
    if voxels_length != needed:
        raise RecordingError(
            f"{list(series.shape)} voxels of {series.dtype} take {needed} bytes; came {voxels_length}"
        )
    raw = read(voxels_length)
    if len(raw) < voxels_length:
        raise RecordingError("the connection ended within a message")
    data = np.frombuffer(raw, dtype).reshape(series.shape, order=header.get("order", "C"))
    motion = _numbers(header, "motion", (0, 6))
    return Volume(
        series, current - 1, np.ascontiguousarray(data, series.dtype), f"{series.uid}/{current}",
        float(header.get("acquired", math.nan)), None, motion,
    )  # fmt: skip


def _series(header: Any) -> tuple[ImagingSeries, int]:
    if not isinstance(header, dict):
        raise RecordingError(f"the header is an object; came {type(header).__name__}")
    uid, dtype, order = header.get("series_uid"), header.get("dtype"), header.get("order", "C")
    if not (isinstance(uid, str) and 0 < len(uid) <= 200 and uid.isprintable()):
        raise RecordingError("series_uid is a text of at most 200 characters")
    if dtype not in _DTYPES or order not in ("C", "F"):
        raise RecordingError(
            f"dtype is one of {', '.join(_DTYPES)} and order C or F; came {dtype!r} and {order!r}"
        )
    shape = _whole(header, "shape", 3, 1)
    current, total = _whole({"current": [header.get("current")]}, "current", 1, 1)[0], header.get("total", 0)
    affine = np.array(_numbers(header, "affine", (16,))).reshape(4, 4)
    [tr] = _numbers({"tr": [header.get("tr")]}, "tr", (1,))
    times = _numbers(header, "slice_times", (0, shape[2]))
    number = header.get("series_number", 0)
    if not tr > 0 or not isinstance(total, int) or not isinstance(number, int):
        raise RecordingError(
            f"tr is above 0, total and series_number are whole; came {tr!r}, {total!r}, {number!r}"
        )
    return ImagingSeries(
        uid, (shape[0], shape[1], shape[2]), affine, tr, dtype, times, total, number, "TCP"
    ), current


def _whole(header: dict[str, Any], key: str, count: int, least: int) -> list[int]:
    values = header.get(key)
    numbers = [one for one in values if isinstance(one, int)] if isinstance(values, list) else []
    if len(numbers) != count or numbers != values or not all(least <= one < 1 << 24 for one in numbers):
        raise RecordingError(
            f"{key}: {count} whole numbers from {least} were expected, came {str(values)[:60]}"
        )
    return numbers


def _numbers(header: dict[str, Any], key: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    values = header.get(key, [])
    good = isinstance(values, list) and len(values) in counts
    if not good or not all(isinstance(one, int | float) and math.isfinite(one) for one in values):
        raise RecordingError(f"{key}: {counts[-1]} finite numbers were expected, came {str(values)[:60]}")
    return tuple(map(float, values))


def pack_answer(refusal: str = "") -> bytes:
    """Return the answer to a message: taken, or refused with the reason."""
    text = refusal.encode()[:1000]
    return ANSWER.pack(_ANSWERED, VERSION, int(bool(refusal)), len(text)) + text


def receive_answer(read: Callable[[int], bytes]) -> str:
    """Return why a message was refused; empty where it was taken.

    Raises
    ------
    RecordingError
        If no answer came, or none of this version.
    """
    head = read(ANSWER.size)
    if len(head) < ANSWER.size:
        raise RecordingError("the receiver closed the connection without an answer")
    magic, version, refused, length = ANSWER.unpack(head)
    if magic != _ANSWERED or version != VERSION or length > 1000:
        raise RecordingError(
            f"an answer of version {VERSION} was expected, came {magic!r} of version {version}"
        )
    text = read(length).decode(errors="replace")
    return text or "no reason given" if refused else ""

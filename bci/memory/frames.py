"""A frame ring carries reconstructions from a decoder to a display; a shown ring carries the display's flips back."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.memory.ring import Column, Ring
from bci.signal.types import (
    FRAME_DTYPE,
    SHOWN_DTYPE,
    Reconstruction,
    Window,
    cut_text,
    event_record,
    stamps_record,
)

#: A frame ring never takes more shared memory than this, bytes.
_LARGEST = 256_000_000


def frame_columns(height: int, width: int, latent: int) -> tuple[Column, ...]:
    """Return the columns of a frame ring: ``image`` (height, width, 3) uint8, ``latent`` (d,), ``info``."""
    return (
        Column.of("image", "u1", (height, width, 3)),
        Column.of("latent", "f4", (latent,)),
        Column.of("info", FRAME_DTYPE),
    )


def shown_columns(height: int, width: int, latent: int) -> tuple[Column, ...]:
    """Return the columns of a shown ring: ``image``, ``latent`` and the ``shown`` record."""
    image, vector, _ = frame_columns(height, width, latent)
    return image, vector, Column.of("shown", SHOWN_DTYPE)


def frames_capacity(columns: Sequence[Column], per_second: float) -> int:
    """Return how many frames a ring should hold: ten seconds of them, at least 8, at most 256 MB."""
    each = sum(column.nbytes for column in columns)
    return max(8, min(int(10 * per_second) + 1, _LARGEST // each))


def image_digest(image: NDArray[np.uint8]) -> str:
    """Return the BLAKE2b digest of a picture's pixels, 32 hexadecimal digits."""
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).hexdigest()


def write_frame(ring: Ring, reconstruction: Reconstruction, digest: bytes = b"", bundle: int = 0) -> int:
    """Publish one reconstruction; return its number in the ring.

    Parameters
    ----------
    ring : Ring
        A ring of `frame_columns`.
    reconstruction : Reconstruction
        The reconstruction.
    digest : bytes
        Digest of its window, where the session audits; at most 16 bytes.
    bundle : int
        Which of the decoder's bundles made it: 0 for the one it began with.
    """
    place = ring.claim(1)
    place["image"][0] = reconstruction.image
    place["latent"][0] = reconstruction.latent
    place["info"][0] = (
        reconstruction.first,
        reconstruction.last_sample,
        reconstruction.skipped,
        reconstruction.confidence,
        reconstruction.valid,
        cut_text(reconstruction.reason, 96),
        stamps_record(reconstruction.stamps),
        np.frombuffer(digest.ljust(16, b"\0"), "u1"),
        event_record(reconstruction.event),
        bundle,
        reconstruction.repeats,
    )
    return ring.commit(1) - 1


def window_digest(window: Window) -> bytes:
    """Return 16 bytes that change with any sample, mask or position of a window (BLAKE2b)."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(np.array([window.first, window.last_sample, window.settled], np.int64).tobytes())
    digest.update(np.ascontiguousarray(window.samples).tobytes())
    digest.update(np.ascontiguousarray(window.bad).tobytes())
    return digest.digest()

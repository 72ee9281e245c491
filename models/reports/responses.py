"""Held-out responses as a signal: a bundle that reads one sample at a time can be run live on what it never saw."""

import io
from pathlib import Path

import numpy as np

from bci.decoder.bundle import Bundle
from bci.errors import ConfigError
from bci.io.files.folder import write_whole
from models.reports.decoded import Decoded


def require_rows(bundle: Bundle, path: Path) -> None:
    """Refuse a bundle whose trials are more than one sample of its signal, and a file that no session would play.

    Raises
    ------
    ConfigError
        Naming what the bundle reads, or the file, and what to do instead.
    """
    if path.suffix != ".npy":
        raise ConfigError(f"--responses: expected a .npy file to write, came {path}.")
    spec = bundle.spec
    if bundle.length != 1 or spec.pipeline or bundle.output.shape != tuple(spec.signal.shape):
        raise ConfigError(
            f"--responses: expected a bundle that reads one sample at a time without steps, such as voxels volume by "
            f"volume, came {bundle.name!r}, which reads windows of {' × '.join(map(str, bundle.window_shape))} behind "
            f"{len(spec.pipeline)} steps. Run it on a recording, or on the simulated participant of its session file."
        )


def write_responses(bundle: Bundle, decoded: Decoded, path: Path) -> int:
    """Write the responses of held-out trials, one a sample, in the order in which the report decodes them.

    Parameters
    ----------
    bundle : Bundle
        As `require_rows` takes it.
    decoded : Decoded
        Its held-out trials.
    path : Path
        A .npy file, float32 (n, *signal.shape); a file that is there is replaced.

    Returns
    -------
    int
        How many.

    Raises
    ------
    ConfigError
        If its trials' responses are not at hand.
    DiskError
        If the file cannot be written.
    """
    if decoded.brain is None:
        raise ConfigError(f"--responses: expected responses of {bundle.name!r}'s held-out trials, came none.")
    rows = np.asarray(decoded.brain, np.float32).reshape(-1, *bundle.spec.signal.shape)
    held = io.BytesIO()
    np.save(held, rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {path.parent}: {error}. Name another file.") from None
    write_whole(path, held.getvalue())
    return len(rows)

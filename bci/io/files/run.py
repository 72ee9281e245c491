"""Files of a Run, the design, reference volume and masks of a session, are read here and kept with the session."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError, RecordingError
from bci.io.files.folder import write_json
from bci.io.files.npy import load_array, load_arrays
from bci.io.files.regular import read_json, read_text
from bci.signal.run import NO_RUN, Design, Run

#: In a session's folder: hashes and names, and the arrays.
FACTS, ARRAYS = "run.json", "run.npz"


def load_run(
    *,
    design: Path | None = None,
    reference: Path | None = None,
    masks: Mapping[str, Path] | None = None,
    channel_map: Mapping[str, str] | None = None,
) -> Run:
    """Read the Run of a session from its files.

    Parameters
    ----------
    design : Path, optional
        A tab-separated table with the columns ``onset``, ``duration`` (seconds) and ``trial_type``, as BIDS has it.
    reference : Path, optional
        One volume (x, y, z) in a .npy file.
    masks : mapping of str to Path, optional
        Volumes (x, y, z) of truth values or of zeros and ones, each in a .npy file.
    channel_map : mapping of str to str, optional
        The stream's label of a channel to the bundle's.

    Raises
    ------
    ConfigError
        If a file cannot be read, or holds something else; named.
    """
    return Run(
        design=None if design is None else read_design(design),
        reference=None if reference is None else _volume(reference).astype(np.float32),
        masks={name: _mask(path) for name, path in (masks or {}).items()},
        channel_map=dict(channel_map or {}),
    )


def read_design(path: Path) -> Design:
    """Read planned events from a tab-separated table.

    Raises
    ------
    ConfigError
        If it cannot be read, lacks a column, or a time is no number; the line is named.
    """
    text = read_text(path, lambda words: ConfigError(f"cannot read the design: {words}"))
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t"))
    except csv.Error as error:
        raise ConfigError(f"cannot read the design {path}: {error}") from None
    wanted = ("onset", "duration", "trial_type")
    if not rows or any(column not in rows[0] for column in wanted):
        columns = ", ".join(rows[0]) if rows else "no row"
        raise ConfigError(
            f"{path}: expected a tab-separated table with the columns {', '.join(wanted)}, came {columns}"
        )
    times: list[tuple[float, float]] = []
    for line, row in enumerate(rows, 2):
        try:
            times.append((float(row["onset"]), float(row["duration"])))
        except (TypeError, ValueError):
            raise ConfigError(
                f"{path}, line {line}: expected onset and duration in seconds, came {row['onset']!r} and "
                f"{row['duration']!r}"
            ) from None
    onsets, durations = np.array(times).T
    return Design(onsets, durations, tuple(str(row["trial_type"]) for row in rows))


def save_run(run: Run, folder: Path) -> None:
    """Write a Run into a session's folder; an empty Run writes no file."""
    if not run.hashes:
        return
    arrays: dict[str, Any] = {f"masks.{name}": mask for name, mask in run.masks.items()}
    if run.reference is not None:
        arrays["reference"] = run.reference
    facts: dict[str, Any] = {"hashes": run.hashes, "channel_map": dict(run.channel_map)}
    if run.design is not None:
        arrays["design"] = np.stack([run.design.onsets, run.design.durations])
        facts["conditions"] = list(run.design.conditions)
    if arrays:
        np.savez_compressed(folder / ARRAYS, **arrays)
    write_json(folder / FACTS, facts)


def read_run(folder: Path) -> Run:
    """Return the Run that a session's folder keeps, the empty one where it keeps none.

    Raises
    ------
    RecordingError
        If a part is missing or has changed since; named.
    """
    path = folder / FACTS
    if not path.exists():
        return NO_RUN
    try:
        facts = read_json(path, RecordingError)
        arrays = load_arrays(folder / ARRAYS, RecordingError) if (folder / ARRAYS).exists() else {}
        design = None
        if "design" in arrays:
            design = Design(arrays["design"][0], arrays["design"][1], tuple(facts["conditions"]))
        run = Run(
            design=design,
            reference=arrays.get("reference"),
            masks={
                name.removeprefix("masks."): mask
                for name, mask in arrays.items()
                if name.startswith("masks.")
            },
            channel_map=facts["channel_map"],
        )
        wanted = dict(facts["hashes"])
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecordingError,
        ConfigError,
    ) as error:
        raise RecordingError(f"{path}: expected what the session fixed, came: {error}") from None
    if changed := sorted(
        name for name in wanted.keys() | run.hashes if wanted.get(name) != run.hashes.get(name)
    ):
        raise RecordingError(
            f"{folder}: {', '.join(changed)} of the session's run is missing or has changed since it ran. "
            f"Put {ARRAYS} back as it was."
        )
    return run


def _volume(path: Path) -> NDArray[Any]:
    volume = load_array(
        path, lambda words: ConfigError(f"cannot read the volume: {words} Expected a .npy file.")
    )
    if volume.ndim != 3:
        raise ConfigError(f"{path}: expected one volume (x, y, z) of numbers, came shape {volume.shape}")
    if not np.isfinite(volume.astype(np.float64)).all():
        raise ConfigError(f"{path}: expected finite values, came others. Mask or fill them first.")
    return volume


def _mask(path: Path) -> NDArray[np.bool_]:
    volume = _volume(path)
    if not np.isin(volume, (0, 1)).all() or not volume.any():
        raise ConfigError(
            f"{path}: expected a mask of zeros and ones with at least one voxel, came other values"
        )
    return volume.astype(bool)

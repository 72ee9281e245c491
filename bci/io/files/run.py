"""Files of a Run, the design, reference volume and masks of a session, are read here and kept with the session."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.errors import ConfigError, DataError, RecordingError
from bci.io.files.folder import write_json
from bci.io.files.npy import load_array, load_arrays
from bci.io.files.regular import read_json, read_text, require_regular
from bci.io.installation import missing_extra
from bci.signal.run import NO_RUN, Design, Run, TrainedGrid
from bci.signal.volumes.registration import edges_picture, laid_on, register
from bci.signal.volumes.rigid import GRID_MM, voxel_sizes_mm

#: In a session's folder: hashes and names, and the arrays.
FACTS, ARRAYS = "run.json", "run.npz"

#: In a session's folder, where a training session's reference was registered: the edges of both.
PICTURE = "registration.png"


def load_run(
    *,
    design: Path | None = None,
    reference: Path | None = None,
    masks: Mapping[str, Path] | None = None,
    channel_map: Mapping[str, str] | None = None,
    affine: Sequence[Sequence[float]] | None = None,
    trained_reference: Path | None = None,
) -> Run:
    """Read the Run of a session from its files.

    Parameters
    ----------
    design : Path, optional
        A tab-separated table with the columns ``onset``, ``duration`` (seconds) and ``trial_type``, as BIDS has it.
    reference : Path, optional
        One volume (x, y, z) in a .npy file, or in a NIfTI file, which has an affine too.
    masks : mapping of str to Path, optional
        Volumes (x, y, z) of truth values or of zeros and ones, each in a .npy or NIfTI file on the reference's grid.
    channel_map : mapping of str to str, optional
        The stream's label of a channel to the bundle's.
    affine : sequence of four rows, optional
        From voxels to millimetre; by default the reference's, where it is a NIfTI file.
    trained_reference : Path, optional
        The reference volume of the session that the decoder was trained on, a NIfTI file. Masks lie on its grid then,
        and it is registered to today's.

    Raises
    ------
    ConfigError
        If a file cannot be read, or holds something else; named.
    """
    volume, own = (None, None) if reference is None else _volume(reference)
    grid = own if affine is None else _affine(affine)
    trained = None if trained_reference is None else _trained(trained_reference, volume, grid)
    masks_grid = grid if trained is None else trained.affine
    return Run(
        design=None if design is None else read_design(design),
        reference=None if volume is None else volume.astype(np.float32),
        masks={name: _mask(path, masks_grid) for name, path in (masks or {}).items()},
        channel_map=dict(channel_map or {}),
        affine=grid,
        trained=trained,
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
    if run.affine is not None:
        arrays["affine"] = run.affine
    if run.trained is not None:
        arrays["trained"] = np.stack([run.trained.affine, run.trained.to_today])
        arrays["trained.reference"] = run.trained.reference
        _save_picture(run, folder / PICTURE)
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
            affine=arrays.get("affine"),
            trained=_read_trained(arrays),
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


def _trained(path: Path, today: NDArray[Any] | None, affine: NDArray[np.float64] | None) -> TrainedGrid:
    """Register the training session's reference volume to today's."""
    if today is None or affine is None:
        raise ConfigError(
            "[run] trained_reference is registered to today's reference volume, and its affine: name a NIfTI file in "
            "[run] reference"
        )
    volume, own = _volume(path)
    if own is None:
        raise ConfigError(f"{path}: expected a NIfTI file, which has an affine, came a .npy file")
    try:
        found = register(volume, own, today, affine)
    except DataError as error:
        raise ConfigError(f"{path} could not be registered to today's reference volume: {error}") from None
    if found.fault:
        raise ConfigError(
            f"{path} could not be registered to today's reference volume: {found.fault}. Compare the two in a viewer; "
            "train anew if the head lies elsewhere."
        )
    return TrainedGrid(own, found.matrix, volume.astype(np.float32))


def _read_trained(arrays: Mapping[str, NDArray[Any]]) -> TrainedGrid | None:
    if "trained" not in arrays:
        return None
    affine, to_today = arrays["trained"]
    return TrainedGrid(affine, to_today, arrays["trained.reference"])


def _save_picture(run: Run, path: Path) -> None:
    """Write the edges of both reference volumes, for a person who checks the registration."""
    if run.trained is None or run.reference is None or run.affine is None:
        return
    shape = run.trained.reference.shape
    laid = laid_on(shape, run.trained.affine, run.reference, run.affine, run.trained.to_today)
    Image.fromarray(edges_picture(run.trained.reference, laid, run.trained.affine)).save(path)


def _volume(path: Path) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Return one volume (x, y, z), and its affine where the file has one."""
    if path.name.endswith((".nii", ".nii.gz")):
        volume, affine = _nifti(path)
    else:
        volume, affine = load_array(path, _refusal), None
    if volume.ndim != 3:
        raise ConfigError(f"{path}: expected one volume (x, y, z) of numbers, came shape {volume.shape}")
    if not np.isfinite(volume.astype(np.float64)).all():
        raise ConfigError(f"{path}: expected finite values, came others. Mask or fill them first.")
    return volume, affine


def _refusal(words: str) -> ConfigError:
    return ConfigError(f"cannot read the volume: {words} Expected a .npy or a NIfTI file.")


def _nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    try:
        from bci.io.volumes.nifti import walk_nifti
    except ImportError as error:
        raise ConfigError(missing_extra("reading NIfTI files", "nibabel", ["fmri"])) from error
    require_regular(path, _refusal)
    try:
        volumes = walk_nifti(path)
        first = next(volumes)
        if next(volumes, None) is not None:
            raise ConfigError(f"{path}: expected one volume, came a run of several. Give one, or their mean.")
    except RecordingError as error:
        raise _refusal(f"{path}: {error}") from None
    return first.data, first.series.affine


def _affine(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    if [len(row) for row in rows] != [4, 4, 4, 4]:
        raise ConfigError(
            f"[run] affine: expected four rows of four numbers, came {[list(row) for row in rows]}"
        )
    affine = np.array(rows, np.float64)
    voxel_sizes_mm(affine)
    return affine


def _mask(path: Path, grid: NDArray[np.float64] | None) -> NDArray[np.bool_]:
    volume, own = _volume(path)
    if not np.isin(volume, (0, 1)).all() or not volume.any():
        raise ConfigError(
            f"{path}: expected a mask of zeros and ones with at least one voxel, came other values"
        )
    if grid is not None and own is not None and not np.allclose(own, grid, atol=GRID_MM):
        raise ConfigError(
            f"{path}: expected a mask on the reference's grid\n{grid}\ncame one on\n{own}\nResample it to the "
            "reference first: voxels would be taken from elsewhere, or from the other side."
        )
    return volume.astype(bool)

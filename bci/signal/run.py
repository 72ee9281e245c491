"""A Run holds what a session fixes beyond its bundle before it starts: design, reference volume, masks, labels.

A step that needs some of it says so (`RunStep.needs`), and is refused before the session begins where it is missing.
Each part has a hash, which is recorded with the session: reproduction uses the same Run or refuses.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A Design holds the planned events of a session.

    Attributes
    ----------
    onsets, durations : (n,) float64
        Seconds from the first sample of the signal.
    conditions : tuple of str
        Condition of each; the names of a design matrix' columns.
    """

    onsets: NDArray[np.float64]
    durations: NDArray[np.float64]
    conditions: tuple[str, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.onsets), len(self.durations), len(self.conditions)}
        if len(sizes) != 1 or not np.isfinite(self.onsets).all() or not np.isfinite(self.durations).all():
            raise ConfigError(
                "a design needs one finite onset, one finite duration and one condition for each event; came "
                f"{len(self.onsets)} onsets, {len(self.durations)} durations, {len(self.conditions)} conditions"
            )


@dataclass(frozen=True, slots=True, eq=False)
class TrainedGrid:
    """A TrainedGrid is the grid of the session that a decoder was trained on, found again in today's reference volume.

    Attributes
    ----------
    affine : (4, 4) float64
        From its voxels, and those of the session's masks, to its world coordinates, millimetre.
    to_today : (4, 4) float64
        From its world coordinates to those of today's reference volume: the registration.
    reference : (x, y, z) float32
        That session's reference volume.
    """

    affine: NDArray[np.float64]
    to_today: NDArray[np.float64]
    reference: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A Run holds what a session fixes beyond its bundle.

    Attributes
    ----------
    design : Design or None
        The planned events.
    reference : (x, y, z) float32 or None
        The volume that others are aligned to.
    masks : mapping of str to (x, y, z) bool
        Named choices of voxels.
    channel_map : mapping of str to str
        The stream's label of a channel to the bundle's, where they differ.
    affine : (4, 4) float64 or None
        From voxels of the session's volumes to world coordinates in millimetre: x to the right, y forward, z up (RAS).
    trained : TrainedGrid or None
        Where the masks lie on the grid of the training session, not of today's reference.
    """

    design: Design | None = None
    reference: NDArray[np.float32] | None = None
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    channel_map: Mapping[str, str] = field(default_factory=dict)
    affine: NDArray[np.float64] | None = None
    trained: TrainedGrid | None = None

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Return a mask by its name: (x, y, z) bool.

        Raises
        ------
        ConfigError
            If the session gives none of that name.
        """
        try:
            return self.masks[name]
        except KeyError:
            names = ", ".join(map(repr, self.masks)) or "none"
            raise ConfigError(
                f"expected a mask {name!r} in the session's [run] masks, came {names}. Name its file there."
            ) from None

    def aligned_to(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the reference volume (x, y, z) and its affine (4, 4).

        Raises
        ------
        ConfigError
            If the session does not give both.
        """
        if self.reference is None or self.affine is None:
            missing = "reference volume" if self.reference is None else "affine"
            raise ConfigError(
                f"expected the volume that others are aligned to, and its affine; came no {missing}. Name a NIfTI file "
                "in [run] reference, or a .npy file and the four rows of [run] affine."
            )
        return self.reference, self.affine

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each part that there is, by its name: ``design``, ``reference``, ``masks.NAME``, ``channel_map``.

        >>> sorted(Run(masks={"brain": np.ones((2, 2, 2), bool)}, channel_map={"A1": "O1"}).hashes)
        ['channel_map', 'masks.brain']
        """
        parts: dict[str, str] = {}
        if self.design is not None:
            times = np.stack([self.design.onsets, self.design.durations])
            parts["design"] = _digest(times, "\n".join(self.design.conditions))
        if self.reference is not None:
            parts["reference"] = _digest(self.reference)
        if self.affine is not None:
            parts["affine"] = _digest(self.affine)
        if self.trained is not None:
            grid = np.stack([self.trained.affine, self.trained.to_today])
            parts["trained"] = _digest(grid, _digest(self.trained.reference))
        for name, mask in sorted(self.masks.items()):
            parts[f"masks.{name}"] = _digest(mask)
        if self.channel_map:
            parts["channel_map"] = _digest(
                np.empty(0),
                "\n".join(f"{ours}\t{theirs}" for ours, theirs in sorted(self.channel_map.items())),
            )
        return parts


def _digest(array: NDArray[np.generic], text: str = "") -> str:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}\n{text}\n".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


#: What a session without a ``[run]`` section fixes.
NO_RUN = Run()

"""A reference volume, a brain mask and regions, taken from a short run before a session for its ``[run]``."""

import gzip
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bci.errors import ConfigError, DataError, RecordingError
from bci.io.files.folder import write_whole
from bci.io.volumes.nifti import is_nifti, nifti_bytes, read_nifti
from bci.io.volumes.run_on_disk import volumes_of
from bci.signal.volumes.realign import brain
from bci.signal.volumes.registration import laid_on, register
from bci.signal.volumes.rigid import Affine, grid_points, voxel_sizes_mm
from bci.signal.volumes.tiles import grey, tiles

#: Names of the files beside those of regions: the volume, the mask of the brain, the picture of all of them.
VOLUME, BRAIN, PICTURE = "reference.nii.gz", "brain.nii.gz", "reference.png"

#: Colours of regions in the picture, in the order in which they are named.
_COLOURS = ((255, 96, 64), (64, 200, 255), (120, 255, 96), (255, 220, 64))


class Region(Protocol):
    """A Region has a name, and voxels within the brain of a reference volume."""

    @property
    def name(self) -> str:
        """What the mask is called."""
        ...

    def voxels(self, within: NDArray[np.bool_], affine: Affine) -> NDArray[np.bool_]:
        """Return its voxels among those of a mask: (x, y, z) bool; ConfigError if there is none."""
        ...


def _check_name(name: str) -> None:
    if not (name.isidentifier() and len(name) <= 40 and name not in ("brain", "reference")):
        raise ConfigError(
            f"a region's name: expected letters, digits and _, other than brain and reference, came {name[:100]!r}"
        )


@dataclass(frozen=True)
class Sphere:
    """A Sphere is a region: all voxels of the brain whose centres lie within a radius of a place."""

    name: str
    """What its file is called."""
    centre_mm: tuple[float, float, float]
    """In world coordinates of the run, x to the right, y forward, z up."""
    radius_mm: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME=X,Y,Z,RADIUS``, millimetre.

        >>> Sphere.parse("visual=-8,-50,-30,9")
        Sphere(name='visual', centre_mm=(-8.0, -50.0, -30.0), radius_mm=9.0)
        """
        name, _, rest = text.partition("=")
        try:
            x, y, z, radius = (float(part) for part in rest.split(","))
        except ValueError:
            raise ConfigError(
                f"a sphere: expected NAME=X,Y,Z,RADIUS in millimetre, came {text[:100]!r}. "
                "For example: --sphere visual=-8,-50,-30,9"
            ) from None
        _check_name(name)
        if not (all(map(math.isfinite, (x, y, z, radius))) and radius > 0):
            raise ConfigError(
                f"sphere {name!r}: expected finite millimetres and a radius above 0, came {rest!r}"
            )
        return cls(name, (x, y, z), radius)

    def voxels(self, within: NDArray[np.bool_], affine: Affine) -> NDArray[np.bool_]:
        """Return its voxels among those of a mask: (x, y, z) bool.

        Raises
        ------
        ConfigError
            If there is none.
        """
        points = grid_points(within.shape, affine)
        near = np.linalg.norm(points - np.array(self.centre_mm), axis=1) <= self.radius_mm
        chosen = np.asarray(near.reshape(within.shape) & within)
        if not chosen.any():
            inside = points[within.ravel()]
            low, high = inside.min(axis=0).round(), inside.max(axis=0).round()
            reach = ", ".join(f"{axis} {a:g} to {b:g}" for axis, a, b in zip("xyz", low, high, strict=True))
            raise ConfigError(
                f"sphere {self.name!r} holds no voxel of the brain, which reaches from {reach} mm. Choose its place on "
                f"{PICTURE}, or a larger radius."
            )
        return chosen


@dataclass(frozen=True)
class RegionImage:
    """A RegionImage is a region that an image shows, on any grid in the scanner's own millimetres, resampled once.

    Where the interpolated image is above a half, there is the region.
    """

    name: str
    """What its file is called."""
    path: Path
    """A NIfTI file (x, y, z) of zeros and ones."""
    to_image: Affine = field(default_factory=lambda: np.eye(4))
    """From millimetres of the run to those of the image; the same where the head lies as it did."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME=FILE``.

        >>> RegionImage.parse("visual=v1.nii.gz").name
        'visual'
        """
        name, equals, path = text.partition("=")
        if not (equals and is_nifti(Path(path))):
            raise ConfigError(f"a region: expected NAME=FILE, a NIfTI file, came {text[:100]!r}")
        _check_name(name)
        return cls(name, Path(path))

    def voxels(self, within: NDArray[np.bool_], affine: Affine) -> NDArray[np.bool_]:
        """Return its voxels among those of a mask: (x, y, z) bool.

        Raises
        ------
        ConfigError
            If the file cannot be read, holds other values, or shows no voxel of the mask.
        """
        try:
            images = read_nifti(self.path)
        except RecordingError as error:
            raise ConfigError(f"region {self.name!r}, {self.path}: {error}") from None
        if len(images) != 1 or not np.isin(images[0].data, (0, 1)).all():
            raise ConfigError(f"{self.path}: expected one volume of zeros and ones, came others")
        image = np.asarray(images[0].data, np.float32)
        shown = laid_on(within.shape, affine, image, images[0].series.affine, self.to_image)
        chosen = np.asarray((shown > 0.5) & within)
        if not chosen.any():
            raise ConfigError(
                f"region {self.name!r} of {self.path} shows no voxel of the brain in this run. Is it in the scanner's "
                "millimetres, and of this participant? Register it to the run first."
            )
        return chosen


def write_reference(
    run: Path,
    out: Path,
    regions: Sequence[Region] = (),
    *,
    place: int = 1,
    series: int | None = None,
    drawn_on: Path | None = None,
) -> dict[str, Any]:
    """Write the reference volume of a run, the mask of its brain and each region into a folder, and a picture of them.

    Parameters
    ----------
    run : Path
        A folder of DICOM or NIfTI files, or a 4-D NIfTI file.
    out : Path
        The folder; it is made.
    regions : sequence of Region
        Spheres and images.
    place : int
        Which volume of the run, from 0. The first of a run is brighter than the rest where the scanner gives it.
    series : int, optional
        Number of the series, where a folder holds several.
    drawn_on : Path, optional
        The volume, a NIfTI file of the same kind of scan, on which image regions were drawn: it is registered to the
        run's, and regions with it; one that fits better mirrored is refused.

    Returns
    -------
    facts : dict
        ``shape``, ``tr`` (seconds; None where the files do not say), ``voxels`` of each mask and how many of them lie
        ``left`` of the middle of the brain, ``files``.

    Raises
    ------
    ConfigError
        If the run has no whole volume at that place, a region is empty, two have one name, or what regions were drawn
        on cannot be registered.
    """
    names = [region.name for region in regions]
    if len(set(names)) < len(names):
        raise ConfigError(f"expected a name of its own for each region, came {', '.join(names)}")
    volume = next((volume for volume in volumes_of(run, series) if volume.index == place), None)
    if volume is None or volume.absent is not None:
        raise ConfigError(
            f"{run} has no whole volume at place {place}. See `bci volumes info`, and choose --volume."
        )
    values, affine = np.asarray(volume.data, np.float32), volume.series.affine
    if drawn_on is not None:
        to_image = _registered(values, affine, drawn_on)
        regions = [
            replace(one, to_image=to_image) if isinstance(one, RegionImage) else one for one in regions
        ]
    masks = {"brain": brain(values, voxel_sizes_mm(affine))}
    masks |= {region.name: region.voxels(masks["brain"], affine) for region in regions}
    out.mkdir(parents=True, exist_ok=True)
    _write(out / VOLUME, volume.data, affine, volume.series.tr)
    for name, mask in masks.items():
        _write(out / f"{name}.nii.gz", mask.astype(np.uint8), affine)
    drawn = io.BytesIO()
    Image.fromarray(masks_picture(values, affine, {name: masks[name] for name in names})).save(drawn, "PNG")
    write_whole(out / PICTURE, drawn.getvalue())
    return {
        "shape": list(values.shape),
        "tr": volume.series.tr if math.isfinite(volume.series.tr) else None,
        "voxels": {name: int(mask.sum()) for name, mask in masks.items()},
        "left": {name: int((mask & _left(masks["brain"], affine)).sum()) for name, mask in masks.items()},
        "files": [VOLUME, *(f"{name}.nii.gz" for name in masks), PICTURE],
    }


def _registered(reference: NDArray[np.float32], affine: Affine, path: Path) -> Affine:
    """Return where the reference volume's tissue is in the volume that regions were drawn on."""
    try:
        images = read_nifti(path)
        found = register(reference, affine, np.asarray(images[0].data, np.float32), images[0].series.affine)
    except (RecordingError, DataError) as error:
        raise ConfigError(f"{path}, on which regions were drawn: {error}") from None
    if found.fault:
        raise ConfigError(
            f"{path}, on which regions were drawn, could not be registered to the run: {found.fault}. Compare the two "
            "in a viewer, left and right above all."
        )
    return found.matrix


def _left(within: NDArray[np.bool_], affine: Affine) -> NDArray[np.bool_]:
    across = grid_points(within.shape, affine)[:, 0].reshape(within.shape)
    return np.asarray(across < across[within].mean())


def _write(path: Path, values: NDArray[Any], affine: Affine, tr: float = math.nan) -> None:
    write_whole(path, gzip.compress(nifti_bytes(values, affine, tr), mtime=0))


def masks_picture(
    volume: NDArray[np.float32], affine: Affine, regions: Mapping[str, NDArray[np.bool_]], width: int = 6
) -> NDArray[np.uint8]:
    """Return slices of a volume from below to above, seen from above, with regions in colour and their names.

    Parameters
    ----------
    volume : (x, y, z) array
        Any orientation; it is turned as the affine says.
    affine : (4, 4) array
        From voxels to millimetre (x to the right, y forward, z up).
    regions : mapping of str to (x, y, z) bool
        On the same grid.
    width : int
        Slices in a row.

    Returns
    -------
    picture : (height, width, 3) uint8
        The participant's left to the left, front up, twice as large as the voxels.
    """
    colour = grey(volume)
    for place, region in enumerate(regions.values()):
        over = 0.4 * colour[region] + 0.6 * np.array(_COLOURS[place % len(_COLOURS)])
        colour[region] = over.round().astype(np.uint8)
    return _labelled(tiles(colour, affine, width), list(regions))


def _labelled(picture: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.uint8]:
    """Return the picture with a line below it that says where left is and which colour is which region."""
    line = 16
    whole = Image.fromarray(np.concatenate([picture, np.zeros((line, *picture.shape[1:]), np.uint8)]))
    pen, height, at = ImageDraw.Draw(whole), len(picture) + 2, 4
    for words, colour in [
        ("left of each slice: left", (255, 255, 255)),
        *((name, _COLOURS[place % len(_COLOURS)]) for place, name in enumerate(names)),
    ]:
        pen.text((at, height), words, fill=colour)
        at += int(pen.textlength(words)) + 12
    return np.asarray(whole)

"""SimpleITK's rigid registration as a contender: an image pyramid, all voxels of the brain, one thread."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Array = NDArray[np.floating]


def image_of(volume: Array, affine: Array) -> sitk.Image:
    """Return a volume (x, y, z) as an image whose physical space is the affine's world."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.transpose(volume, (2, 1, 0)), np.float32))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


class SitkRealigner:
    """A SitkRealigner estimates rigid motions against one reference, as `bci.signal.volumes.realign.Realigner` does.

    Mean squares over the voxels of the mask, by gradient descent with scales from physical shifts, first on images
    shrunk twofold.

    Parameters
    ----------
    part : float
        Part of the voxels that are compared, on a regular grid; 1 for all.
    spline : bool
        Whether the volume is interpolated by a cubic spline, not linearly.
    """

    def __init__(
        self,
        reference: Array,
        affine: Array,
        mask: NDArray[np.bool_],
        centre: Array,
        part: float = 1.0,
        spline: bool = False,
    ) -> None:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        self._part, self._spline = part, spline
        self._affine, self._centre = affine, np.asarray(centre, float).tolist()
        self._fixed = image_of(reference, affine)
        self._mask = sitk.Cast(image_of(mask.astype(np.float32), affine), sitk.sitkUInt8)

    def __call__(self, volume: Array) -> NDArray[np.float64]:
        """Return the motion (4, 4) of world coordinates from the reference to the volume."""
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMeanSquares()
        method.SetMetricFixedMask(self._mask)
        if self._part < 1.0:
            method.SetMetricSamplingStrategy(method.REGULAR)
            method.SetMetricSamplingPercentage(self._part)
        method.SetInterpolator(sitk.sitkBSpline if self._spline else sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 100, gradientMagnitudeTolerance=1e-6)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([2, 1])
        method.SetSmoothingSigmasPerLevel([4.0, 2.0])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        transform = sitk.Euler3DTransform()
        transform.SetCenter(self._centre)
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(self._fixed, image_of(volume, self._affine))
        motion = np.eye(4)
        motion[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
        centre = np.array(self._centre)
        motion[:3, 3] = np.array(transform.GetTranslation()) + centre - motion[:3, :3] @ centre
        return motion

"""Scores of reconstructed pictures beside readers that know nothing, or one thing alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.generators.features import edges_and_colours
from models.metrics.identification import correlation_table, two_way
from models.metrics.images import pixel_correlation, ssim_hyper
from models.readouts.ridge_solver import fit_ridge
from models.readouts.scaling import Standard
from models.reports.pixels import Pixels
from models.systems.end_to_end.data import PictureResponses

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]

_PENALTIES = tuple(float(p) for p in np.logspace(0, 5, 11))


def score_each(shown: Pictures, read: Pictures) -> dict[str, Floats]:
    """Score every picture: (k, side, side, 3) twice to (k,) by measure.

    Returns
    -------
    dict
        ``pixel_r`` (a picture of one grey has none, which counts as 0), ``ssim`` (HYPER's), ``pixels`` and ``edges``:
        the share of other pictures that the reconstruction is less like than its own, by pixels and by oriented edges
        and colours, which are no comparator's features.
    """
    rows = Pixels(*shown.shape[1:3])
    return {
        "pixel_r": np.nan_to_num(pixel_correlation(shown, read)),
        "ssim": ssim_hyper(shown, read),
        "pixels": two_way(correlation_table(rows.values(shown), rows.values(read))),
        "edges": two_way(correlation_table(edges_and_colours(shown), edges_and_colours(read))),
    }


def means(scores: dict[str, Floats]) -> dict[str, float]:
    """Return the mean of each measure."""
    return {name: float(np.mean(values)) for name, values in scores.items()}


def mean_picture(data: PictureResponses) -> Pictures:
    """Return the mean of the training's pictures for every test picture."""
    mean = np.round(data.pictures.mean(axis=0)).astype(np.uint8)
    return np.repeat(mean[None], len(data.shown), axis=0)


def ridge_to_pixels(data: PictureResponses, kept: NDArray[np.bool_]) -> Pictures:
    """Reconstruct test pictures from mean responses by ridge, a penalty for each pixel."""
    scale, pixels = Standard.of(data.voxels[:, kept]), Pixels(data.side, data.side)
    fitted = fit_ridge(
        np.asarray(scale.forward(data.voxels[:, kept]), np.float64), pixels.values(data.pictures), _PENALTIES
    )
    return pixels(np.asarray(scale.forward(data.averaged[:, kept])) @ fitted.weights + fitted.intercept)


def score_table(data: PictureResponses, read: Pictures, kept: NDArray[np.bool_]) -> dict[str, Any]:
    """Score what was read of mean responses beside ridge to pixels, and the mean of the training's pictures."""
    rows = {"read": read, "ridge to pixels": ridge_to_pixels(data, kept), "mean picture": mean_picture(data)}
    return {name: means(score_each(data.shown, pictures)) for name, pictures in rows.items()}

"""Scoring computes every score of a report, each beside its baselines, ready for JSON.

Pairs of test items share items, so significance exchanges whole pictures, and intervals resample pictures, never
trials of one. What needs an extra that is not installed says so and stops nothing.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import BciError
from models.metrics.calibration import error_by_confidence, falls_with_confidence, risk_coverage
from models.metrics.ceiling import describe_ceiling, noise_ceiling
from models.metrics.identification import correlation_table, headline, identify, wins
from models.metrics.images import why_no_anchor
from models.metrics.latents import cosine
from models.metrics.networks import score_networks
from models.metrics.significance import bootstrap_stimuli
from models.metrics.table import Row, latent_rows, picture_rows
from models.reports.decoded import SINGLE, Decoded

Draw = Callable[[NDArray[Any]], NDArray[np.uint8]]

#: Candidates at which the curve of identification is drawn; the whole set is added.
_WAYS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 100, 200, 300)
_BINS = 5


def score_decoded(
    decoded: Decoded,
    draw: Draw | None,
    *,
    weights: Path | None = None,
    seed: int = 0,
    permutations: int = 1000,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Score decoded trials.

    Parameters
    ----------
    decoded : Decoded
        Trials of known pictures.
    draw : callable, optional
        Draws latents (n, d) as pictures (n, height, width, 3) uint8; without it pictures are not scored.
    weights : Path, optional
        Folder of the networks that some rows need; see `models.metrics.networks`.
    seed : int
        Of permutations, resamples, and random latents.
    permutations, resamples : int

    Returns
    -------
    dict
        ``headline``, ``informed``, ``test`` (what there was), ``identification`` of each level, ``rows`` (the table),
        ``networks``, ``curves``, ``confidence``, ``ceiling``, ``missing`` (what could not be scored, and why).
    """
    rng = np.random.default_rng(seed)
    identified = {
        level: identify(predicted, decoded.latents, which, rng)
        for level, (predicted, which) in decoded.levels.items()
    }
    rows: list[Row] = []
    missing: list[str] = []
    networks: list[dict[str, Any]] = []
    draws: dict[str, Any] = {"rng": rng, "permutations": permutations, "resamples": resamples}
    for level, (predicted, which) in decoded.levels.items():
        rows += latent_rows({"read": predicted}, decoded.latents, averaged=level, which=which, **draws)
    if unread := int((~np.isfinite(decoded.predicted).all(1)).sum()):
        missing.append(
            f"pictures: what was read holds NaN in {unread} of {len(decoded)} trials, which cannot be drawn"
        )
    elif draw is None:
        missing.append("pictures: the bundle has no generator of its own, so latents cannot be drawn alone")
    else:
        rows += _picture_rows(decoded, draw, draws)
        networks = _networks(decoded, draw, weights)
        if why := why_no_anchor(*decoded.seen.shape[1:3]):
            missing.append(f"SSIM (anchor): {why}")
    return {
        **headline(identified[decoded.read_of], decoded.read_of),
        "simulated": decoded.simulated,
        "test": {
            "pictures": len(decoded.names),
            "trials": len(decoded),
            **({} if decoded.read_of == SINGLE else {"read_of": decoded.read_of}),
            "repeats": decoded.repeats,
            "averaged": list(decoded.levels),
            "mean_picture_of": decoded.mean_of,
        },
        "identification": identified,
        "rows": [asdict(row) | {"baselines": dict(row.baselines)} for row in rows],
        "networks": networks,
        "curves": {
            level: identification_curve(predicted, decoded.latents, which, rng, resamples)
            for level, (predicted, which) in decoded.levels.items()
        },
        "confidence": confidence_scores(decoded),
        "ceiling": ceiling(decoded),
        "missing": missing,
    }


def _picture_rows(decoded: Decoded, draw: Draw, draws: dict[str, Any]) -> list[Row]:
    d = decoded.latents.shape[1]
    others = {
        "zero latent": np.repeat(draw(np.zeros((1, d), np.float32)), len(decoded.names), 0),
        "random latents": draw(
            draws["rng"].standard_normal(decoded.latents.shape).astype(np.float32),
        ),
    }
    rows = picture_rows(
        {"best possible": draw(decoded.latents)},
        decoded.seen,
        decoded.mean_picture,
        averaged="true latents, drawn",
        others=others,
        **draws,
    )
    for level, (predicted, which) in decoded.levels.items():
        rows += picture_rows(
            {"read": draw(predicted)},
            decoded.seen,
            decoded.mean_picture,
            averaged=level,
            which=which,
            others=others,
            **draws,
        )
    return rows


def _networks(decoded: Decoded, draw: Draw, weights: Path | None) -> list[dict[str, Any]]:
    level, (predicted, which) = list(decoded.levels.items())[-1]
    if len(which) != len(decoded.names):  # single trials: the first of each picture
        first = np.array([np.flatnonzero(which == k)[0] for k in range(len(decoded.names))])
        predicted, level = predicted[first], f"the first of {level}"
    rows = score_networks(decoded.seen, draw(predicted), weights, training_mean=decoded.mean_picture)
    return [
        {
            "metric": row.name,
            "better": row.better,
            "score": None if row.values is None else float(row.values.mean()),
            "said": row.said,
            "baselines": dict(row.baselines),
            "averaged": level,
        }
        for row in rows
    ]


def identification_curve(
    predicted: NDArray[Any],
    latents: NDArray[Any],
    which: NDArray[np.integer[Any]],
    rng: np.random.Generator,
    resamples: int = 1000,
) -> list[dict[str, float]]:
    """Return identification against the number of candidates, with intervals over pictures and chance."""
    table, k = correlation_table(latents, predicted), len(latents)
    curve = []
    for ways in sorted({w for w in _WAYS if w < k} | {k}):
        values = wins(table, ways)[np.arange(len(table)), which]
        low, high = bootstrap_stimuli(values, which, resamples=resamples, rng=rng)
        curve.append(
            {"ways": ways, "score": float(values.mean()), "low": low, "high": high, "chance": 1 / ways}
        )
    return curve


def confidence_scores(decoded: Decoded) -> dict[str, Any] | None:
    """Return how stated confidence relates to error; None where none is stated, or a latent read holds NaN.

    The error of a trial is one minus the cosine of its latent. Trials of one picture are not independent, so the rank
    correlation is one of pictures.
    """
    if not np.isfinite(decoded.confidence).all() or not np.isfinite(decoded.predicted).all():
        return None
    error = 1.0 - cosine(decoded.latents[decoded.which], decoded.predicted)
    curve = risk_coverage(error, decoded.confidence)
    count = np.bincount(decoded.which)
    means = [np.bincount(decoded.which, values) / count for values in (decoded.confidence, error)]
    rho, p = falls_with_confidence(means[1], means[0])
    kept = np.unique(np.linspace(0, len(curve.risk) - 1, 60).round().astype(int))
    return {
        "mean": float(decoded.confidence.mean()),
        "error": "1 - cosine of the latent",
        "bins": [
            {"confidence": stated, "error": wrong, "trials": n}
            for stated, wrong, n in error_by_confidence(error, decoded.confidence, min(_BINS, len(decoded)))
        ],
        "risk_coverage": {
            "coverage": curve.coverage[kept].tolist(),
            "risk": curve.risk[kept].tolist(),
            "area": curve.area,
            "best": curve.best,
            "chance": curve.chance,
        },
        "rho": rho,
        "p": p,
    }


def ceiling(decoded: Decoded) -> str:
    """Return the noise ceiling of the responses, in words."""
    if decoded.brain is None:
        return "unknown: the responses themselves are not at hand"
    try:
        return describe_ceiling(noise_ceiling(decoded.brain, decoded.which)).replace("voxels", "features")
    except BciError as error:
        return f"unknown: {error}"

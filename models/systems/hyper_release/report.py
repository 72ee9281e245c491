"""The report on a bundle of HYPER's release: the usual page, and the attributes whose boundaries the release holds."""

from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import Bundle
from bci.io.files.page import escape, table
from models.datasets.hyper import load_boundaries
from models.metrics.semantic import Boundary, score_attribute
from models.metrics.significance import holm
from models.reports.bundle import report_bundle
from models.reports.decoded import Decoded
from models.reports.figures import p_value
from models.systems.hyper_release.heldout import config_of, decode_faces, release_of
from models.systems.hyper_release.model import similarity_rows
from models.systems.system import Progress


def evaluate_release(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Score a bundle on the test faces and write its page; see `models.systems.system.Report`."""
    progress(0.0, "decoding the test faces")
    folder, train, _ = release_of(bundle, data_root)
    decoded, config = decode_faces(bundle, data_root), config_of(bundle)
    rows = similarity_rows(decoded.latents, decoded.predicted, train.latents.mean(0), config.seed)
    attributes = attributes_of(folder, decoded, config.seed)
    return report_bundle(
        bundle,
        decoded,
        out,
        facts=[
            ("Release", f"{folder}, subject {config.subject}, {len(train)} training trials"),
            ("Model", f"{config.model}; readout {config.readout.name}, hash {bundle.hash}"),
            ("Collapse", str(bundle.spec.scores.get("collapse", "not diagnosed"))),
        ],
        more={"baselines": rows, "release_attributes": attributes},
        last=_latents(rows) + _attributes(attributes),
        weights=weights,
        seed=config.seed,
        progress=lambda done, text: progress(0.2 + 0.8 * done, text),
    )


def attributes_of(folder: Path, decoded: Decoded, seed: int) -> list[dict[str, Any]]:
    """Score the attributes whose boundaries lie in ``bounds/``: Pearson's r of true and read semantic scores.

    Returns
    -------
    list of dict
        ``attribute``, ``r``, ``t_test_p`` and ``permutation_p``, both corrected over attributes (Holm).
    """
    random, found = np.random.default_rng([seed, 4]), []
    for name, normal in load_boundaries(folder).items():
        boundary = Boundary(name, normal.astype(np.float64), 0.0, float("nan"))
        found.append(score_attribute(boundary, decoded.latents, decoded.predicted, rng=random))
    if not found:
        return []
    corrected = {
        kind: holm([1.0 if (p := getattr(one, kind)) is None else p for one in found])
        for kind in ("t_test", "permutation")
    }
    return [
        {
            "attribute": one.attribute,
            "r": one.r,
            "t_test_p": float(corrected["t_test"][k]),
            "permutation_p": float(corrected["permutation"][k]),
        }
        for k, one in enumerate(found)
    ]


def _latents(rows: dict[str, dict[str, float]]) -> str:
    lines = [
        [escape(name), f"{row['similarity']:.4f}", f"{row['cosine']:.3f}", f"{row['r_squared']:.3f}"]
        for name, row in rows.items()
    ]
    return (
        "<h2>Latents beside what knows nothing</h2>"
        + table(["latents", "1 / (1 + MSE)", "cosine", "R²"], lines, range(1, 4))
        + '<p class="legend">The released code scores 1 / (1 + mean squared error): of latents with unit variance '
        "zeros reach .5 and random ones .333, so that column alone says nothing.</p>"
    )


def _attributes(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "<h2>Attributes of the release</h2><p>Its folder holds no boundaries (bounds/).</p>"
    lines = [
        [escape(row["attribute"]), f"{row['r']:.2f}", p_value(row["t_test_p"]), p_value(row["permutation_p"])]
        for row in rows
    ]
    return (
        "<h2>Attributes of the release</h2>"
        + table(["attribute", "r", "t", "shuffled"], lines, range(1, 4))
        + '<p class="legend">Scores are products of a latent with the normal of the release\'s boundary. t: two-sided; '
        "shuffled: test faces exchanged, one-sided; both corrected over attributes (Holm).</p>"
    )

"""Training: local decoders on random pictures, coefficients on runs held out, scores on figures; one bundle out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import require_place
from bci.decoder.spec import (
    BundleSpec,
    GraphSpec,
    ImageSpec,
    NoveltySpec,
    Provenance,
    SignalSpec,
    WindowSpec,
)
from bci.errors import DataError
from bci.signal.types import Signal
from models.export import GraphParts, floats
from models.provenance import versions
from models.readouts.export import add_novelty, add_statistics
from models.readouts.novelty import Novelty
from models.settings import find_data_root
from models.systems.miyawaki import combination as combined
from models.systems.miyawaki.bases import Bases, make_bases
from models.systems.miyawaki.data import ContrastData, open_data
from models.systems.miyawaki.receptive_fields import fit_fields
from models.systems.miyawaki.regressors import LocalDecoders, fit_decoders
from models.systems.miyawaki.scores import score
from models.systems.miyawaki.settings import FileData, MiyawakiConfig, load_miyawaki
from models.systems.saving import save_trained
from models.systems.system import Progress, check_worth

Floats = NDArray[np.float64]
_PACKAGES = ("numpy", "scipy", "scikit-learn", "onnx", "onnxruntime")
_SHUFFLES = 200


@dataclass(frozen=True, eq=False)
class Fitted:
    """A Fitted is the whole decoder: local decoders and what combines them.

    Attributes
    ----------
    bases : Bases
    decoders : LocalDecoders
        Fitted to all random pictures.
    combination : Combination
        Learned on predictions of runs that were held out.
    held : (samples, n) float64
        Those predictions.
    novelty : Novelty
        Of standardised voxels, its limits drawn on the same runs.
    """

    bases: Bases
    decoders: LocalDecoders
    combination: combined.Combination
    held: Floats
    novelty: Novelty

    def __call__(self, voxels: Floats) -> Floats:
        """Reconstruct: (samples, voxels) to (samples, side²)."""
        return self.combination(self.decoders(voxels))

    def unlike(self, voxels: Floats) -> NDArray[np.bool_]:
        """Return which samples, (samples, voxels), are unlike those of training: (samples,)."""
        return self.novelty(self.decoders.standardised(voxels)) > 1


def fit(config: MiyawakiConfig, data: ContrastData, progress: Progress) -> Fitted:
    """Fit decoders and coefficients to the random pictures.

    Raises
    ------
    DataError
        If there are fewer runs than folds.
    """
    bases = make_bases(data.side, config.scales)
    runs = np.unique(data.runs)
    if len(runs) < config.folds:
        raise DataError(f"expected at least {config.folds} runs, one a fold, came {len(runs)}. Lower folds.")
    fold_of = np.searchsorted(runs, data.runs) % config.folds
    held = np.empty((len(data.pictures), len(bases)))
    if config.coefficients != "equal":
        for fold in range(config.folds):
            progress(0.8 * fold / config.folds, f"decoders without fold {fold + 1} of {config.folds}")
            out = fold_of == fold
            part = _decoders(config, bases, data.voxels[~out], data.pictures[~out])
            held[out] = part(data.voxels[out])
    progress(0.8, "decoders on all random pictures")
    decoders = _decoders(config, bases, data.voxels, data.pictures)
    # Figures are unlike random pictures, and are what it is for; responses to one may be averaged.
    novelty = Novelty.fit_by(decoders.standardised(data.voxels), fold_of).beside()
    novelty = novelty.scaled(1 / np.bincount(data.which).max(), 1.0)
    return Fitted(bases, decoders, combine(config.coefficients, bases, held, data.pictures), held, novelty)


def _decoders(config: MiyawakiConfig, bases: Bases, voxels: Floats, pictures: Floats) -> LocalDecoders:
    if config.regressor == "receptive_fields":
        return fit_fields(bases, voxels, pictures)
    return fit_decoders(config.regressor, voxels, bases.contrasts(pictures), best=config.best)


def combine(how: str, bases: Bases, held: Floats, pictures: Floats) -> combined.Combination:
    """Return the combination that a training file asks for."""
    if how == "scales":
        return combined.learn_scales(bases, held, pictures)
    if how == "elements":
        return combined.learn_elements(bases, held, pictures)
    return combined.equal(bases)


def evaluate_figures(data: ContrastData, read: Floats, seed: int) -> dict[str, Any]:
    """Score reconstructions of figures, beside the correlation of exchanged ones."""
    shown = data.shown[data.which]
    scores: dict[str, Any] = dict(score(shown, read))
    random = np.random.default_rng([seed, 2])
    null = [
        score(data.shown[random.permutation(len(data.shown))[data.which]], read)["r"]
        for _ in range(_SHUFFLES)
    ]
    scores["r_exchanged"] = [float(q) for q in np.quantile(null, [0.025, 0.5, 0.975])]
    scores["p"] = float((1 + sum(r >= scores["r"] for r in null)) / (1 + len(null)))
    return scores


def train_miyawaki(
    path: Path, out: Path, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train a file and write its bundle; see `models.systems.system.Train`."""
    config = load_miyawaki(path)
    require_place(out)
    data = open_data(config, find_data_root(data_root, needed=isinstance(config.data, FileData)))
    fitted = fit(config, data, progress)
    progress(0.95, "scoring figures")
    scores = evaluate_figures(data, fitted(data.test_voxels), config.seed)
    if config.coefficients == "scales":
        low, high = combined.bootstrap(fitted.bases, fitted.held, data.pictures, seed=config.seed)
        scores["coefficients"] = [
            {"scale": list(shape), "value": float(v), "interval": [float(a), float(b)]}
            for shape, v, a, b in zip(
                fitted.bases.shapes, fitted.combination.coefficients, low, high, strict=True
            )
        ]
    limit = scores["r_exchanged"][2]
    finding = f"the mean correlation is {scores['r']:.3f}; with figures exchanged it is up to {limit:.3f}"
    scores |= check_worth(scores["r"] > limit, finding, even_at_chance)
    spec, files = bundle_of(config, data, fitted, scores)
    saved = save_trained(out, spec, files, scores, data.test_voxels)
    progress(1.0, "done")
    return saved


def bundle_of(
    config: MiyawakiConfig, data: ContrastData, fitted: Fitted, scores: dict[str, Any]
) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle and write its graphs: every volume is a window, the reconstruction its latent."""
    voxels, pixels = data.voxels.shape[1], data.side * config.zoom
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(Signal("BOLD", 1 / config.tr, (voxels,), (), "percent")),
        pipeline=(),
        window=WindowSpec(length=1, hop=1),
        latent=data.side**2,
        image=ImageSpec(height=pixels, width=pixels, low=0.0, high=1.0),
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
        novelty=NoveltySpec(
            calibrated_on=f"folds held out of {len(data.voxels)} random pictures",
            flagged=float(fitted.unlike(data.test_voxels).mean()),
        ),
        provenance=Provenance(
            data=dict(data.origin),
            config=config.model_dump(mode="json"),
            seeds={"all": config.seed},
            versions=versions(_PACKAGES),
        ),
        scores={key: value for key, value in scores.items() if key != "coefficients"},
    )
    return spec, {
        "readout.onnx": _readout(fitted, voxels),
        "generator.onnx": _drawing(data.side, config.zoom),
    }


def _readout(fitted: Fitted, voxels: int) -> bytes:
    """Write decoders and combination as a graph.

    ``window`` (1, 1, voxels) → ``latent`` (1, side²), and ``novelty`` (1,), above 1 where a volume is unlike training.
    """
    graph, decoders = GraphParts(), fitted.decoders
    graph.constant("flat", np.array([1, voxels]))
    graph.constant("mean", decoders.mean[None])
    graph.constant("spread", decoders.spread[None])
    graph.constant("weights", decoders.weights)
    graph.constant("offset", decoders.offset[None])
    graph.constant("combination", fitted.combination.weights)
    centred = graph.node("Sub", [graph.node("Reshape", ["window", "flat"], "row"), "mean"], "centred")
    standardised = graph.node("Div", [centred, "spread"], "standardised")
    name = graph.node("Add", [graph.node("MatMul", [standardised, "weights"], "sum"), "offset"], "contrasts")
    if decoders.sigmoid:
        name = graph.node("Sigmoid", [name], "probabilities")
    graph.node("MatMul", [name, "combination"], "latent")
    add_novelty(graph, add_statistics(graph, fitted.novelty, standardised), fitted.novelty.limits)
    taken, pixels = floats("window", [1, 1, voxels]), fitted.combination.weights.shape[1]
    return graph.finish("local_decoders", taken, [floats("latent", [1, pixels]), floats("novelty", [1])])


def _drawing(side: int, zoom: int) -> bytes:
    """Write the drawing as a graph: every pixel of the latent a square of the picture."""
    graph = GraphParts()
    graph.constant("cells", np.array([1, 1, side, 1, side, 1]))
    graph.constant("squares", np.array([1, 3, side, zoom, side, zoom]))
    graph.constant("whole", np.array([1, 3, side * zoom, side * zoom]))
    cells = graph.node("Reshape", ["latent", "cells"], "cell")
    graph.node("Reshape", [graph.node("Expand", [cells, "squares"], "square"), "whole"], "image")
    return graph.finish(
        "squares", floats("latent", [1, side * side]), [floats("image", [1, 3, side * zoom, side * zoom])]
    )

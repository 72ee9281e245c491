"""Reconstruction by gradient: from true features, and from features decoded of planted voxels; slow and distilled.

::

    python -m benchmarks.gradient [--part true|decoded|all] [--seeds 3] [--picture FILE] [--json]

*True features*: 12 faces of the shipped DCGAN, the small network with random weights and mean pools; pictures are
sought pixel by pixel (250 steps) by the features of each pool alone and by all together, and latents by those of the
third pool. Must reach: all together a pixel correlation of .95; the third pool with the generator's prior above
without.

*Decoded features*: 500 planted voxels answer features of the picture (brightness, opponent colours, Gabor energy: no
network's) with independent noise at SNR .2, 600 faces once, 36 others as means over 14. Units of three pools of the
network that learned from drawn faces are decoded by voxel-selected ridge, and latents sought by gradient (100 steps),
or answered at once by the distilled network. Beside them ridge to pixels of 32², ridge to the true latents (HYPER,
rescaled) and the mean face. Must reach: identification by edges and colours, which are not the network's features,
above ridge to pixels; of the slow way's pixel correlation, and of its two-way identification above chance, the
distilled network .9.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bci.io.shipped import SHIPPED
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.encoding.features import BANKS, features_of
from models.generators.differentiable import Drawing, levels
from models.generators.features import edges_and_colours
from models.generators.package import GeneratorPackage
from models.metrics.identification import correlation_table, n_way, two_way
from models.metrics.images import pixel_correlation
from models.networks.architectures import ARCHITECTURES
from models.networks.convnet import Convnet
from models.networks.matching import Descent, FeatureSpace, match_latents, match_pixels
from models.readouts.distilled import Distilled
from models.readouts.family import build_readout
from models.readouts.scaling import Standard
from models.readouts.size import LatentSize

VOXELS, TRAIN, TEST, REPEATS, SNR, SIDE = 500, 600, 36, 14, 0.2, 32
FACES, STEPS = 12, 250
ALL, PRIOR, SHARE = 0.95, "pool3", 0.9

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]


def shipped() -> GeneratorPackage:
    """Return the generator of faces."""
    return GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")


def true_features(seed: int) -> dict[str, float]:
    """Return the pixel correlation of faces found by their true features, by layers."""
    package, random = shipped(), np.random.default_rng([seed, 21])
    drawing, d = Drawing(package), package.spec.latent
    others, shown = (package.draw(random.standard_normal((n, d)).astype(np.float32)) for n in (200, FACES))
    network = Convnet(ARCHITECTURES["small"], seed=seed, pooling="mean").eval().requires_grad_(False)
    pools, found = network.architecture.pools, {}
    for names in (*([name] for name in pools), list(pools)):
        space = FeatureSpace(network, names, others)
        wanted = space.of(shown)
        # As true features are exact, each counts by its own variance: a layer's plain squared distance.
        weights = space.weights(space.standard.scale**2)
        made = match_pixels(space, wanted, shown.shape[1:3], Descent(STEPS, 0.1, 0.0), weights=weights)
        key = names[0] if len(names) == 1 else "all"
        found[key] = mean_correlation(shown, levels(made))
        if names == [PRIOR]:
            latents = match_latents(drawing, space, wanted, d, Descent(STEPS, 0.1, 0.0), weights=weights)
            found[f"{PRIOR}, with the prior"] = mean_correlation(shown, drawing.draw(latents))
        progress(f"seed {seed}, true features of {key}: {found[key]:.3f}")
    return found


def mean_correlation(shown: Pictures, made: Pictures) -> float:
    """Return the mean pixel correlation."""
    return float(np.nanmean(pixel_correlation(shown, made)))


def planted(seed: int, package: GeneratorPackage) -> tuple[NDArray[np.float32], Pictures, Floats]:
    """Return latents, faces and responses: training ones first."""
    random = np.random.default_rng([seed, 11])
    latents = random.standard_normal((TRAIN + TEST, package.spec.latent)).astype(np.float32)
    shown = package.draw(latents)
    features = np.asarray(features_of(shown, tuple(BANKS)), np.float64)
    x = np.asarray(Standard.of(features[:TRAIN]).forward(features), np.float64)
    signal = x @ (random.standard_normal((x.shape[1], VOXELS)) * (random.random((x.shape[1], VOXELS)) < 0.05))
    signal /= signal[:TRAIN].std(0)
    noise = random.standard_normal(signal.shape) / np.sqrt(SNR)
    noise[TRAIN:] /= np.sqrt(REPEATS)
    return latents, shown, signal + noise


def resized(pictures: Pictures, side: int, how: Image.Resampling) -> Pictures:
    """Return pictures at another side."""
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), how)) for one in pictures])


def ridge_to_pixels(shown: Pictures, brain: Floats) -> Pictures:
    """Return the test faces that ridge reads of voxels, pixel by pixel."""
    small = resized(shown[:TRAIN], SIDE, Image.Resampling.BOX).astype(np.float64) / 255
    read = build_readout("ridge").fit(brain[:TRAIN], small.reshape(TRAIN, -1)).predict(brain[TRAIN:])
    drawn = np.round(255 * np.clip(read, 0, 1)).astype(np.uint8).reshape(-1, SIDE, SIDE, 3)
    return resized(drawn, shown.shape[1], Image.Resampling.BICUBIC)


def decoded_features(seed: int) -> tuple[dict[str, dict[str, float]], dict[str, Pictures], dict[str, float]]:
    """Return each row's scores and pictures, and how long the two ways took."""
    package = shipped()
    latents, shown, brain = planted(seed, package)
    truth, test = shown[TRAIN:], brain[TRAIN:]
    mean = np.round(shown[:TRAIN].mean(0)).astype(np.uint8)
    rows = {
        "mean face": np.repeat(mean[None], TEST, axis=0),
        "ridge to pixels": ridge_to_pixels(shown, brain),
    }
    ridge = build_readout("ridge").fit(brain[:TRAIN], latents[:TRAIN]).predict(test)
    rows["ridge to latents (HYPER)"] = package.draw(LatentSize("rescale")(ridge).astype(np.float32))
    began = time.process_time()
    readout = build_readout("distilled", generator=package, seed=seed)
    assert isinstance(readout, Distilled)
    readout.fit(brain[:TRAIN], latents[:TRAIN])
    took = {"fit": time.process_time() - began}
    began = time.process_time()
    rows["by gradient"] = package.draw(readout.slow(test))
    took["slow, a trial"] = (time.process_time() - began) / TEST
    fitted = readout.frozen()
    began = time.process_time()
    answered = fitted.predict(test)
    took["distilled, a trial"] = (time.process_time() - began) / TEST
    rows["distilled"] = package.draw(answered.astype(np.float32))
    progress(f"seed {seed}: fitted in {took['fit']:.0f} s of one core")
    return {name: score(truth, drawn) for name, drawn in rows.items()}, {"shown": truth, **rows}, took


def score(truth: Pictures, drawn: Pictures) -> dict[str, float]:
    """Score one row's pictures; those that are all alike are identified by chance."""
    found = {"pixel r": mean_correlation(truth, drawn)}
    if not np.ptp(drawn, axis=0).any():
        return found | {"two-way": 0.5, f"of {TEST}": 1 / TEST}
    table = correlation_table(edges_and_colours(truth), edges_and_colours(drawn))
    return found | {"two-way": float(two_way(table).mean()), f"of {TEST}": float(n_way(table, TEST).mean())}


def judge(true: list[dict[str, float]], decoded: list[dict[str, dict[str, float]]]) -> dict[str, bool]:
    """Say which bars are reached, by means over seeds."""
    verdict: dict[str, bool] = {}
    if true:
        mean = {key: float(np.mean([row[key] for row in true])) for key in true[0]}
        verdict["true features, all together"] = mean["all"] >= ALL
        verdict[f"{PRIOR}: the prior above none"] = mean[f"{PRIOR}, with the prior"] > mean[PRIOR]
    if decoded:

        def value(name: str, what: str) -> float:
            return float(np.mean([row[name][what] for row in decoded]))

        for what in ("two-way", f"of {TEST}"):
            verdict[f"by gradient above ridge to pixels, {what}"] = value("by gradient", what) > value(
                "ridge to pixels", what
            )
        verdict["distilled, of the slow way's pixel correlation"] = value(
            "distilled", "pixel r"
        ) >= SHARE * value("by gradient", "pixel r")
        verdict["distilled, of the slow way's identification above chance"] = value(
            "distilled", "two-way"
        ) - 0.5 >= SHARE * (value("by gradient", "two-way") - 0.5)
    return verdict


def draw_sheet(rows: dict[str, Pictures], path: Path) -> None:
    """Draw the first twelve faces: as shown, then every row's."""
    sheet = np.concatenate([np.concatenate(list(one[:12]), axis=1) for one in rows.values()])
    Image.fromarray(sheet).save(path)


def mean_and_range(values: list[float]) -> str:
    """Return the mean with the range over seeds."""
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> int:
    """Reconstruct, score, print; exit status 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gradient",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--part", choices=("true", "decoded", "all"), default="all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="where the pictures of the first seed go (PNG)")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(asked.seeds)
    true = [true_features(seed) for seed in seeds] if asked.part != "decoded" else []
    decoded, took = [], []
    for seed in seeds if asked.part != "true" else ():
        scores, pictures, seconds = decoded_features(seed)
        decoded.append(scores)
        took.append(seconds)
        if asked.picture and seed == 0:
            draw_sheet(pictures, asked.picture)
    facts, verdict = machine_facts(["torch"]), judge(true, decoded)
    if not asked.json:
        print_machine(facts)
        if true:
            print_table(
                ["true features of", "pixel r"],
                [[key, mean_and_range([row[key] for row in true])] for key in true[0]],
            )
        if decoded:
            what = list(decoded[0]["distilled"])
            print_table(
                ["pictures", *what],
                [
                    [name, *(mean_and_range([row[name][key] for row in decoded]) for key in what)]
                    for name in decoded[0]
                ],
            )
            print(", ".join(f"{key} {np.mean([row[key] for row in took]):.3g} s" for key in took[0]))
        for words, reached in verdict.items():
            print(f"{'met' if reached else 'MISSED'}: {words}")
    summary: dict[str, Any] = {"true": true, "decoded": decoded, "seconds": took, "verdict": verdict}
    print_last_line({"benchmark": "gradient", "machine": facts, **summary})
    return 0 if all(verdict.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

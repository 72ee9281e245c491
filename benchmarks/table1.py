"""HYPER's table of comparison: HYPER, VAE-GAN and eigenfaces on one planted brain, beside what knows nothing.

::

    python -m benchmarks.table1 [--seeds 3] [--steps 1500] [--weights FOLDER] [--picture FILE] [--json]

Stimuli are faces of the shipped DCGAN at known latents; 500 planted voxels answer features of the *picture*
(brightness, opponent colours, Gabor energy: no system's own space) with independent noise, 600 faces once, 36 others as
means over 14. Each system reads its own latents by ridge: the generator's (HYPER, rescaled to the length of true ones),
those of a VAE-GAN (VanRullen & Reddy 2019) and principal components (Cowen et al. 2014), both learned from 2000 other
faces of the generator and smaller than published: 128 latents and 256 components of pictures of 32². All pictures are
compared at 32². Beside them: the mean of the training faces, random latents, HYPER's pictures exchanged over stimuli,
the latent of zeros, and each system's best, the picture that it draws of the true face's own latent. Two-way:
identification by edges and colours. With --weights, the distance of a face network from the user's file (facenet.onnx
at 160², FaceNet's own size).
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bci.io.shipped import SHIPPED
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.encoding.features import BANKS, features_of
from models.generators.eigenfaces import Eigenfaces
from models.generators.features import edges_and_colours
from models.generators.interface import pictures
from models.generators.package import GeneratorPackage
from models.generators.vaegan import VaeGanSchedule, train_vaegan
from models.metrics.identification import correlation_table, two_way
from models.metrics.images import pixel_correlation, ssim_hyper
from models.metrics.latents import derangement
from models.metrics.networks import score_networks
from models.readouts.family import build_readout
from models.readouts.scaling import Standard
from models.readouts.size import LatentSize

VOXELS, TRAIN, TEST, REPEATS, OTHERS, SIDE = 500, 600, 36, 14, 2000, 32
COMPONENTS, LATENTS = 256, 128

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]


def small(images: Pictures) -> Pictures:
    """Return pictures at the side at which all are compared."""
    box = Image.Resampling.BOX
    return np.stack([np.asarray(Image.fromarray(one).resize((SIDE, SIDE), box)) for one in images])


def answers(images: Pictures, snr: float, random: np.random.Generator) -> Floats:
    """Return planted responses of training and test faces, (TRAIN + TEST, VOXELS)."""
    features = np.asarray(features_of(images, tuple(BANKS)), np.float64)
    x = np.asarray(Standard.of(features[:TRAIN]).forward(features), np.float64)
    signal = x @ (random.standard_normal((x.shape[1], VOXELS)) * (random.random((x.shape[1], VOXELS)) < 0.05))
    signal /= signal[:TRAIN].std(0)
    noise = random.standard_normal(signal.shape) / np.sqrt(snr)
    noise[TRAIN:] /= np.sqrt(REPEATS)
    return signal + noise


def read(brain: Floats, latents: Floats) -> NDArray[np.float32]:
    """Return what ridge reads of the test faces."""
    fitted = build_readout("ridge").fit(brain[:TRAIN], latents[:TRAIN])
    return np.asarray(fitted.predict(brain[TRAIN:]), np.float32)


def reconstruct(seed: int, snr: float, steps: int) -> tuple[Pictures, dict[str, Pictures]]:
    """Return the true test faces and each row's pictures, all at `SIDE`."""
    random = np.random.default_rng([seed, 11])
    package = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    latents = random.standard_normal((TRAIN + TEST, package.spec.latent)).astype(np.float32)
    shown = package.draw(latents)
    brain = answers(shown, snr, random)
    elsewhere = random.standard_normal((OTHERS, package.spec.latent)).astype(np.float32)
    seen, others = small(shown), small(package.draw(elsewhere))
    progress(f"seed {seed}: VAE-GAN, {steps} updates")
    vae = train_vaegan(others, VaeGanSchedule(latent=LATENTS, steps=steps, seed=seed))
    eigen = Eigenfaces.of(others, COMPONENTS)
    own = {"VAE-GAN": vae.encode(seen), "eigenfaces": eigen.encode(seen)}

    def draw(system: str, z: NDArray[Any]) -> Pictures:
        network, ends = (vae.generator, (-1.0, 1.0)) if system == "VAE-GAN" else (eigen, (0.0, 1.0))
        # Eigenfaces has no parameters, only what was measured.
        if system == "eigenfaces":
            with torch.no_grad():
                planes = eigen(torch.from_numpy(np.asarray(z, np.float32))).clamp(0, 1).numpy()
            return np.round(255 * planes).astype(np.uint8).transpose(0, 2, 3, 1)
        return pictures(network, np.asarray(z, np.float32), ends)

    decoded = LatentSize("rescale")(read(brain, latents.astype(np.float64)))
    hyper = small(package.draw(decoded.astype(np.float32)))
    mean = seen[:TRAIN].mean(0)
    rows = {"HYPER": hyper}
    rows |= {name: draw(name, read(brain, z)) for name, z in own.items()}
    rows["mean of training faces"] = np.repeat(np.round(mean).astype(np.uint8)[None], TEST, axis=0)
    rows["latent of zeros"] = small(package.draw(np.zeros((TEST, package.spec.latent), np.float32)))
    rows["random latents"] = small(
        package.draw(random.standard_normal((TEST, package.spec.latent)).astype(np.float32))
    )
    rows["HYPER, exchanged"] = hyper[derangement(TEST, random)]
    rows |= {f"best of {name}": draw(name, z[TRAIN:]) for name, z in own.items()}
    return seen[TRAIN:], rows


def score_row(truth: Pictures, drawn: Pictures, weights: Path | None) -> dict[str, float]:
    """Score one row's pictures."""
    table = correlation_table(edges_and_colours(truth), edges_and_colours(drawn))
    found = {
        "pixel r": float(np.nanmean(pixel_correlation(truth, drawn))),
        "ssim": float(ssim_hyper(truth, drawn).mean()),
        "two-way": float(two_way(table).mean()) if np.ptp(drawn, axis=0).any() else 0.5,
    }
    if weights is not None:
        row = next(one for one in score_networks(truth, drawn, weights) if "facenet" in one.name)
        if row.values is not None:
            found["face distance"] = float(row.values.mean())
            found["face similarity"] = float((1 / (1 + row.values**2)).mean())
    return found


def draw_sheet(truth: Pictures, rows: Mapping[str, Pictures], path: Path) -> None:
    """Draw true faces above every row's, the first twelve."""
    sheet = [np.concatenate(list(one[:12]), axis=1) for one in (truth, *rows.values())]
    Image.fromarray(np.concatenate(sheet)).resize((12 * 64, len(sheet) * 64), Image.Resampling.NEAREST).save(
        path
    )


def main() -> None:
    """Reconstruct, score, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table1", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500, help="updates of the VAE-GAN (default 1500)")
    parser.add_argument("--snr", type=float, default=0.2, help="of a voxel in single trials (default .2)")
    parser.add_argument("--weights", type=Path, help="folder of networks: facenet.onnx")
    parser.add_argument("--picture", type=Path, help="where the pictures of the first seed go (PNG)")
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(arguments.seeds):
        truth, rows = reconstruct(seed, arguments.snr, arguments.steps)
        for name, drawn in rows.items():
            found.setdefault(name, []).append(score_row(truth, drawn, arguments.weights))
        if arguments.picture and seed == 0:
            draw_sheet(truth, rows, arguments.picture)
    facts = machine_facts(["torch"])
    print_machine(facts)
    names = list(found["HYPER"][0])
    print_table(
        ["pictures", *names],
        [
            [name, *(_mean_and_range([row[key] for row in own]) for key in names)]
            for name, own in found.items()
        ],
    )
    if arguments.json:
        facts = {"machine": facts, "snr": arguments.snr, "steps": arguments.steps}
        print_last_line({"benchmark": "table1", **facts, "rows": found})


def _mean_and_range(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()

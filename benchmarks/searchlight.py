"""Searchlight occlusion on a planted brain: voxels find the layer that they were planted with, others find none.

::

    python -m benchmarks.searchlight [--snr 0.05] [--seeds 3] [--picture FILE] [--json]

A grid of 26 × 26 × 5 voxels with four blocks of 8 × 8 × 5. Each voxel of a block answers a random direction of one
layer's activations (layers 4, 9, 14, 19 of a generator with 19 layers, centre crop of 2 × 2) with independent noise;
the others are noise. Ridge reads each layer from 400 single trials, with one penalty for all, and cubes
of 3 × 3 × 3 are occluded in 60 test trials of 14 presentations. Must reach: at least 80 % of planted voxels assigned to
their own layer, at most 5 % of null voxels to any. A null voxel is one whose cube holds no planted voxel: occluding the
others does hurt.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.planted_release import Size, planted_generator
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.generators.layers import centre
from models.readouts.scaling import Standard
from models.systems.hyper_release.searchlight import NONE, LayerMap, LinearOcclusion, cubes, search

PLANTED, NULL = 0.80, 0.05
LAYERS, CROP = (4, 9, 14, 19), 2
GRID, BLOCK, SIDE = (26, 26, 5), 8, 3
TRAIN, TEST, REPEATS = 400, 60, 14
#: Nothing, then a colour for each layer.
COLOURS = np.array([[235, 235, 235], [38, 70, 83], [42, 157, 143], [233, 196, 106], [231, 111, 81]], np.uint8)

Floats = NDArray[np.float64]


def activations(latents: NDArray[np.float32], seed: int) -> list[Floats]:
    """Return the centres of the four layers' activations, (n, values) each."""
    import torch

    generator = planted_generator(Size(), seed)
    with torch.no_grad():
        found = generator.layers(torch.from_numpy(latents))
    return [centre(found[k - 1], CROP).flatten(1).numpy().astype(np.float64) for k in LAYERS]


def blocks() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the place of every voxel, (voxels, 3), and the layer planted there, -1 for none."""
    layer = np.full(GRID, NONE)
    for k, (x, y) in enumerate(((3, 3), (3, 15), (15, 3), (15, 15))):
        layer[x : x + BLOCK, y : y + BLOCK] = k
    places = np.stack(np.meshgrid(*map(np.arange, GRID), indexing="ij"), -1).reshape(-1, 3)
    return places, layer.reshape(-1)


def measure(seed: int, snr: float) -> tuple[dict[str, Any], LayerMap]:
    """Plant a brain, read it, occlude it."""
    random = np.random.default_rng([seed, 7])
    latents = random.standard_normal((TRAIN + TEST, 512), np.float32)
    raw = activations(latents, seed)
    scales = [Standard.of(one[:TRAIN]) for one in raw]
    layers = [np.asarray(scale.forward(one), np.float64) for scale, one in zip(scales, raw, strict=True)]
    places, planted = blocks()
    brain = random.standard_normal((len(latents), len(places)))
    brain[TRAIN:] /= np.sqrt(REPEATS)
    for k, values in enumerate(layers):
        where = planted == k
        signal = values @ random.standard_normal((values.shape[1], int(where.sum())))
        brain[:, where] += np.sqrt(snr) * signal / signal[:TRAIN].std(0)
    mean = brain[:TRAIN].mean(0)
    x = brain[:TRAIN] - mean
    inner = np.linalg.inv(x @ x.T + len(places) / (1 + snr) * np.eye(TRAIN))
    weights = [x.T @ (inner @ values[:TRAIN]) for values in layers]
    found = search(
        LinearOcclusion(brain[TRAIN:] - mean, weights),
        [values[TRAIN:] for values in layers],
        lights := cubes(places, SIDE),
        random=random,
    )
    inside = planted >= 0
    null = np.array([bool((planted[light] == NONE).all()) for light in lights])
    right = found.layer == planted
    read = [
        float(np.corrcoef((brain[TRAIN:] - mean).dot(w).ravel(), values[TRAIN:].ravel())[0, 1])
        for w, values in zip(weights, layers, strict=True)
    ]
    return {
        "seed": seed,
        "planted": float(right[inside].mean()),
        "by_layer": [float(right[planted == k].mean()) for k in range(len(LAYERS))],
        "null": float((found.layer[null] != NONE).mean()),
        "null_voxels": int(null.sum()),
        "fringe": float((found.layer[~inside & ~null] != NONE).mean()),
        "read": read,
    }, found


def draw_map(found: NDArray[np.int64], path: Path) -> None:
    """Draw the planted layers above those found, slice by slice."""
    _, planted = blocks()
    rows = []
    for layer in (planted, found):
        slices = np.pad(layer.reshape(GRID), ((1, 1), (1, 1), (0, 0)), constant_values=-2)
        flat = np.concatenate([slices[:, :, z] for z in range(GRID[2])], axis=1)
        rows.append(np.where(flat[..., None] == -2, np.uint8(255), COLOURS[np.maximum(flat, -1) + 1]))
    picture = np.concatenate(rows).repeat(8, 0).repeat(8, 1)
    Image.fromarray(picture).save(path)


def main() -> int:
    """Plant, occlude, print; exit 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.searchlight", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--snr", type=float, default=0.05, help="of a planted voxel in single trials (default .05)"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="where the map of the first seed is drawn (PNG)")
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        progress(f"seed {seed}")
        row, found = measure(seed, arguments.snr)
        rows.append(row)
        if arguments.picture and seed == 0:
            draw_map(found.layer, arguments.picture)
    facts = machine_facts(["torch"])
    print_machine(facts)
    names = [f"layer {k}" for k in LAYERS]
    print_table(
        ["seed", "planted to their layer", *names, "null to any", "beside a block to any"],
        [
            [str(row["seed"]), *(f"{row[key]:.1%}" for key in ("planted",))]
            + [f"{share:.1%}" for share in row["by_layer"]]
            + [f"{row['null']:.1%}", f"{row['fringe']:.1%}"]
            for row in rows
        ],
    )
    reached = {
        f"planted voxels to their layer, at least {PLANTED:.0%}": float(np.mean([r["planted"] for r in rows]))
        >= PLANTED,
        f"null voxels to any, at most {NULL:.0%}": float(np.mean([r["null"] for r in rows])) <= NULL,
    }
    for words, yes in reached.items():
        print(f"{'reached' if yes else 'MISSED'}: {words}")
    if arguments.json:
        print_last_line(
            {
                "benchmark": "searchlight",
                "machine": facts,
                "snr": arguments.snr,
                "rows": rows,
                "bars": reached,
            }
        )
    return 0 if all(reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

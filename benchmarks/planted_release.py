"""A small planted release in the layout of HYPER's: files, test pictures, boundaries, generator and a training file.

::

    python -m benchmarks.planted_release FOLDER [--voxels 512] [--train 600] [--snr 0.5] [--seed 0]

Every voxel is a random direction of the latent with independent noise; test rows are means over 14 presentations, so
their noise is 14 times less. The generator has PGGAN's architecture with 19 layers at 16 × 16 and random weights: its
pictures are patterns, no faces. Then: bci train FOLDER/train.toml --out FOLDER/bundle --data FOLDER. ``run.toml``
plays what `bci evaluate --responses FOLDER/held-out.npy` writes of that bundle.
"""

import argparse
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.spec import CARD, ImageSpec, Provenance
from models.datasets.hyper import ATTRIBUTES, LATENTS, REPEATS
from models.generators.graphs import draw_graph
from models.generators.interface import ImageGenerator
from models.generators.layers import weights_of
from models.generators.package import GeneratorPackage, save_package
from models.generators.progressive import ProgressiveGenerator
from models.generators.spec import GRAPH, WEIGHTS, GeneratorSpec

#: Channels of the planted generator's blocks and convolutions of each: layers 4, 9, 14 and 19 see ever less.
CHANNELS, CONVOLUTIONS = (32, 16, 8), 6
NAME = "planted-patterns"
_SHOWN = 224
#: Share of random weights inside a block.
_RANDOM = 0.2

TRAINING = f"""kind = "hyper-release"
name = "hyper-planted"
title = "Patterns of a generator with random weights, read from planted voxels in the layout of HYPER's release"
data = "."
subject = 1
simulated = true
generator = "generator"
latents_of = "{NAME}"

[model]
latent = true

[readout]
name = "dense"
options = {{ epochs = 60, rate = 1e-3, decay = 0.0 }}
"""

SESSION = """# The bundle that train.toml describes, live: its held-out responses, played as a scanner would send them.
name = "hyper-planted"
network = "machine"

[source]
kind = "replay"
file = "held-out.npy"
rate = 0.6666666666666666      # a volume every 1.5 s, as the bundle states
unit = "z"

[decoder]
bundle = "bundle"

[display]
kind = "headless"
refresh_hz = 60
"""


@dataclass(frozen=True, slots=True)
class Size:
    """A Size says how much is planted.

    Attributes
    ----------
    voxels, train, test : int
        How many.
    snr : float
        Variance of a voxel's response over training trials, by its noise variance.
    channels, convolutions : tuple of int, int
        Of the generator's blocks, and of each block.
    """

    voxels: int = 512
    train: int = 600
    test: int = 36
    snr: float = 0.5
    channels: tuple[int, ...] = CHANNELS
    convolutions: int = CONVOLUTIONS


def planted_generator(size: Size, seed: int, latent: int = LATENTS) -> ImageGenerator:
    """Return a generator of 19 layers, unless `size` says otherwise, with random weights.

    Inside a block they come near to passing on what came.
    Weights that are random alone make chaos of nineteen layers: the picture of a latent next to the true one is then
    like that of any other.
    """
    torch.manual_seed(seed)
    generator = ProgressiveGenerator(latent, size.channels, size.convolutions)
    with torch.no_grad():
        for convolution in generator.convolved:
            assert isinstance(convolution, torch.nn.Conv2d)
            if convolution.in_channels == convolution.out_channels:
                same = torch.nn.init.dirac_(torch.empty_like(convolution.weight))
                convolution.weight.mul_(_RANDOM).add_(same)
    return generator.eval().requires_grad_(False)


def save_generator(generator: ImageGenerator, folder: Path) -> GeneratorPackage:
    """Write a generator's package, its weights with it."""
    height, width = generator.image_size
    spec = GeneratorSpec(
        name=NAME,
        title="Patterns of a network with random weights",
        architecture=generator.architecture,
        latent=generator.latent_size,
        image=ImageSpec(height=height, width=width, low=-2.0, high=2.0),
        rule="rescale",
        provenance=Provenance(data={}),
    )
    files: dict[str, bytes | str] = {
        GRAPH: draw_graph(generator, half=False),
        WEIGHTS: weights_of(generator),
        CARD: f"# {NAME}\n\nRandom weights; nothing was trained.\n",
    }
    return save_package(folder, spec, files)


def planted_trials(
    size: Size, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return training responses and latents, test responses and latents, float32."""
    random = np.random.default_rng([seed, 1])
    weights = random.standard_normal((LATENTS, size.voxels)) / np.sqrt(LATENTS)
    parts = []
    for count, repeats in ((size.train, 1), (size.test, REPEATS)):
        latents = random.standard_normal((count, LATENTS))
        noise = random.standard_normal((count, size.voxels)) / np.sqrt(size.snr * repeats)
        parts += [(latents @ weights + noise).astype(np.float32), latents.astype(np.float32)]
    return parts[0], parts[1], parts[2], parts[3]


def write_release(folder: Path, size: Size, seed: int = 0) -> GeneratorPackage:
    """Write the release of one subject; see the module's docstring."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = planted_trials(size, seed)
    with (folder / "data_1.dat").open("wb") as file:
        pickle.dump(list(parts), file, 3)
    package = save_generator(planted_generator(size, seed), folder / "generator")
    (folder / "stimuli").mkdir(exist_ok=True)
    for number, picture in enumerate(package.draw(parts[3])):
        shown = Image.fromarray(picture).resize((_SHOWN, _SHOWN), Image.Resampling.NEAREST)
        shown.save(folder / "stimuli" / f"{number}.png")
    (folder / "bounds").mkdir(exist_ok=True)
    normals = np.random.default_rng([seed, 2]).standard_normal((len(ATTRIBUTES), 1, LATENTS))
    for attribute, normal in zip(ATTRIBUTES, normals, strict=True):
        path = folder / "bounds" / f"pggan_celebahq_{attribute}_boundary.npy"
        np.save(path, normal / np.linalg.norm(normal))
    (folder / "train.toml").write_text(TRAINING, encoding="utf-8")
    (folder / "run.toml").write_text(SESSION, encoding="utf-8")
    return package


def main() -> None:
    """Write a release and print how it is trained on."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planted_release", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("folder", type=Path, help="where it goes")
    parser.add_argument("--voxels", type=int, default=512)
    parser.add_argument("--train", type=int, default=600, help="training trials")
    parser.add_argument("--snr", type=float, default=0.5, help="of single training trials")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    size = Size(voxels=arguments.voxels, train=arguments.train, snr=arguments.snr)
    write_release(arguments.folder, size, arguments.seed)
    place = arguments.folder
    print(f"bci train {place / 'train.toml'} --out {place / 'bundle'} --data {place}")
    print(f"bci evaluate {place / 'bundle'} --data {place} --responses {place / 'held-out.npy'}")
    print(f"bci run {place / 'run.toml'}")


if __name__ == "__main__":
    main()

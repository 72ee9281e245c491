"""A network that learned from drawn faces: their attributes, which are known, read off its last pool.

::

    python -m models.networks.learning FOLDER [--pictures 6000] [--steps 3000] [--seed 0]

writes ``weights.safetensors`` and ``card.md``. It is no substitute for a network trained on photographs: it knows drawn
faces alone, and serves where a trained one is wanted and the user has none.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.devices import device_of, repeatable
from models.drawings.face import NAMES, draw, sample_attributes
from models.networks.architectures import ARCHITECTURES
from models.networks.convnet import Convnet, planes_of
from models.networks.weights import FILE, weights_file
from models.readouts.scaling import Standard

#: The share of pictures that is held out.
_HELD_OUT = 0.1
_BATCH, _RATE = 32, 2e-3
#: Largest change of brightness and contrast, and of place in pixels, between two looks at a picture.
_LIGHT, _SHIFT = 0.2, 3
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Learned:
    """A Learned is a network and how well its last pool tells attributes of faces that it was not trained on.

    Attributes
    ----------
    network : Convnet
    explained : mapping of str to float
        Share of each attribute's variance.
    """

    network: Convnet
    explained: dict[str, float]


def learn_faces(
    pictures: int, steps: int, seed: int, progress: Progress, *, size: int = 64, device: str = "cpu"
) -> Learned:
    """Train the small network.

    Parameters
    ----------
    pictures, steps, seed : int
        How many faces are drawn, how many updates are made, and what chance starts from.
    progress : callable
        Takes the share done and a line of text.
    size : int
        Pixels of a face.
    device : str
        What it learns on: ``cpu`` or ``cuda``. Not run on a card yet.
    """
    device_of(device)  # before faces are drawn for nothing
    attributes = sample_attributes(pictures, np.random.default_rng(seed))
    faces = draw(attributes, size=size, progress=lambda done, text: progress(0.2 * done, text))
    return learn(
        faces, attributes, NAMES, steps, seed, lambda done, text: progress(0.2 + 0.8 * done, text), device
    )


def learn(
    pictures: NDArray[np.uint8],
    attributes: NDArray[np.float32],
    names: Sequence[str],
    steps: int,
    seed: int,
    progress: Progress,
    device: str = "cpu",
) -> Learned:
    """Train the small network to tell attributes, (n, k), of pictures, (n, height, width, 3)."""
    kept = len(pictures) - max(1, round(_HELD_OUT * len(pictures)))
    scale = Standard.of(attributes[:kept])
    targets = torch.from_numpy(np.asarray(scale.forward(attributes), np.float32))
    torch.manual_seed(seed)
    network = Convnet(ARCHITECTURES["small"], seed=seed)
    last = network.architecture.pools[-1]
    channels, height, width = network.shapes(pictures.shape[1], pictures.shape[2], [last])[last]
    head = nn.Linear(channels * height * width, targets.shape[1])
    place = device_of(device)
    on_place = targets.to(place)
    for part in (network, head):
        part.to(place)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], _RATE)
    # The schedule divides by the steps of the rise less one.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=max(steps, 11))
    random = np.random.default_rng([seed, 1])
    for step in range(steps):
        some = random.integers(0, kept, _BATCH)
        seen = _changed(planes_of(pictures[some]), random).to(place)
        with repeatable(place):
            loss = (head(network(seen, [last])[last].flatten(1)) - on_place[some]).square().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        schedule.step()
        if step % 100 == 0:
            progress(step / steps, f"step {step} of {steps}, squared error {float(loss.detach()):.3f}")
    for part in (network, head):
        part.cpu()
    with torch.no_grad():
        read = [
            head(network(planes_of(pictures[k : k + 64]), [last])[last].flatten(1))
            for k in range(kept, len(pictures), 64)
        ]
    errors = (torch.cat(read) - targets[kept:]).square().mean(0).numpy()
    power = np.maximum(targets[kept:].var(0, unbiased=False).numpy(), 1e-12)
    network.origin = f"learned from {kept} pictures, {steps} steps, seed {seed}"
    explained = {name: float(1 - e / p) for name, e, p in zip(names, errors, power, strict=True)}
    return Learned(network.eval().requires_grad_(False), explained)


def _changed(planes: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Return pictures in other light and elsewhere by some pixels, so that neither tells anything."""
    n = len(planes)
    light, contrast = (
        torch.from_numpy(random.uniform(-_LIGHT, _LIGHT, (n, 1, 1, 1)).astype(np.float32)) for _ in range(2)
    )
    across, along = random.integers(-_SHIFT, _SHIFT + 1, 2)
    moved = torch.roll(planes, (int(across), int(along)), (2, 3))
    return ((moved - 0.5) * (1 + contrast) + 0.5 + light).clamp(0, 1)


def card(learned: Learned) -> str:
    """Return what the folder says of itself."""
    rows = "".join(f"| {name} | {share:.2f} |\n" for name, share in learned.explained.items())
    return (
        f"# Convolutional network, small\n\nIt {learned.network.origin}: drawn faces (`python -m "
        "models.networks.learning`). It knows nothing else, and is no substitute for one trained on photographs.\n\n"
        "Share of the variance of each attribute that a linear map of its last pool explains, on faces held out:\n\n"
        f"| attribute | explained |\n|---|---|\n{rows}"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Train and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where it goes")
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what it learns on")
    asked = parser.parse_args(words)

    def say(done: float, text: str) -> None:
        sys.stderr.write(f"{done:4.0%} {text}\n")

    learned = learn_faces(asked.pictures, asked.steps, asked.seed, say, device=asked.device)
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / FILE).write_bytes(weights_file(learned.network, half=True))
    (asked.folder / "card.md").write_text(card(learned), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

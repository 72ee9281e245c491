"""Effects of each switch of adversarial training: one at a time, on a small problem, with the monitors.

::

    python -m benchmarks.dcgan_tricks [--quick] [--json]

Faces of 32 × 32 pixels, the same for all; a small DCGAN as published, and the same with one switch turned. Every row
makes the same number of generator updates; a trick that costs time shows it in the last column. The Fréchet distance
is on fixed features, from pictures held out, and compares only with the others here; its floor is that of other real
pictures. --quick takes one seed, a narrower network and few updates: it shows the direction, no more.
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.report import (
    machine_facts,
    median_range,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from models.drawings.face import draw_faces
from models.generators.adversarial.game import AdversarialGame
from models.generators.adversarial.monitors import diagnose, look
from models.generators.adversarial.replicas import Replicas
from models.generators.adversarial.starting_latents import component_latents
from models.generators.dcgan_settings import DcganConfig
from models.generators.interface import pictures
from models.generators.quality import score
from models.generators.rules import truncated

SIZE, LATENT = 32, 32
_LOOKS = 6
_BATCH = 24

#: Name of the row, what it changes in [game] and in [network], and the limit that latents are truncated at.
TRICKS: Mapping[str, tuple[dict[str, Any], dict[str, Any], float | None]] = {
    "as published": ({}, {}, None),
    "3 critic steps": ({"critic_steps": 3}, {}, None),
    "average, uniform over epochs": ({"average": "uniform"}, {}, None),
    "average, exponential": ({"average": "exponential", "average_decay": 0.99}, {}, None),
    "z truncated at 1": ({}, {}, 1.0),
    "orthogonal initialisation": ({}, {"init": "orthogonal"}, None),
    "orthogonal regularisation": ({"orthogonal": 1e-4}, {}, None),
    "spectral normalisation": ({}, {"critic_norm": "spectral"}, None),
    "slope penalty (r1)": ({"r1": 1.0, "r1_every": 4}, {}, None),
    "hinge loss": ({"loss": "hinge"}, {}, None),
    "warm start": ({"warm": 0.25}, {}, None),
    "warm start and anchor": ({"warm": 0.25, "anchor": 4.0}, {}, None),
    "the game alone, steadied": (
        {"r1": 1.0, "r1_every": 4, "average": "exponential", "average_decay": 0.998},
        {},
        2.0,
    ),
    "as shipped": (
        {"warm": 0.25, "anchor": 4.0, "average": "exponential", "average_decay": 0.99},
        {"init": "orthogonal"},
        2.0,
    ),
}


def play(
    name: str, steps: int, width: int, train: NDArray[np.uint8], held_out: NDArray[np.uint8], seed: int
) -> dict[str, Any]:
    """Train with one switch turned and measure."""
    game, network, limit = TRICKS[name]
    switches = dict(game)
    # The updates of a warm start count among the others.
    warm = round(steps * switches.pop("warm", 0.0))
    config = DcganConfig.model_validate(
        {
            "kind": "dcgan",
            "name": "tricks",
            "seed": seed,
            "pictures": {"source": "faces", "number": len(train), "held_out": len(held_out)},
            "network": {"latent": LATENT, "width": width, "critic_width": width, "size": SIZE} | network,
            "game": {"steps": steps - warm, "warm_steps": warm, "batch": _BATCH, "average": "none"}
            | switches,
        }
    )
    latents = component_latents(train, LATENT, seed) if warm else None
    played = AdversarialGame(config, train, latents, Replicas())
    shown = np.random.default_rng(seed).standard_normal((64, LATENT), np.float32)
    history: list[dict[str, Any]] = []
    before, spent, since = None, 0.0, []
    for step in range(1, steps + 1):
        began = time.process_time()
        since.append(played.update())
        spent += time.process_time() - began
        if step % (steps // _LOOKS) == 0:
            drawn = pictures(played.shipped(), shown, (-1.0, 1.0))
            if step > warm:
                critic = [0.5 * (m.real + m.fake) for m in since if not np.isnan(m.real)]
                losses = [m.generator_loss for m in since if not np.isnan(m.generator_loss)]
                row = {"critic_right": float(np.mean(critic)), "generator_loss": float(np.mean(losses))}
                history.append(row | look(drawn, before, train[:128]))
            before, since = drawn, []
    random = np.random.default_rng([seed, 1])
    n = len(held_out)
    z = truncated(n, LATENT, limit, random) if limit else random.standard_normal((n, LATENT), np.float32)
    scores = score(pictures(played.shipped(), z, (-1.0, 1.0)), held_out, train, seed)
    return {
        "frechet": scores["frechet"]["drawn"],
        "floor": scores["frechet"]["other_real_pictures"],
        "linear": scores["frechet"]["linear_generator"],
        "diversity": scores["diversity"],
        "nearest": scores["nearest"],
        "critic_right": history[-1]["critic_right"],
        "drift": history[-1].get("drift", float("nan")),
        "diagnosis": [line.split(":")[0] for line in diagnose(history)],
        "ms_per_update": 1e3 * spent / steps,
    }


def main() -> None:
    """Play every row and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dcgan_tricks", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--quick", action="store_true", help="one seed, half the width, 240 updates: minutes on one core"
    )
    parser.add_argument("--steps", type=int, help="updates of each row (default 1500, quick 240)")
    parser.add_argument("--width", type=int, help="channels of the networks (default 16, quick 8)")
    parser.add_argument("--seeds", type=int, help="seeds of each row (default 3, quick 1)")
    parser.add_argument("--only", action="append", choices=list(TRICKS), help="a row; may be repeated")
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    arguments = parser.parse_args()
    steps = arguments.steps or (240 if arguments.quick else 1500)
    seeds = range(arguments.seeds or (1 if arguments.quick else 3))
    if steps < _LOOKS:
        parser.error(f"--steps is at least {_LOOKS}")
    torch.set_num_threads(1)
    number, kept, width = (1200, 400, 8) if arguments.quick else (6000, 1000, 16)
    width = arguments.width or width
    progress(f"drawing {number + kept} faces")
    images = draw_faces(number + kept, seed=1, size=SIZE).images
    train, held_out = images[:number], images[number:]
    found: dict[str, dict[str, Any]] = {}
    for name in arguments.only or TRICKS:
        progress(name)
        rounds = [play(name, steps, width, train, held_out, seed) for seed in seeds]
        numbers = [key for key, value in rounds[0].items() if isinstance(value, float)]
        found[name] = {key: median_range([r[key] for r in rounds]) for key in numbers}
        found[name]["diagnosis"] = sorted({said for r in rounds for said in r["diagnosis"]})
    facts = machine_facts(["torch"])
    print_machine(facts)
    first = next(iter(found.values()))
    print(
        f"{steps} updates of batch {_BATCH}, width {width}, {len(seeds)} seeds (medians); Fréchet distance of other "
        f"real pictures {first['floor']['median']:.2f}, of a linear generator {first['linear']['median']:.2f}"
    )
    print_table(
        ["", "Fréchet", "diversity", "nearest", "critic right", "drift", "diagnosis", "CPU ms/update"],
        [
            [
                name,
                *(f"{row[key]['median']:.2f}" for key in ("frechet", "diversity", "nearest")),
                f"{100 * row['critic_right']['median']:.0f} %",
                f"{row['drift']['median']:.2f}",
                ", ".join(row["diagnosis"]) or "none",
                f"{row['ms_per_update']['median']:.0f}",
            ]
            for name, row in found.items()
        ],
    )
    if arguments.json:
        print_last_line(
            {
                "benchmark": "dcgan_tricks",
                "machine": facts,
                "steps": steps,
                "width": width,
                "seeds": len(seeds),
                "rows": found,
            }
        )


if __name__ == "__main__":
    main()

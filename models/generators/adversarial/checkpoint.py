"""A checkpoint holds all state that the next update depends on, in one safetensors file; nothing is unpickled.

Tensors have names such as ``generator.stages.0.0.weight`` or ``critic_optimiser.3.exp_avg``; the header holds the
architectures, the configuration's hash, the number of updates made, and the measurements of each look.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bci.errors import ConfigError
from models.generators.adversarial.game import AdversarialGame

_FORMAT = "1"


def save_checkpoint(path: Path, game: AdversarialGame, history: list[dict[str, Any]]) -> None:
    """Write a checkpoint whole or not at all.

    Parameters
    ----------
    path : Path
        The file; an existing one is replaced.
    game : AdversarialGame
        The game, between two updates.
    history : list of dict
        Measurements of each look so far.
    """
    tensors: dict[str, Tensor] = {}
    for part, network in _networks(game).items():
        tensors |= {f"{part}.{name}": value for name, value in network.state_dict().items()}
    for part, optimiser in _optimisers(game).items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{part}.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    header = {
        "format": _FORMAT,
        "generator": _text(game.generator.architecture),
        "critic": _text(game.critic.architecture),
        "config": game.config.digest,
        "step": str(game.step),
        "averaged": str(game.averaged.count),
        "history": json.dumps(history),  # keys keep their order: training.json is written from it and hashed
    }
    partial = path.with_suffix(".partial")
    # Channels-last weights are stored in the usual order.
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, partial, header)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def load_checkpoint(path: Path, game: AdversarialGame) -> list[dict[str, Any]]:
    """Load a checkpoint into the game; return the measurements of the looks until then.

    Raises
    ------
    ConfigError
        If it is damaged, of another architecture or another configuration; the error names both.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"{path}: expected a checkpoint, came: {error}. Delete it to start again, or name another run folder."
        ) from None
    _compare(path, header, game)
    for part, network in _networks(game).items():
        _load_network(path, part, network, tensors)
    for part, optimiser in _optimisers(game).items():
        state = optimiser.state_dict()
        state["state"] = _moments(part, tensors)
        optimiser.load_state_dict(state)
    game.step, game.averaged.count = int(header["step"]), int(header["averaged"])
    history: list[dict[str, Any]] = json.loads(header["history"])
    return history


def _compare(path: Path, header: Mapping[str, str], game: AdversarialGame) -> None:
    """Refuse a checkpoint of another format, architecture or configuration."""
    if header.get("format") != _FORMAT:
        raise ConfigError(
            f"{path}: expected a checkpoint of format {_FORMAT}, came {header.get('format', 'none')}. "
            "Delete it to start again, or name another run folder."
        )
    for part, network in (("generator", game.generator), ("critic", game.critic)):
        expected = network.architecture
        stored = json.loads(header[part])
        if stored != expected:
            raise ConfigError(
                f"{path}: expected the {part} {_text(expected)}, came a checkpoint of {_text(stored)}. "
                "Name another run folder, or train with the configuration that it was made with."
            )
    if header["config"] != game.config.digest:
        raise ConfigError(
            f"{path}: expected a checkpoint of this configuration ({game.config.digest[:12]}), came one of another "
            f"({header['config'][:12]}). Name another run folder, or give --fresh to start again in this one."
        )


def _networks(game: AdversarialGame) -> dict[str, nn.Module]:
    return {"generator": game.generator, "critic": game.critic, "averaged": game.averaged.network}


def _optimisers(game: AdversarialGame) -> dict[str, torch.optim.Optimizer]:
    return {
        "generator_optimiser": game.generator_optimiser,
        "critic_optimiser": game.critic_optimiser,
    }


def _load_network(path: Path, part: str, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    own = {
        name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")
    }
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise ConfigError(f"{path}: expected the weights of the {part}, came: {error}") from None


def _moments(part: str, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Gather the state of an optimiser from the tensors that belong to it."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(f"{part}."):
            _, index, moment = name.split(".")
            state.setdefault(int(index), {})[moment] = value
    return state


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

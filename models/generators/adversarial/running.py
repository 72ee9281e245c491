"""A training run plays the game from its first update, or its last checkpoint, to the end, with looks in between."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.generators.adversarial.checkpoint import load_checkpoint, save_checkpoint
from models.generators.adversarial.game import AdversarialGame, Measures
from models.generators.adversarial.monitors import diagnose, look
from models.generators.adversarial.record import CHECKPOINT, Record, plain_history
from models.generators.adversarial.replicas import Replicas
from models.generators.adversarial.settings import AdversarialFile
from models.generators.interface import ImageGenerator, pictures

Progress = Callable[[float, str], None]
_SHOWN = 64  # pictures in a sample grid, and in a look
_SAY_EVERY_S = 0.5


def run(
    config: AdversarialFile,
    images: NDArray[np.uint8],
    latents: NDArray[np.float32] | None,
    folder: Path,
    replicas: Replicas,
    progress: Progress,
    *,
    stop_after: int | None = None,
) -> tuple[ImageGenerator, list[dict[str, Any]]]:
    """Train, going on from the checkpoint in `folder` if there is one.

    Parameters
    ----------
    config : AdversarialFile
        What to do.
    images : (n, size, size, 3) uint8
        What to learn from.
    latents : (n, d) float32, optional
        Of the pictures, where they are redrawn; see `models.generators.adversarial.starting_latents`.
    folder : Path
        Of the run: checkpoint, sample grids, curve and event files.
    replicas : Replicas
        The processes that train together; the first of them records.
    progress : callable
        Takes the share done and a line of text.
    stop_after : int, optional
        End after so many updates in all, as if the run had been killed there.

    Returns
    -------
    generator : ImageGenerator
        The average that is shipped, in evaluation mode.
    history : list of dict
        One entry per look.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(config.run.threads)
    try:
        return _run(config, images, latents, folder, replicas, progress, stop_after)
    finally:
        torch.set_num_threads(before)


def _run(
    config: AdversarialFile,
    images: NDArray[np.uint8],
    latents: NDArray[np.float32] | None,
    folder: Path,
    replicas: Replicas,
    progress: Progress,
    stop_after: int | None,
) -> tuple[ImageGenerator, list[dict[str, Any]]]:
    game = AdversarialGame(config, images, latents, replicas)
    leads = replicas.rank == 0
    checkpoint = folder / CHECKPOINT
    history: list[dict[str, Any]] = load_checkpoint(checkpoint, game) if checkpoint.is_file() else []
    record = Record(folder) if leads else None
    shown = np.random.default_rng([config.seed, 8]).standard_normal((_SHOWN, config.latent), np.float32)
    last = min(game.total_steps, stop_after or game.total_steps)
    before = pictures(game.shipped(), shown, game.generator.output_range) if history else None
    since: list[Measures] = []
    said_at = 0.0
    while game.step < last:
        since.append(game.update())
        if not leads:
            continue
        if time.monotonic() - said_at > _SAY_EVERY_S:
            said_at = time.monotonic()
            progress(game.step / game.total_steps, _line(game, since[-1], history))
        # Checkpoints are written at looks only, so that a resumed run makes the same looks as an uninterrupted one.
        if game.step % config.run.look_every == 0 or game.step == game.total_steps:
            drawn = pictures(game.shipped(), shown, game.generator.output_range)
            history.append(plain_history(_row(game, since) | look(drawn, before, images[: 2 * _SHOWN])))
            history[-1]["diagnosis"] = diagnose([row for row in history if "critic_loss" in row])
            before, since = drawn, []
            assert record is not None
            record.look(history, drawn)
            save_checkpoint(checkpoint, game, history)
    if record is not None:
        record.close()
    return game.shipped(), history


def _row(game: AdversarialGame, since: list[Measures]) -> dict[str, Any]:
    """Average the updates since the last look."""

    def mean(name: str) -> float:
        values = np.array([getattr(measures, name) for measures in since])
        return float(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else float("nan")

    row = {
        "step": game.step,
        **{name: mean(name) for name in ("critic_loss", "generator_loss", "real", "fake", "redrawing")},
    }
    return row | {"critic_right": 0.5 * (row["real"] + row["fake"])}


def _line(game: AdversarialGame, newest: Measures, history: list[dict[str, Any]]) -> str:
    step = f"step {game.step} of {game.total_steps}"
    if np.isnan(newest.critic_loss):
        return f"{step}, warm start, redrawing {newest.redrawing:.3f}"
    wrong = history[-1].get("diagnosis", []) if history else []
    warning = f"; {wrong[0].split(':')[0]}" if wrong else ""
    return f"{step}, critic {newest.critic_loss:.2f}, generator {newest.generator_loss:.2f}{warning}"

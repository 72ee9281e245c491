r"""Monitors of an adversarial game detect a critic that is too good, collapsed pictures, and lack of convergence.

Each look draws the same latents. With :math:`x_i` the drawn pictures, averaged over blocks of pixels:

- *critic's share right*: of real and drawn pictures told apart, averaged since the last look. Above 0.95 the
  generator learns little: its pictures are all equally wrong.
- *diversity*: mean distance between two drawn pictures over that between two real ones. 1 is as varied as the data;
  below 0.5 the pictures have collapsed.
- *drift*: mean distance between what one latent drew at the last look and draws now, over the mean distance between
  two latents. A game that converges moves its pictures less and less; one that circles keeps moving them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOO_GOOD, COLLAPSED, CIRCLING = 0.95, 0.5, 0.5
_BLOCKS = 16  # pictures are compared as 16 × 16 block means
_LOOKS = 4  # a verdict needs so many looks in a row


def blocks(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Average blocks of pixels: (n, size, size, 3) uint8 to (n, 768) float32 in 0 to 1."""
    n, size = images.shape[:2]
    side = min(_BLOCKS, size)
    parts = images.reshape(n, side, size // side, side, size // side, 3).mean((2, 4), dtype=np.float32)
    return parts.reshape(n, -1) / np.float32(255.0)


def spread(pictures: NDArray[np.float32]) -> float:
    """Return the mean distance between two different rows of (n, k)."""
    products = pictures @ pictures.T
    norms = np.diagonal(products)
    squares = np.clip(norms[:, None] + norms[None] - 2.0 * products, 0.0, None)
    n = len(pictures)
    return float(np.sqrt(squares).sum() / (n * (n - 1)))


def look(
    drawn: NDArray[np.uint8], before: NDArray[np.uint8] | None, real: NDArray[np.uint8]
) -> dict[str, float]:
    """Measure the pictures of one look.

    Parameters
    ----------
    drawn, before : (n, size, size, 3) uint8
        Pictures of the same latents now, and at the last look.
    real : (m, size, size, 3) uint8
        Training pictures.

    Returns
    -------
    dict
        ``diversity``, and ``drift`` where there was a look before.
    """
    now = blocks(drawn)
    apart = spread(now)
    measures = {"diversity": apart / max(spread(blocks(real)), 1e-9)}
    if before is not None:
        moved = float(np.sqrt(np.square(now - blocks(before)).sum(1)).mean())
        measures["drift"] = moved / max(apart, 1e-9)
    return measures


def diagnose(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the problems of a game in words; an empty list when there are none.

    Parameters
    ----------
    history : sequence of mappings
        One per look of the game, oldest first, with ``critic_right``, ``generator_loss``, ``diversity``, ``drift``.

    >>> diagnose([{"critic_right": 0.99, "diversity": 0.2, "generator_loss": 9.0}] * 4)[1]
    'collapse: drawn pictures differ 0.20 times as much as real ones. Try fewer critic steps, or a warm start.'
    """
    recent = list(history)[-_LOOKS:]
    if len(recent) < _LOOKS:
        return []
    problems = []
    losses = [row.get("critic_loss", 0.0) for row in recent] + [row["generator_loss"] for row in recent]
    if not all(math.isfinite(loss) for loss in losses):
        problems.append("divergence: a loss is not finite. Lower the learning rates.")
    right = [row["critic_right"] for row in recent]
    if min(right) > TOO_GOOD:
        problems.append(
            f"the critic is too good: it tells {100 * np.mean(right):.0f} % of pictures right. "
            "Lower its rate or its width, or penalise its slope (r1)."
        )
    varied = [row["diversity"] for row in recent]
    if max(varied) < COLLAPSED:
        problems.append(
            f"collapse: drawn pictures differ {np.mean(varied):.2f} times as much as real ones. "
            "Try fewer critic steps, or a warm start."
        )
    moved = [row["drift"] for row in recent if row.get("drift") is not None]
    if len(moved) == _LOOKS and min(moved) > CIRCLING and moved[-1] > 0.8 * moved[0]:
        problems.append(
            f"no convergence: from look to look each picture moves {np.mean(moved):.2f} times as far as two pictures "
            "lie apart, and that does not fall. Average the weights, or lower the rates."
        )
    return problems

"""A QuickAndSlow sets what a quick readout says of trials beside what two ways find that take far longer."""

import time
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.encoding.slow import SlowReading
from models.metrics.identification import correlation_table, wins
from models.metrics.latents import cosine

Floats = NDArray[np.floating[Any]]

#: Samples of a trial.
SAMPLES = 200


@dataclass(frozen=True, slots=True, eq=False)
class QuickAndSlow:
    """A QuickAndSlow holds the latents of the same trials, read in several ways.

    Attributes
    ----------
    latents : mapping of str to (n, d)
        ``quick``; ``most probable``, the posterior's mode by gradient; ``weighted samples``, its mean.
    effective : (n,) float64
        Samples that count in each trial, of `SAMPLES`.
    seconds : mapping of str to float
        Of the processor, for a trial, of the slow ways.
    """

    latents: dict[str, Floats]
    effective: NDArray[np.float64]
    seconds: dict[str, float]

    @classmethod
    def of(
        cls, slow: SlowReading, answers: NDArray[np.float64], quick: NDArray[np.float64], sd: Floats
    ) -> Self:
        """Read white answers, (n, axes), beginning with what was read of them, (n, d), which is uncertain by `sd`."""
        began = time.process_time()
        mode = slow.most_probable(answers, quick)
        between = time.process_time()
        weighted = slow.weighted(answers, quick, sd, SAMPLES)
        ended = time.process_time()
        return cls(
            {"quick": quick, "most probable": mode, "weighted samples": weighted.mean},
            weighted.effective,
            {
                "most probable": (between - began) / len(answers),
                "weighted samples": (ended - between) / len(answers),
            },
        )

    def score(self, candidates: Floats, which: NDArray[np.integer[Any]]) -> list[dict[str, Any]]:
        """Return a row for each way: candidates (k, d), and which one each trial showed, (n,).

        ``two_way`` and ``n_way`` are shares identified among the candidates, ``cosine`` is that with the truth, and
        ``from_quick`` that with the quick reading.
        """
        rows, trials = [], np.arange(len(which))
        for way, read in self.latents.items():
            table = correlation_table(candidates, read)
            rows.append(
                {
                    "way": way,
                    "two_way": float(wins(table, 2)[trials, which].mean()),
                    "n_way": float(wins(table, len(candidates))[trials, which].mean()),
                    "cosine": float(cosine(candidates[which], read).mean()),
                    "from_quick": float(cosine(self.latents["quick"], read).mean()),
                    "seconds": self.seconds.get(way),
                    "effective": float(np.median(self.effective)) if way == "weighted samples" else None,
                }
            )
        return rows

"""The body of a report on latents read: scored once, and put on a page in one order, for a bundle and for a session."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.generators.package import GeneratorPackage
from models.reports.decoded import Decoded
from models.reports.page import (
    curves_section,
    held_out_section,
    identification_section,
    metrics_section,
    verdict,
)
from models.reports.pairs import pairs_or_why
from models.reports.scoring import score_decoded
from models.reports.semantics import semantic_analysis

Draw = Callable[[NDArray[Any]], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Body:
    """A Body holds decoded trials with their scores.

    Attributes
    ----------
    decoded : Decoded
    draw : callable or None
        Draws latents; None where the bundle has no generator of its own.
    scores : dict
        As `models.reports.scoring.score_decoded` returns them, and ``semantic``.
    attributes : str
        The section on attributes.
    seed : int
        Of the random latents that are drawn beside the pairs.
    """

    decoded: Decoded
    draw: Draw | None
    scores: dict[str, Any]
    attributes: str
    seed: int

    @classmethod
    def score(
        cls,
        decoded: Decoded,
        draw: Draw | None,
        package: GeneratorPackage | None,
        *,
        weights: Path | None = None,
        seed: int = 0,
        permutations: int = 1000,
        say: Callable[[str], None] = lambda step: None,
    ) -> "Body":
        """Score decoded trials and their attributes.

        Parameters
        ----------
        decoded, draw, weights, seed, permutations
            As of `models.reports.scoring.score_decoded`; as many resamples as permutations.
        package : GeneratorPackage, optional
            As of `models.reports.semantics.semantic_analysis`.
        say : callable
            Told each step in words.
        """
        say("scoring, beside every baseline")
        scores = score_decoded(
            decoded, draw, weights=weights, seed=seed, permutations=permutations, resamples=permutations
        )
        say("reading attributes")
        semantic, attributes = semantic_analysis(decoded, draw, package, seed=seed, permutations=permutations)
        return cls(decoded, draw, scores | {"semantic": semantic}, attributes, seed)

    def sections(
        self,
        report: Mapping[str, Any],
        *,
        beside: Sequence[tuple[str, Mapping[str, Any]]] = (),
        note: str = "",
        chart: str = "",
        last: str = "",
        facts: Sequence[tuple[str, str]] = (),
    ) -> list[str]:
        """Return the sections of the page, from the verdict to what was tested.

        Parameters
        ----------
        report : mapping
            The scores as JSON holds them, with all that the report adds.
        beside : sequence of (str, mapping)
            Rows below those of the table of identification, such as an oracle's.
        note : str
            HTML below that table.
        chart : str
            A chart beside the curves.
        last : str
            HTML before what was tested.
        facts : sequence of (str, str)
            What comes first there.
        """
        return [
            verdict(report),
            identification_section(report, beside),
            note,
            pairs_or_why(self.decoded, self.draw, self.seed),
            curves_section(report, chart),
            metrics_section(report),
            self.attributes,
            last,
            held_out_section(report, facts),
        ]

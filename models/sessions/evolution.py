"""A session of evolving pictures, scored: how fitness grew, beside the control and the references, and what it led to.

Every proposal is scored by what the decoder read of it, as live. The last third of the generations is compared with
random search and with the references by permutation: whole trials exchange their names. So are the optimisers with each
other. Of two generators each has its own random search, and an optimiser's pictures of the second are compared with its
pictures of the first. Where pictures evolve towards one of known latent, the proposals themselves are compared with it
too, which no reading touches.
"""

import json
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.errors import BundleError, RecordingError
from bci.io.files.folder import plain
from bci.io.files.page import header
from bci.session.recorded import RecordedSession
from models.reports.bundle import artist
from models.reports.writing import write_report
from models.sessions.evolution_page import curves, figures, pictures, words
from models.sessions.proposals import REFERENCE, Proposal, control, in_first, in_second
from models.sessions.readings import known_latents

FOLDER = "report"

Floats = NDArray[np.float64]


def proposals_of(session: RecordedSession) -> list[Proposal]:
    """Return what was proposed and read in a session, in order.

    Raises
    ------
    RecordingError
        If its experiment is no evolution, or its tables are not whole.
    """
    experiment = session.experiment()
    if experiment.get("protocol") != "evolution":
        raise RecordingError(f"{session.folder} is no session in which pictures evolve. Name another.")
    fitness, latents = _fitness(experiment), _shown(session)
    proposals = []
    for trial in session.trials(session.driver):
        if trial.number in latents and trial.ending == "shown":
            optimiser, generation, _ = trial.name.rsplit("-", 2)
            score = np.nan if trial.latent is None or trial.uncertain else float(fitness(trial.latent))
            latent = latents[trial.number]
            proposals.append(Proposal(optimiser, int(generation), latent, score, trial.uncertain))
    return proposals


def evaluate_evolution(
    folder: Path, out: Path | None = None, seed: int = 0, permutations: int = 2000
) -> dict[str, Any]:
    """Score a session in which pictures evolved, and write its page.

    Parameters
    ----------
    folder : Path
        The session's.
    out : Path, optional
        Where ``index.html`` and ``report.json`` are written; ``report`` in the session's folder when absent.
    seed : int
        Of the permutations.
    permutations : int
        How many.

    Returns
    -------
    dict
        ``optimisers``: of each, trials, of them those that no score holds, ``unread`` and ``uncertain`` (in time), the
        mean fitness of the first and of the last third, the difference to random search in the same space and to the
        references with their p values (None where there is none), of a second generator's ``above_first``, the same
        for the optimiser's own pictures of the first, with a p of both sides, and ``target``, the correlation of the
        last generation's mean latent with the picture's that it evolved towards;
        ``compared``: of each two of them that searched one space, but for random search, their names, the difference of
        their last thirds and a p of both sides; ``generations``; ``page``.

    Raises
    ------
    RecordingError
        If the folder is no such session, or holds fewer than three generations.
    BundleError
        If a bundle that it ran is not there any more.
    """
    session = RecordedSession.read(folder)
    proposals = proposals_of(session)
    generations = 1 + max((one.generation for one in proposals), default=-1)
    if generations < 3:
        raise RecordingError(
            f"{folder}: expected at least 3 generations, came {generations}: nothing has evolved yet. Run it longer."
        )
    experiment, bundle = session.experiment(), session.sole_bundle(session.driver)
    target = _target(experiment)
    names = [name for name in dict.fromkeys(one.optimiser for one in proposals) if name != REFERENCE]
    last = generations - max(1, generations // 3)
    random = np.random.default_rng(seed)

    def late(name: str) -> Floats:
        scores = [one.fitness for one in proposals if one.optimiser == name and one.generation >= last]
        return np.array([score for score in scores if np.isfinite(score)])

    rows = {}
    for name in names:
        own = [one for one in proposals if one.optimiser == name]
        first = [one.fitness for one in own if one.generation < generations - last]
        centre = np.mean([one.latent for one in own if one.generation == generations - 1], axis=0)
        rows[name] = {
            "trials": len(own),
            "unread": sum(not np.isfinite(one.fitness) and not one.uncertain for one in own),
            "uncertain": sum(one.uncertain for one in own),
            "first": float(np.nanmean(first)),
            "last": float(late(name).mean()),
            "above_random": _above(late(name), late(control(name)), random, permutations)
            if name != control(name)
            else None,
            "above_references": _above(late(name), late(REFERENCE), random, permutations),
            "above_first": _above(late(name), late(in_first(name)), random, permutations, both=True)
            if in_second(name)
            else None,
            "target": None if target is None or in_second(name) else _alike(centre, target),
        }
    compared = [
        {"optimisers": [one, other], **difference}
        for one, other in combinations([name for name in names if name != control(name)], 2)
        if control(one) == control(other)
        and (difference := _above(late(one), late(other), random, permutations, both=True))
    ]
    draw, second = artist(_drawn_by(session) or bundle), _drawn_by(session, "also_drawn_by")
    also = None if second is None else artist(second)
    report: dict[str, Any] = plain(
        {
            "session": str(folder),
            "bundle": bundle.name,
            "hash": bundle.hash,
            "simulated": session.simulated,
            "generations": generations,
            "optimisers": rows,
            "compared": compared,
        }
    )
    parts = [
        header("Report on an evolution", folder.name, f"Decoder {bundle.name}, hash {bundle.hash}"),
        words(report),
        curves(proposals, generations, names),
        pictures(proposals, generations, names, (draw, also), target),
        figures(report),
    ]
    page = write_report(out or folder / FOLDER, f"Evolution: {folder.name}", parts, report)
    return report | {"page": str(page)}


def _drawn_by(session: RecordedSession, key: str = "drawn_by") -> Bundle | None:
    """Return the bundle that drew the pictures, or the second one; None where the one that was read by did.

    Raises
    ------
    BundleError
        If it is not there any more, or is another one now.
    """
    if (path := session.experiment().get(key)) is None:
        return None
    bundle = Bundle.load(path)
    if bundle.hash != session.environment.get(key, {}).get("hash"):
        raise BundleError(
            f"{path}: expected the bundle that drew the pictures of {session.folder}, came another one, hash "
            f"{bundle.hash[:12]}. Put the old one back."
        )
    return bundle


def _fitness(experiment: Mapping[str, Any]) -> Callable[[NDArray[np.float32]], float]:
    target = _target(experiment)
    if target is None:
        place = int(experiment["value"])
        return lambda read: float(read[place])
    return lambda read: _alike(read, target)


def _target(experiment: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """Return the latent of the picture that pictures evolve towards; None where a value is to grow."""
    if experiment.get("fitness") != "towards":
        return None
    return known_latents(Path(experiment["folder"]))[str(experiment["picture"])]


def _alike(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the correlation of two latents, (d,); 0 where one of them is the same everywhere."""
    one, other = (np.asarray(v, np.float64) - np.mean(v, dtype=np.float64) for v in (a, b))
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size > 0 else 0.0


def _shown(session: RecordedSession) -> dict[int, NDArray[np.float32]]:
    """Return the latent that each trial showed."""
    return {
        int(row["trial"]): np.array(json.loads(row["stimulus_latent"]), np.float32)
        for row in session.table("trials")
        if row.get("stimulus_latent")
    }


def _above(
    own: Floats, others: Floats, random: np.random.Generator, permutations: int, *, both: bool = False
) -> dict[str, float] | None:
    """Return the difference of two means and its p by permutation, one-sided or of both sides; None if one is empty."""
    if not len(own) or not len(others):
        return None
    pooled, observed = np.concatenate([own, others]), float(own.mean() - others.mean())
    reached = 0
    for _ in range(permutations):
        mixed = random.permutation(pooled)
        difference = mixed[: len(own)].mean() - mixed[len(own) :].mean()
        reached += abs(difference) >= abs(observed) if both else difference >= observed
    return {"difference": observed, "p": (1 + reached) / (1 + permutations)}

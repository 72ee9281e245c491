"""A session of evolving pictures, scored: how fitness grew, beside the control and the references, and what it led to.

Every proposal is scored by what the decoder read of it, as live. The last third of the generations is compared with
random search and with the references by permutation: whole trials exchange their names. Of two generators each has its
own random search, and an optimiser's pictures of the second are compared with its pictures of the first. Where pictures
evolve towards one of known latent, the proposals themselves are compared with it too, which no reading touches.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import Artist
from bci.errors import BundleError, RecordingError
from bci.io.files.folder import plain
from bci.io.files.page import escape, facts, header, picture, table
from bci.session.recorded import RecordedSession
from models.reports.bundle import artist
from models.reports.charts import GREY, OCHRE, PLUM, TEAL, Line, chart
from models.reports.pairs import grid
from models.reports.writing import write_report
from models.sessions.readings import known_latents

FOLDER = "report"
REFERENCE = "reference"
#: What the name of an optimiser ends with that searched the second generator's space (`stimuli.protocols.evolution`).
_SECOND = "@2"
#: Pictures in a row: five optimisers, and what they evolve towards.
_PICTURES = 6
_COLOURS = (TEAL, OCHRE, PLUM, "#5b8c3e", "#3e5b8c")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A Proposal is one picture that was shown, and what was read of it.

    Attributes
    ----------
    optimiser : str
        Who proposed it; ``"reference"`` for a fixed one.
    generation : int
    latent : (d,) float32
        What was shown.
    fitness : float
        Of its reading; NaN where nothing was read, or `uncertain`.
    uncertain : bool
        Whether the time of its event may be wrong by more than the session file allows: what was read of it is no
        answer to it.
    """

    optimiser: str
    generation: int
    latent: NDArray[np.float32]
    fitness: float
    uncertain: bool = False


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
        ``generations``; ``page``.

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
            "above_random": _above(late(name), late(_control(name)), random, permutations)
            if name != _control(name)
            else None,
            "above_references": _above(late(name), late(REFERENCE), random, permutations),
            "above_first": _above(
                late(name), late(name.removesuffix(_SECOND)), random, permutations, both=True
            )
            if name.endswith(_SECOND)
            else None,
            "target": None if target is None or name.endswith(_SECOND) else _alike(centre, target),
        }
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
        }
    )
    parts = [
        header("Report on an evolution", folder.name, f"Decoder {bundle.name}, hash {bundle.hash}"),
        _words(report),
        _curves(proposals, generations, names),
        _pictures(proposals, generations, names, (draw, also), target),
        _table(report),
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


def _control(name: str) -> str:
    """Return the random search in the space that an optimiser searched."""
    return f"random{_SECOND}" if name.endswith(_SECOND) else "random"


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


# -- the page --------------------------------------------------------------------------------------------


def _words(report: Mapping[str, Any]) -> str:
    """Say in a sentence each what has evolved."""
    lines = []
    for name, row in report["optimisers"].items():
        above = row["above_random"] or row["above_references"]
        if above is None:
            continue
        beside = (
            _control(name).replace("random", "random search") if row["above_random"] else "the references"
        )
        verdict = "rose above" if above["p"] < 0.05 else "cannot be told from"
        lines.append(f"{name}: fitness {verdict} {beside} ({above['difference']:+.3f}, p {above['p']:.4f}).")
        if first := row["above_first"]:
            more = "differently" if first["p"] < 0.05 else "alike"
            lines.append(
                f"Its pictures of the two generators were answered {more} (second - first "
                f"{first['difference']:+.3f}, p {first['p']:.4f})."
            )
    who = (
        "The participant is simulated: nothing here is a measurement of a brain. "
        if report["simulated"]
        else ""
    )
    return f"<p>{who}{' '.join(lines)}</p>"


def _curves(proposals: Sequence[Proposal], generations: int, names: Sequence[str]) -> str:
    lines = []
    places = list(range(generations))
    for name, colour in zip([*names, REFERENCE], (*_COLOURS[: len(names)], GREY), strict=True):
        means, errors = [], []
        for generation in places:
            scores = np.array(
                [one.fitness for one in proposals if (one.optimiser, one.generation) == (name, generation)]
            )
            scores = scores[np.isfinite(scores)]
            means.append(float(scores.mean()) if len(scores) else float("nan"))
            errors.append(float(scores.std() / np.sqrt(len(scores))) if len(scores) else float("nan"))
        known = [k for k in places if np.isfinite(means[k])]
        if known:
            low, high = ([means[k] + sign * errors[k] for k in known] for sign in (-1, 1))
            lines.append(
                Line(name, known, [means[k] for k in known], colour, low, high, dashed=name == REFERENCE)
            )
    return "<h2>Fitness</h2>" + chart(
        lines,
        title="Mean fitness of a generation, ± one standard error",
        x_label="generation",
        size=(760, 300),
    )


def _pictures(
    proposals: Sequence[Proposal],
    generations: int,
    names: Sequence[str],
    artists: tuple[Artist | None, Artist | None],
    target: NDArray[np.float32] | None,
) -> str:
    """Return what each optimiser came to: the picture of the mean latent of its first, middle and last generation."""
    draw, also = artists
    if draw is None:
        return "<p>No pictures: the bundle has no generator of its own.</p>"
    columns = [*names, *(["towards"] if target is not None else [])]
    spare = ["<div></div>"] * (_PICTURES - len(columns))
    cells = ["<div></div>", *(f'<div class="note">{escape(name)}</div>' for name in columns), *spare]
    for generation in dict.fromkeys((0, generations // 2, generations - 1)):
        means = [
            np.mean(
                [o.latent for o in proposals if (o.optimiser, o.generation) == (name, generation)], axis=0
            )
            for name in names
        ] + ([target] if target is not None else [])
        cells.append(f'<div class="side">generation {generation}</div>')
        for name, mean in zip(columns, means, strict=True):
            own = also if also is not None and name.endswith(_SECOND) else draw
            (image,) = own(mean[None].astype(np.float32))
            cells.append(picture(image, f"{name}, generation {generation}"))
        cells += spare
    return "<h2>Pictures of the mean latent</h2>" + grid("pairs", "".join(cells), _PICTURES)


def _table(report: Mapping[str, Any]) -> str:
    rows = []
    for name, row in report["optimisers"].items():

        def beside(which: str, row: Mapping[str, Any] = row) -> str:
            above = row[which]
            return "" if above is None else f"{above['difference']:+.3f} (p {above['p']:.4f})"

        rows.append(
            (
                name,
                f"{row['trials']}",
                f"{row['unread']}",
                f"{row['uncertain']}",
                f"{row['first']:.3f}",
                f"{row['last']:.3f}",
                beside("above_random"),
                beside("above_references"),
                beside("above_first"),
                "" if row["target"] is None else f"{row['target']:.3f}",
            )
        )
    head = (
        "optimiser", "trials", "unread", "uncertain time", "fitness, first third", "last third", "above random",
        "above references", "above first generator", "last mean latent · target",
    )  # fmt: skip
    return (
        "<h2>Figures</h2>"
        + table(head, rows, range(1, 10))
        + facts([("Generations", str(report["generations"]))])
    )

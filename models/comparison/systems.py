"""All brain readers in one table: every registered system's readers, on the same trials, by the same scores.

A reader learns from trials with their pictures, and draws what it reads of others (`models.systems.reader`). Units
(`models.units`) are a reader on a set, and some of the exchanges or resamples of its scores.
"""

import base64
import zlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.errors import BciError, ConfigError, nearest
from bci.io.files.folder import plain
from bci.memory.lsl_clock import LslClock
from bci.sim.threads import one_thread
from models.comparison.exchange import FEW, exchanged, own, resampled, summary, tables
from models.comparison.readers import readers as beside
from models.comparison.systems_page import write_systems
from models.comparison.systems_settings import SetOfTrials, SystemsConfig, load_systems
from models.datasets.reader_trials import Lesson, ReaderTrials
from models.generators.package import GeneratorPackage
from models.metrics.identification import wins
from models.provenance import digest, versions
from models.systems.reader import PictureReader
from models.systems.registry import system_of_file, systems
from models.systems.system import System
from models.units import Unit, run_units

Progress = Callable[[float, str], None]
Pictures = NDArray[np.uint8]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")


def known_readers() -> dict[str, PictureReader]:
    """Return every reader by its title: those of the registered systems, then those that are no system."""
    listed = [one for system in systems().values() if system.readers is not None for one in system.readers()]
    return {one.title: one for one in (*listed, *beside())}


def compare_systems(
    path: Path,
    out: Path,
    *,
    jobs: int = 1,
    cluster: str | None = None,
    data_root: Path | None = None,
    effort: float | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Let every reader learn and read every set, and write the table with pictures side by side.

    Parameters
    ----------
    path : Path
        A comparison file of kind ``comparison-of-systems``.
    out : Path
        Folder of ``index.html``, ``report.json``, a sheet of pictures for each set, and ``units``.
    jobs, cluster
        As of `models.units.run_units`.
    data_root : Path, optional
        Folder that recordings' paths start from.
    effort : float, optional
        In place of the file's.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Returns
    -------
    dict
        ``sets``: for each its ``rows``, ``oracle``, ``ceiling`` and what it was.

    Raises
    ------
    ConfigError
        If a file cannot be used, no reader is called so, or the cluster is not there.
    """
    say = progress or (lambda done, text: None)
    config = load_systems(path)
    config = config if effort is None else config.model_copy(update={"effort": effort})
    chosen = chosen_readers(path, config)
    sources = [shown_by(one).shown for one in config.sets]
    report: dict[str, Any] = {"name": config.name, "seed": config.seed, "effort": config.effort}
    report |= {"side": config.side, "versions": versions(_PACKAGES), "sets": []}
    sheets: list[dict[str, Pictures]] = []
    for at, (one, source) in enumerate(zip(config.sets, sources, strict=True)):

        def part(done: float, text: str, at: int = at) -> None:
            say((at + done) / len(sources), text)

        part(0.0, f"{one.title}: gathering trials")
        assert source is not None
        trials = source(one.data, data_root=data_root)
        found, drawn = _one_set(config, one, trials, chosen, out / "units", jobs, cluster, part)
        report["sets"].append(found)
        sheets.append(drawn)
    ready: dict[str, Any] = plain(report)
    ready["page"] = str(write_systems(out, ready, sheets))
    return ready


def chosen_readers(path: Path, config: SystemsConfig) -> dict[str, PictureReader]:
    """Return the readers that a file names, or all.

    Raises
    ------
    ConfigError
        If none is called so.
    """
    known = known_readers()
    if unknown := [title for title in config.readers if title not in known]:
        raise ConfigError(
            f"{path}: expected readers among {', '.join(known)}, came {unknown[0]!r}{nearest(unknown[0], known)}."
        )
    return {title: known[title] for title in config.readers or known}


def shown_by(one: SetOfTrials) -> System:
    """Return the system whose trials a set is.

    Raises
    ------
    ConfigError
        If they show no pictures.
    """
    system = system_of_file(one.data)
    if system.shown is None:
        able = [kind for kind, other in systems().items() if other.shown is not None]
        raise ConfigError(
            f"{one.data}: expected the training file of a system whose trials show pictures ({', '.join(able)}), came "
            f"one of kind {system.kind!r}. Name another in data."
        )
    return system


def _one_set(
    config: SystemsConfig,
    one: SetOfTrials,
    trials: ReaderTrials,
    chosen: Mapping[str, PictureReader],
    units: Path,
    jobs: int,
    cluster: str | None,
    say: Progress,
) -> tuple[dict[str, Any], dict[str, Pictures]]:
    """Let readers read one set; return its part of the report, and each row's first picture of every truth."""
    lesson, which = lesson_of(config, one, trials), np.asarray(trials.test.shown)
    truth = small(trials.test.stimuli.images, config.side)
    brain = np.asarray(trials.test.brain, np.float64)
    data = digest(lesson.brain, lesson.latents, lesson.runs, lesson.pictures, brain, which, lesson.others)
    built = {name: version(name) for name in (*_PACKAGES, "closed-loop-bci")}
    common = {"data": data, "seed": config.seed, "effort": config.effort, "versions": built}
    read = run_units(
        [Unit(f"{one.title}: {title}", {"title": title, **common}) for title in chosen],
        read_unit,
        units,
        given={"lesson": lesson, "brain": brain, "truth": truth},
        jobs=jobs,
        cluster=cluster,
        progress=lambda done, text: say(0.05 + 0.8 * done, text),
    )
    came = dict(zip(chosen, read, strict=True))
    drawn = {title: _unpacked(found["drawn"]) for title, found in came.items() if "drawn" in found}
    best = {f"best of {title}": _unpacked(found["best"]) for title, found in came.items() if "best" in found}
    drawn |= _baselines(config, lesson, len(which))
    every = np.arange(len(truth))
    scored = {title: (tables(truth, pictures, which), which) for title, pictures in drawn.items()}
    scored |= {title: (tables(truth, pictures, every), every) for title, pictures in best.items()}
    say(0.88, f"{one.title}: exchanging and resampling")
    rows = _rows(config, trials, scored, units, jobs, cluster)
    for title, found in came.items():
        rows.setdefault(title, {"refused": found.get("refused", "")})
        rows[title] |= {"about": chosen[title].about, "seconds": found.get("seconds")}
    first = np.array([int(np.flatnonzero(which == k)[0]) for k in every])
    strips = {title: pictures[first] for title, pictures in drawn.items()} | best
    described = {
        "title": one.title, "about": trials.about, "data": {"file": one.data.name, "sha256": data},
        "simulated": trials.learn.simulated, "learned_from": len(lesson.brain), "trials": len(which),
        "pictures": len(truth), "ceiling": trials.ceiling, "rows": rows, "oracle": _oracle(trials, which),
    }  # fmt: skip
    return described, {"shown": truth, **strips}


def lesson_of(config: SystemsConfig, one: SetOfTrials, trials: ReaderTrials) -> Lesson:
    """Return what readers learn from: at most the configured number of trials, evenly, and further pictures."""
    rows = np.arange(len(trials.learn))
    if one.trials is not None:
        if one.trials > len(rows):
            raise ConfigError(
                f"{one.title}: expected at most the {len(rows)} training trials of {one.data.name}, came trials = "
                f"{one.trials}. Ask for fewer."
            )
        rows = np.unique(np.linspace(0, len(rows) - 1, one.trials).round().astype(int))
    learn = trials.learn.select(rows)
    package = GeneratorPackage.load(trials.generator)
    random = np.random.default_rng([config.seed, 47])
    others = small(
        package.draw(random.standard_normal((config.others, package.spec.latent), np.float32)), config.side
    )
    shown = small(learn.stimuli.images, config.side)
    return Lesson(
        np.asarray(learn.brain, np.float64),
        shown[learn.shown],
        np.asarray(learn.latents, np.float32),
        np.asarray(learn.runs),
        others,
        trials.generator,
        config.seed,
        config.effort,
    )


def small(images: Pictures | None, side: int) -> Pictures:
    """Return pictures at the side at which they are compared: (n, height, width, 3) to (n, side, side, 3)."""
    assert images is not None
    if images.shape[1:3] == (side, side):
        return images
    how = Image.Resampling.BOX if min(images.shape[1:3]) >= side else Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), how)) for one in images])


def read_unit(
    *,
    title: str,
    data: str,
    seed: int,
    effort: float,
    versions: dict[str, str],
    lesson: Lesson,
    brain: NDArray[np.float64],
    truth: Pictures,
) -> dict[str, Any]:
    """Let one reader learn and draw.

    Parameters
    ----------
    title : str
        Of the reader.
    data, seed, effort, versions
        Values that the result depends on; they name the unit.
    lesson, brain, truth
        What it learns from, what it reads, (n, voxels), and the test pictures, for its best.

    Returns
    -------
    dict
        ``drawn`` and, of a reader that has one, ``best``: pictures, packed; ``seconds``; or ``refused``, why it cannot
        learn here.
    """
    clock, reader = LslClock(), known_readers()[title]
    began, side = clock.now(), lesson.pictures.shape[1]
    try:
        with one_thread():
            drawn = small(reader.read(lesson, brain), side)
            best = None if reader.best is None else small(reader.best(lesson, truth), side)
    except BciError as error:
        return {"refused": str(error)}
    found = {"drawn": _packed(drawn), "seconds": clock.now() - began}
    return found if best is None else found | {"best": _packed(best)}


def part_unit(
    *,
    row: str,
    score: str,
    what: str,
    seed: list[int],
    count: int,
    table: str,
    scored: Mapping[str, tuple[dict[str, NDArray[np.float64]], NDArray[np.int64]]],
    groups: Mapping[str, NDArray[np.int64]],
) -> dict[str, Any]:
    """Return one part of the exchanges, or of the resamples, of a row's score; `table` is its hash."""
    values, which = scored[row][0][score], scored[row][1]
    if what == "exchanged":
        return {"means": exchanged(values, which, groups[row], count=count, seed=seed)}
    return {"means": resampled(own(values, which), groups[row], count=count, seed=seed)}


def _rows(
    config: SystemsConfig,
    trials: ReaderTrials,
    scored: Mapping[str, tuple[dict[str, NDArray[np.float64]], NDArray[np.int64]]],
    units: Path,
    jobs: int,
    cluster: str | None,
) -> dict[str, dict[str, Any]]:
    """Return every row's scores with intervals and chance, from parts that are units."""
    few = len(trials.test.stimuli) < FEW and len(trials.block)
    groups = {
        title: trials.block if few and len(which) == len(trials.block) else which
        for title, (_, which) in scored.items()
    }
    parts = []
    for title, (found, which) in scored.items():
        for score, table in found.items():
            for what in ("resampled", "exchanged") if table.ndim == 2 else ("resampled",):
                for first in range(0, config.permutations, config.chunk):
                    count = min(config.chunk, config.permutations - first)
                    seed = [config.seed, first, len(what)]
                    key = digest(table, which, groups[title])
                    inputs = {
                        "row": title,
                        "score": score,
                        "what": what,
                        "seed": seed,
                        "count": count,
                        "table": key,
                    }
                    parts.append(Unit(f"{title}, {score}: {what} from {first}", inputs))
    given = {"scored": dict(scored), "groups": groups}
    means = run_units(parts, part_unit, units, given=given, jobs=jobs, cluster=cluster)
    gathered: dict[tuple[str, str], dict[str, list[float]]] = {}
    for unit, found in zip(parts, means, strict=True):
        key = (unit.inputs["row"], unit.inputs["score"])
        gathered.setdefault(key, {}).setdefault(unit.inputs["what"], []).extend(found["means"])
    return {
        title: {
            "scores": {
                score: summary(own(table, which), gathered[title, score], groups[title])
                for score, table in found.items()
            }
        }
        for title, (found, which) in scored.items()
    }


def _baselines(config: SystemsConfig, lesson: Lesson, n: int) -> dict[str, Pictures]:
    """Return pictures that do not use the trial: the mean of training, and other pictures at random."""
    mean = np.round(lesson.pictures.mean(0)).astype(np.uint8)
    chosen = np.random.default_rng([config.seed, 48]).integers(0, len(lesson.others), n)
    return {"mean picture": np.repeat(mean[None], n, axis=0), "random pictures": lesson.others[chosen]}


def _oracle(trials: ReaderTrials, which: NDArray[np.int64]) -> dict[str, float]:
    """Return how well the likelihood of one who knows the participant identifies the trials; empty without one."""
    if trials.likelihoods is None:
        return {}
    k = trials.likelihoods.shape[1]
    return {
        "two-way": float(own(wins(trials.likelihoods, 2), which).mean()),
        f"of {k}": float(own(wins(trials.likelihoods, k), which).mean()),
    }


def _packed(pictures: Pictures) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(pictures).tobytes())).decode()
    return {"shape": list(pictures.shape), "data": data}


def _unpacked(held: Mapping[str, Any]) -> Pictures:
    flat = np.frombuffer(zlib.decompress(base64.b64decode(held["data"])), np.uint8)
    return flat.reshape(held["shape"])

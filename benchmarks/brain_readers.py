"""All brain readers on the same trials: every system, dreamed readouts and baselines, with chance, ceiling and oracle.

::

    python -m benchmarks.brain_readers [--part readers] [--seeds 3] [--out runs/brain-readers] [--data FOLDER]
    python -m benchmarks.brain_readers --part efficiency [--rounds 5] [--json]

``readers`` is `bci compare --systems`, what ``configs/systems-compare.toml`` names. Two sets: the participant in silico
(400 training trials of EEG at SNR .4, 24 other pictures six times each, single trials), and recorded EEG to faces and
houses, for which two drawn faces stand (four runs to learn from, two to read). Each seed draws other pictures for the
participant to look at, and begins readers anew; recorded trials are the same for each. Scores are means over seeds;
their 95 % intervals resample pictures, of each seed its own, or blocks of ten seconds. The last column but one is the
difference of two-way identification from ridge to pixels, picture by picture. ``--out`` holds a page, a sheet of
pictures and the units of every set and seed, so that a run that was killed goes on. ``--effort .3`` makes updates and
dreams .3 as many.

``efficiency``: one worker and two of a Dask cluster on this machine compute the same units, 16 folds of a ridge. A
round times both, and one and two processes without a cluster, in an order that turns round from round to round, and
two must be at least .8 of twice as fast as one by the median of five rounds' shares (``--rounds``). Every unit has one
thread of linear algebra, wherever it runs. Workers' start, and what they import in their first units, are timed apart.
What two processes without a cluster reach is what the machine gives at all; a share above 1 says that others were busy
on it. Exit status 1 where the target is missed.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bci.config.toml import read_toml
from bci.io.shipped import SHIPPED
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.clusters import open_cluster
from models.comparison.systems import compare_systems
from models.comparison.systems_page import ranking, score_names
from models.comparison.systems_settings import SystemsConfig, load_systems
from models.readouts.family import build_readout
from models.units import Unit, run_units

UNITS, TRIALS, VOXELS, LATENTS, WARM, LEAST = 16, 400, 600, 64, 4, 0.8
ON_CLUSTER, BARE = "workers", "processes without a cluster"
#: What every reader is compared with, and what a seed's file keeps of the one that is given.
BASELINE, RESAMPLES = "ridge to pixels", 2000
KEPT = ("kind", "name", "readers", "side", "others", "effort", "permutations", "chunk")


def fit_planted(seed: int, brain: NDArray[np.float64], latents: NDArray[np.float64]) -> dict[str, Any]:
    """Fit a ridge with a few trials left out, by the seed; return what it reads of them."""
    out = np.random.default_rng(seed).permutation(len(brain))[:100]
    kept = np.setdiff1d(np.arange(len(brain)), out)
    with threadpool_limits(1):
        read = build_readout("ridge").fit(brain[kept], latents[kept]).predict(brain[out])
    return {"r": float(np.corrcoef(read.ravel(), latents[out].ravel())[0, 1])}


def efficiency(rounds: int) -> dict[str, Any]:
    """Time the same units on one worker and on two, and on processes without a cluster, in turn."""
    random = np.random.default_rng(0)
    latents = random.standard_normal((TRIALS, LATENTS))
    brain = latents @ random.standard_normal((LATENTS, VOXELS)) + 20 * random.standard_normal(
        (TRIALS, VOXELS)
    )
    given = {"brain": brain, "latents": latents}

    def turn(units: int, where: dict[str, Any]) -> float:
        work = [Unit(f"fold {k}", {"seed": k}) for k in range(units)]
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            run_units(work, fit_planted, Path(folder), given=given, **where)
            return time.perf_counter() - began

    start: dict[str, float] = {}
    ways: dict[str, dict[str, Any]] = {f"{BARE}, {jobs}": {"jobs": jobs} for jobs in (1, 2)}
    with ExitStack() as opened:
        for workers in (1, 2):
            began = time.perf_counter()
            client = opened.enter_context(open_cluster("local", workers))
            client.wait_for_workers(workers)
            start[f"{ON_CLUSTER}, {workers}"] = time.perf_counter() - began
            ways[f"{ON_CLUSTER}, {workers}"] = {"cluster": client.scheduler.address}
        first = {name: turn(WARM, where) for name, where in ways.items()}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name in list(ways)[:: -1 if number % 2 else 1]:
                seconds[name].append(turn(UNITS, ways[name]))
            progress(
                f"round {number + 1}: " + ", ".join(f"{name} {s[-1]:.1f} s" for name, s in seconds.items())
            )
    return {"seconds": seconds, "start": start, "first_units": first} | shares_of(seconds)


def shares_of(seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return two's share of twice one's speed by rounds, its median and range, and whether the target is met.

    Examples
    --------
    >>> found = shares_of({f"{way}, {n}": [4 / n, 4.4 / n, 9.0] for way in (ON_CLUSTER, BARE) for n in (1, 2)})
    >>> found["efficiency"], found["range"], found["met"]
    (1.0, [0.5, 1.0], True)
    """
    of = {
        name: np.array(seconds[f"{name}, 1"]) / (2 * np.array(seconds[f"{name}, 2"]))
        for name in (ON_CLUSTER, BARE)
    }
    found, bare = (float(np.median(shares)) for shares in of.values())
    spread = [float(of[ON_CLUSTER].min()), float(of[ON_CLUSTER].max())]
    return {"efficiency": found, "range": spread, "bare": bare, "met": found >= LEAST}


def print_efficiency(found: dict[str, Any]) -> None:
    """Print medians, the start of workers, and two's share of twice one's speed."""
    for name, all_seconds in found["seconds"].items():
        started = f"; ready after {found['start'][name]:.1f} s" if name in found["start"] else ""
        print(
            f"{name}: median {np.median(all_seconds):.2f} s for {UNITS} units{started}; "
            f"the first {WARM} took {found['first_units'][name]:.1f} s"
        )
    low, high = found["range"]
    print(
        f"two workers: {found['efficiency']:.2f} ({low:.2f} to {high:.2f} by round) of twice one "
        f"(at least {LEAST}: {'met' if found['met'] else 'MISSED'}); "
        f"two processes without a cluster {found['bare']:.2f}"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Compare, or time; print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.brain_readers", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--part", choices=("readers", "efficiency"), default="readers")
    parser.add_argument("--file", type=Path, default=SHIPPED["configs"] / "systems-compare.toml")
    parser.add_argument("--out", type=Path, default=Path("runs/brain-readers"))
    parser.add_argument(
        "--data", type=Path, help="folder of the recordings; else $BCI_DATA, else ../shared/data"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sets", type=int, nargs="*", help="numbers of the sets, from 0; else all")
    parser.add_argument("--effort", type=float, help="share of updates and dreams; else what the file says")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="of efficiency")
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    asked = parser.parse_args(words)
    facts = machine_facts(["scikit-learn", "torch"])
    print_machine(facts)
    if asked.part == "efficiency":
        found = efficiency(asked.rounds)
        print_efficiency(found)
        if asked.json:
            print_last_line({"benchmark": "brain_readers", "part": asked.part, "machine": facts, **found})
        return 0 if found["met"] else 1
    sets = [readers(asked, one) for one in asked.sets or range(len(load_systems(asked.file).sets))]
    if asked.json:
        print_last_line({"benchmark": "brain_readers", "part": asked.part, "machine": facts, "sets": sets})
    return 0


def readers(asked: argparse.Namespace, number: int) -> dict[str, Any]:
    """Compare all readers on one set, seed by seed; print and return the table over seeds."""
    found = []
    for seed in range(asked.seeds):
        out = asked.out / f"set-{number}-seed-{seed}"
        report = compare_systems(
            seeded(load_systems(asked.file), number, seed, out),
            out,
            effort=asked.effort,
            jobs=asked.jobs,
            data_root=asked.data,
            progress=lambda done, text, seed=seed: progress(f"seed {seed}: {done:.0%} {text}"),
        )
        found.append(report["sets"][0])
    one = found[0]
    table = over_seeds(found)
    oracles = [f"{name} {np.mean([each['oracle'][name] for each in found]):.3f}" for name in one["oracle"]]
    print(
        f"\n{one['title']}: {one['trials']} trials of {one['pictures']} pictures, {len(found)} seeds; "
        f"{one['ceiling']}; oracle {', '.join(oracles) or 'none'}"
    )
    names = score_names(one)
    head = ["reader", *names, "two-way, by seed", f"two-way − {BASELINE}", "p", "seconds"]
    print_table(head, [_line(title, table.get(title), row, names) for title, row in ranking(one)])
    return {"title": one["title"], "seeds": len(found), "rows": table, "oracle": [x["oracle"] for x in found]}


def seeded(config: SystemsConfig, number: int, seed: int, out: Path) -> Path:
    """Write the comparison of one set with seeds so much further, the simulated experiment's among them."""
    one = config.sets[number]
    data, own = one.data, read_toml(one.data, "training")
    out.mkdir(parents=True, exist_ok=True)
    if "participant" in own and seed:
        data = out / one.data.name
        text, count = re.subn(
            r"(?m)^seed *= *\d+", f"seed = {own['seed'] + seed}", one.data.read_text(encoding="utf-8")
        )
        if count != 1:
            raise SystemExit(f"{one.data}: expected one line that begins with seed, came {count}")
        data.write_text(text, encoding="utf-8")
    lines = [f"{name} = {json.dumps(getattr(config, name))}" for name in KEPT]
    lines += [f"seed = {config.seed + seed}", "[[sets]]", f"title = {json.dumps(one.title)}"]
    lines += [f"data = {json.dumps(str(data.resolve()))}"]
    lines += [] if one.trials is None else [f"trials = {one.trials}"]
    path = out / "compare.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def over_seeds(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return each reader's scores over seeds, with intervals, and its difference from the baseline in two-way.

    Pictures of a simulated experiment are other ones for each seed and are resampled apart; recorded trials are the
    same ones.
    """
    random = np.random.default_rng(0)
    drawn: dict[tuple[int, int], NDArray[np.int64]] = {}

    def resamples(seed: int, groups: int) -> NDArray[np.int64]:
        key = (seed if found[0]["simulated"] else 0, groups)
        if key not in drawn:
            drawn[key] = random.integers(0, groups, (RESAMPLES, groups))
        return drawn[key]

    def of(title: str, score: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        means = [np.array(one["rows"][title]["scores"][score]["by_group"]) for one in found]
        again = [values[resamples(seed, len(values))].mean(1) for seed, values in enumerate(means)]
        return np.array([values.mean() for values in means]), np.mean(again, axis=0)

    table: dict[str, dict[str, Any]] = {}
    for title, row in found[0]["rows"].items():
        if not all("scores" in one["rows"][title] for one in found):
            continue
        scores = {}
        for score in row["scores"]:
            seeds, again = of(title, score)
            low, high = np.quantile(again, [0.025, 0.975])
            scores[score] = {"mean": seeds.mean(), "low": low, "high": high, "seeds": seeds.tolist()}
        ps = [one["rows"][title]["scores"]["two-way"]["p"] for one in found]
        table[title] = {"scores": scores, "p": None if None in ps else max(ps)}
        table[title]["seconds"] = [one["rows"][title].get("seconds") for one in found]
        if BASELINE in row_titles(found) and not title.startswith("best of "):
            mine, theirs = of(title, "two-way"), of(BASELINE, "two-way")
            low, high = np.quantile(mine[1] - theirs[1], [0.025, 0.975])
            table[title]["above"] = {"mean": float((mine[0] - theirs[0]).mean()), "low": low, "high": high}
    return table


def row_titles(found: Sequence[dict[str, Any]]) -> set[str]:
    """Return the titles of the rows that have scores for every seed."""
    return {title for title in found[0]["rows"] if all("scores" in one["rows"][title] for one in found)}


def _line(title: str, found: Any, row: Any, names: Sequence[str]) -> list[str]:
    if found is None:
        return [title, f"refused: {row.get('refused', 'by another seed')}", *[""] * (len(names) + 3)]
    cells = [_spread(found["scores"][name]) for name in names]
    seeds = ", ".join(f"{one:.3f}" for one in found["scores"]["two-way"]["seeds"])
    above = found.get("above")
    took = [one for one in found["seconds"] if one is not None]
    return [
        title, *cells, seeds, _spread(above) if above and title != BASELINE else "",
        "" if found["p"] is None else f"{found['p']:.4f}", f"{np.mean(took):.0f}" if took else "",
    ]  # fmt: skip


def _spread(found: Any) -> str:
    return f"{found['mean']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


if __name__ == "__main__":
    sys.exit(main())

"""The general linear model of fMRI volumes as they come: exactness, time of a volume, and live betas beside late ones.

A planted run: voxels answer each picture with an amplitude of their own, under drift, motion and noise that remembers.
Printed are how far the incremental model is from batch least squares at every volume; how far live single-trial betas
are from nilearn's (OLS, the same model fitted to the same volumes so far); the time of a volume and of a beta; how well
live betas agree with the same trial's beta of the whole run, and each with the planted amplitude; and what leaving the
trials out that began after a trial would do to its beta. Where nilearn is not installed, batch least squares take its
place in all but the comparison with it, which is left out, and said to be.

::

    OMP_NUM_THREADS=1 python -m benchmarks.fmri_glm [--voxels 42000] [--volumes 300] [--json]
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bci.signal.volumes.glm import IncrementalGlm
from bci.signal.volumes.responses import ResponseGrid, drifts
from bci.signal.volumes.single_trials import SingleTrials
from benchmarks.report import machine_facts, percentiles, print_last_line, print_machine, progress

try:
    from nilearn.glm.first_level import run_glm
    from nilearn.glm.first_level.hemodynamic_models import compute_regressor
except ModuleNotFoundError:
    run_glm = compute_regressor = None

Array = NDArray[np.float64]

#: Said, and returned, where nilearn is missing.
LEFT_OUT = "LEFT OUT: nilearn is not installed, so live betas were not compared with nilearn's: pip install '.[fmri]'"

TR_S, WAIT_S, DURATION_S = 1.5, 7.5, 1.0
#: Seconds from one picture to the next, and how much it varies.
SPACING_S, JITTER_S = 6.0, 1.5
#: Voxels whose betas are compared with nilearn's at every trial: all would take it hours.
COMPARED = 400


class Planted:
    """A Planted run has responses of known amplitude.

    Attributes
    ----------
    onsets : (trials,) float64
        Seconds.
    amplitudes : (trials, voxels) float64
    nuisance : (volumes, q) float64
        Constant, drift, motion.
    volumes : (volumes, voxels) float32
    """

    def __init__(self, count: int, voxels: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.grid = ResponseGrid(count, TR_S)
        spaces = SPACING_S + rng.uniform(-JITTER_S, JITTER_S, int(count * TR_S / (SPACING_S - JITTER_S)))
        onsets = 6.0 + np.cumsum(spaces)
        self.onsets = np.round(onsets[onsets < count * TR_S - 12.0], 3)
        motion = np.cumsum(rng.normal(0, 0.01, (count, 6)), axis=0)
        slow = drifts("cosine", count, TR_S)
        self.nuisance = np.column_stack([np.ones(count), slow, motion])
        self.columns = np.array([self.grid.column(onset, DURATION_S) for onset in self.onsets])
        self.amplitudes = rng.normal(8.0, 8.0, (len(self.onsets), voxels))
        noise = rng.normal(0, 5.0, (count, voxels))
        for n in range(1, count):  # noise of blood remembers: lag-one correlation .3
            noise[n] = 0.3 * noise[n - 1] + np.sqrt(1 - 0.09) * noise[n]
        unwanted = self.nuisance[:, 1:] @ rng.normal(0, 10.0, (self.nuisance.shape[1] - 1, voxels))
        self.volumes = (800 + self.columns.T @ self.amplitudes + unwanted + noise).astype(np.float32)


def exactness(run: Planted) -> float:
    """Return the largest difference of the incremental model's betas from batch ones, over the size of the largest."""
    design = np.column_stack([run.columns.sum(axis=0), run.nuisance])
    few = run.volumes[:, :COMPARED].astype(np.float64)
    glm, worst = IncrementalGlm(design.shape[1], few.shape[1]), 0.0
    for n in range(len(design)):
        glm.add(design[n], few[n])
        if glm.rank < design.shape[1] or glm.degrees_of_freedom < 1:
            continue
        batch = np.linalg.lstsq(design[: n + 1], few[: n + 1], rcond=None)[0]
        worst = max(worst, float(np.abs(glm.betas() - batch).max() / np.abs(batch).max()))
    return worst


def per_volume_ms(run: Planted) -> list[float]:
    """Return the milliseconds of the incremental model for each volume, all voxels."""
    design = np.column_stack([run.columns.sum(axis=0), run.nuisance])
    glm, taken = IncrementalGlm(design.shape[1], run.volumes.shape[1]), []
    for n in range(min(80, len(design))):
        begun = time.process_time()
        glm.add(design[n], run.volumes[n])
        taken.append(1e3 * (time.process_time() - begun))
    return taken


def live(run: Planted, voxels: int) -> dict[str, Any]:
    """Go through the run as it comes; return betas, when each was given, and what it took."""
    fit = SingleTrials(run.grid, run.nuisance.shape[1], voxels)
    told = given = 0
    found: dict[str, Any] = {"betas": [], "volumes": [], "add_ms": [], "beta_ms": []}
    for n in range(len(run.volumes)):
        while told < len(run.onsets) and run.onsets[told] <= n * TR_S:
            fit.begin(run.onsets[told], DURATION_S)
            told += 1
        begun = time.process_time()
        fit.add(n, run.nuisance[n], run.volumes[n, :voxels])
        found["add_ms"].append(1e3 * (time.process_time() - begun))
        while given < told and run.onsets[given] + WAIT_S <= n * TR_S:
            begun = time.process_time()
            beta = fit.estimate(given)
            found["beta_ms"].append(1e3 * (time.process_time() - begun))
            enough = beta is not None and fit.degrees_of_freedom(given) >= 10
            found["betas"].append(beta if enough else np.full(voxels, np.nan))
            found["volumes"].append(n)
            fit.forget(given)
            given += 1
    return found


def lss(run: Planted, number: int, end: int, begun: float, voxels: int) -> Array:
    """Return the OLS beta of a trial, of the volumes before `end`; others are those begun by `begun` seconds.

    Responses and fit are nilearn's; without it the run's own responses, and least squares in one piece.
    """
    columns = np.array([response(run, k) for k in np.flatnonzero(run.onsets <= begun)])
    own = columns[number]
    design = np.column_stack([own, columns.sum(axis=0) - own, run.nuisance])[:end]
    values = run.volumes[:end, :voxels].astype(float)
    if run_glm is None:
        return np.asarray(np.linalg.lstsq(design, values, rcond=None)[0][0])
    labels, results = run_glm(values, design, noise_model="ols")
    return np.asarray(results[labels[0]].theta[0])


_responses: dict[float, Array] = {}


def response(run: Planted, trial: int) -> Array:
    """Return nilearn's predicted response to a trial at all planned volumes; without it the run's own."""
    onset = float(run.onsets[trial])
    if compute_regressor is None:
        return np.asarray(run.columns[trial])
    if onset not in _responses:
        condition = np.array([[onset], [DURATION_S], [1.0]])
        _responses[onset] = compute_regressor(condition, "spm", run.grid.times_s, oversampling=50)[0][:, 0]
    return _responses[onset]


def mean_correlation(one: Array, other: Array) -> float:
    """Return the mean over voxels of the correlation over trials."""
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    return float(np.mean((one * other).sum(axis=0) / np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))))


def compare(run: Planted, found: dict[str, Any]) -> dict[str, Any]:
    """Compare live betas with nilearn's on the same volumes, with those of the whole run, and with what was planted."""
    few = min(COMPARED, run.volumes.shape[1])
    betas = np.array(found["betas"])[:, :few]
    kept = np.flatnonzero(np.isfinite(betas).all(axis=1))
    same, whole, alone = [], [], []
    for number in kept:
        end = found["volumes"][number] + 1
        same.append(lss(run, number, end, (end - 1) * TR_S, few))
        whole.append(lss(run, number, len(run.volumes), np.inf, few))
        alone.append(lss(run, number, end, run.onsets[number], few))
    live_betas, planted = betas[kept], run.amplitudes[kept, :few]
    together = np.array(same)
    difference = float(np.abs(live_betas - together).max() / np.abs(together).max())
    return {
        "trials": len(kept),
        "difference_from_nilearn": None if run_glm is None else difference,
        "difference_from_batch": difference if run_glm is None else None,
        "left_out": LEFT_OUT if run_glm is None else "",
        "live_with_whole_run": mean_correlation(live_betas, np.array(whole)),
        "live_with_planted": mean_correlation(live_betas, planted),
        "whole_run_with_planted": mean_correlation(np.array(whole), planted),
        "mean_live_over_planted": float(live_betas.mean() / planted.mean()),
        "mean_over_planted_without_later_trials": float(np.array(alone).mean() / planted.mean()),
    }


def _beside(figures: dict[str, Any]) -> str:
    if figures["left_out"]:
        return f"{figures['left_out']}; {figures['difference_from_batch']:.1e} from batch at worst"
    return f"{figures['difference_from_nilearn']:.1e} from nilearn at worst (limit 1e-5)"


def words_of(figures: dict[str, Any], volumes: int, voxels: int, trials: int, columns: int) -> str:
    """Return the figures as lines to read."""
    add, beta, model = figures["trials_add_ms"], figures["trials_beta_ms"], figures["incremental_ms"]
    return "\n".join(
        [
            f"\n{volumes} volumes of {voxels} voxels, TR {TR_S} s, {trials} trials, {columns} columns; milliseconds of "
            "processor time\n",
            f"incremental model: {figures['incremental_from_batch']:.1e} from batch at worst (limit 1e-6), "
            f"{model['p50']:.1f} ms a volume (p95 {model['p95']:.1f})",
            f"single trials: {_beside(figures)}, "
            f"{add['p50']:.1f} ms a volume (p95 {add['p95']:.1f}), {beta['p50']:.1f} ms a beta (p95 {beta['p95']:.1f})",
            f"correlation over {figures['trials']} trials, mean of {COMPARED} voxels: live with whole run "
            f"{figures['live_with_whole_run']:.2f}, live with planted {figures['live_with_planted']:.2f}, whole run "
            f"with planted {figures['whole_run_with_planted']:.2f}",
            f"mean beta over mean planted: {figures['mean_live_over_planted']:.3f}; were trials that began later left "
            f"out of the others, {figures['mean_over_planted_without_later_trials']:.3f}",
        ]
    )


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--voxels", type=int, default=42_000)
    options.add_argument("--volumes", type=int, default=300)
    options.add_argument("--json", action="store_true", help="only the last line")
    chosen = options.parse_args(words)
    facts = machine_facts(("scipy", "nilearn"))
    with threadpool_limits(1):
        progress("planting")
        run = Planted(chosen.volumes, chosen.voxels)
        progress("incremental model")
        figures: dict[str, Any] = {"incremental_from_batch": exactness(run)}
        figures["incremental_ms"] = percentiles(per_volume_ms(run), (50, 95))
        progress("single trials")
        found = live(run, chosen.voxels)
        figures["trials_add_ms"] = percentiles(found["add_ms"], (50, 95))
        figures["trials_beta_ms"] = percentiles(found["beta_ms"], (50, 95))
        progress(LEFT_OUT if run_glm is None else "nilearn")
        figures |= compare(run, found)
    if not chosen.json:
        print_machine(facts)
        print(words_of(figures, chosen.volumes, chosen.voxels, len(run.onsets), 1 + run.nuisance.shape[1]))
    print_last_line({"benchmark": "fmri_glm", "machine": facts} | figures)


if __name__ == "__main__":
    main()

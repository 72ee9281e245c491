"""How well pictures are identified from the participant in silico, by a ridge readout and by its oracle, per SNR.

    python -m benchmarks.participant_snr [--quick] [--kind fmri eeg] [--snr 0.05 …] [--json]

Pictures are drawn from latents by a random smooth generator that nothing else uses; ridge reads latents from the
answers to 1050 training pictures, and 36 test pictures are shown 14 times each, single and averaged. The oracle
knows the participant's model and noise. Chance is .500 two-way and .028 among 36.
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bci.sim.oracle import identify, score_trials
from bci.sim.participant import make_participant
from bci.sim.responses import Responses, respond
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress

Array = NDArray[np.float64]

TEST, REPEATS, LATENTS = 36, 14, 64
#: The oracle imagines every candidate at every trial's own eye position: these many repeats are enough.
ORACLE_REPEATS = 3
SNRS = {"fmri": (0.0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2), "eeg": (0.0, 0.001, 0.02, 0.05, 0.1, 0.2, 0.4)}
#: Penalties tried, in units of the mean eigenvalue of the training Gram matrix.
_PENALTIES = np.logspace(-3, 3, 13)


class SmoothPictures:
    """SmoothPictures draws smooth colour pictures from latents, by random weights and a saturating nonlinearity."""

    def __init__(self, d: int = LATENTS, side: int = 64, seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :]) * side
        white = np.fft.fft2(rng.standard_normal((d, 3, side, side)))
        planes = np.fft.ifft2(white * np.exp(-((f / 2) ** 2) / 2)).real
        planes = 0.7 * planes[:, :1] + 0.4 * planes
        self._planes = planes / planes.std() / math.sqrt(d)

    def __call__(self, latents: Array) -> NDArray[np.uint8]:
        """Return pictures (n, side, side, 3) uint8 for latents (n, d)."""
        pictures = expit(2.0 * np.einsum("nd,dchw->nhwc", latents, self._planes, optimize=True))
        return np.rint(255 * pictures).astype(np.uint8)


def ridge(features: Array, targets: Array, test: Array) -> Array:
    """Return predictions (n, d) of a ridge whose penalty is chosen by leave-one-out error on the training set."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-12
    x, y_mean = (features - mean) / spread, targets.mean(axis=0)
    values, vectors = np.linalg.eigh(x @ x.T)
    values = np.clip(values, 0, None)
    turned = vectors.T @ (targets - y_mean)
    best, chosen = math.inf, None
    for penalty in _PENALTIES * values.mean():
        shrunk = 1 / (values + penalty)
        dual = vectors @ (shrunk[:, None] * turned)
        diagonal = (vectors**2) @ shrunk
        error = float(np.mean((dual / diagonal[:, None]) ** 2))
        if error < best:
            best, chosen = error, dual
    assert chosen is not None
    return np.asarray((test - mean) / spread @ (x.T @ chosen) + y_mean)


def features(responses: Responses, kind: str) -> Array:
    """Return the ridge's features: betas, or means of 20 ms of each channel from 50 to 600 ms."""
    values = responses.values.astype(np.float64)
    if kind == "fmri":
        return values
    step = 5
    part = values[:, 10:150]
    return part.reshape(len(part), -1, step, part.shape[2]).mean(axis=2).reshape(len(part), -1)


def correlations(predicted: Array, truth: Array) -> Array:
    """Return the correlation of each prediction with each true latent: (n, m)."""
    a = predicted - predicted.mean(axis=1, keepdims=True)
    b = truth - truth.mean(axis=1, keepdims=True)
    return np.asarray(a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1))


def measure(
    kind: str, snrs: Sequence[float], *, train: int, repeats: int, subject: int = 1
) -> Iterator[dict[str, Any]]:
    """Yield the identification of one participant at each SNR."""
    rng = np.random.default_rng(11)
    draw = SmoothPictures()
    z_train, z_test = rng.standard_normal((train, LATENTS)), rng.standard_normal((TEST, LATENTS))
    order = np.concatenate([rng.permutation(TEST) for _ in range(repeats)])
    reference = draw(rng.standard_normal((192, LATENTS)))
    candidates = draw(z_test)
    imagined: list[NDArray[np.float32]] = []
    for snr in snrs:
        progress(f"{kind} at SNR {snr:g}")
        options: dict[str, Any] = {"subject": subject, "snr": snr, "reference": reference}
        began = time.perf_counter()
        learned = respond(make_participant(kind, session=0, **options), draw(z_train))  # type: ignore[arg-type]
        took = time.perf_counter() - began
        participant = make_participant(kind, session=1, **options)  # type: ignore[arg-type]
        tested = respond(participant, candidates[order])
        # Eye positions and memory are the same at every SNR.
        imagined = imagined or [
            participant.observer.imagine(candidates, m) for m in tested.moments[: TEST * ORACLE_REPEATS]
        ]
        x, x_test = features(learned, kind), features(tested, kind)
        single = correlations(ridge(x, z_train, x_test), z_test)
        averaged = np.stack([x_test[order == i].mean(axis=0) for i in range(TEST)])
        mean = correlations(ridge(x, z_train, averaged), z_test)
        oracle = score_trials(participant, tested, range(len(imagined)), candidates, imagined)
        yield {
            "kind": kind,
            "snr": snr,
            "ridge_single": identify(single, order),
            "ridge_averaged": identify(mean, np.arange(TEST)),
            "oracle_single": identify(oracle.round(6), order[: len(oracle)]),
            "training_trials": train,
            "respond_seconds": took,
        }


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", nargs="+", default=["fmri", "eeg"], choices=sorted(SNRS))
    parser.add_argument("--snr", nargs="+", type=float, help="other ratios than the table's")
    parser.add_argument("--quick", action="store_true", help="two SNRs, 300 training pictures, 3 repeats")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    options = parser.parse_args(words)
    facts = machine_facts()
    print_machine(facts)
    found = []
    for kind in options.kind:
        train, repeats = (300, 3) if options.quick else (1050, REPEATS)
        snrs = options.snr or SNRS[kind][:: 4 if options.quick else 1]
        found += measure(kind, snrs, train=train, repeats=repeats)
    names = ("ridge_single", "ridge_averaged", "oracle_single")
    header = ["kind", "SNR", *(f"{n.replace('_', ' ')}: 2-way / 36-way" for n in names), "respond s"]
    rows = [
        [
            r["kind"],
            f"{r['snr']:g}",
            *(f"{r[n]['two_way']:.3f} / {r[n]['n_way']:.3f}" for n in names),
            f"{r['respond_seconds']:.1f}",
        ]
        for r in found
    ]
    print_table(header, rows)
    if options.json:
        print_last_line({"benchmark": "participant_snr", "machine": facts, "results": found})


if __name__ == "__main__":
    main()

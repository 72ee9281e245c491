"""The head of a simulated participant lies elsewhere than in training: how much of its decoder is left.

::

    python -m benchmarks.fmri_position [--bundle models/bundles/fmri-hyper] [--position 8 -6 5 4 -5 6]

The held-out session of the bundle (training was session 0, this is session 1) is scanned twice: with the head where it
lay in training, and displaced by three translations (mm) and three turns (degrees). The displaced session's reference
volume is registered to the training session's, and the same voxels are read. Printed are the identification of single
trials in both, and the displacement of the voxels that the registration leaves.
"""

import argparse
from pathlib import Path

import numpy as np

from bci.decoder.bundle import Bundle
from bci.signal.volumes.rigid import displacement, moved
from bci.sim.scanner.scanned import ScannedParticipant
from benchmarks.report import machine_facts
from models.generators.package import package_of
from models.insilico.heldout import HeldOut, decode_held_out, show_elsewhere, show_held_out
from models.insilico.scans import run_of
from models.insilico.trials import HELD_OUT, TRAINING, design, participant_of
from models.metrics.identification import correlation_table, wins
from models.metrics.latents import cosine
from models.systems.hyper.heldout import config_of


def score(bundle: Bundle, held: HeldOut, name: str) -> tuple[float, float]:
    """Print how well single trials are identified; return the shares of two-way and n-way."""
    decoded = decode_held_out(bundle, held)
    table, trials = correlation_table(decoded.latents, decoded.predicted), np.arange(len(decoded.predicted))
    two = float(wins(table, 2)[trials, decoded.which].mean())
    n_way = float(wins(table, len(decoded.latents))[trials, decoded.which].mean())
    similar = float(cosine(decoded.latents[decoded.which], decoded.predicted).mean())
    print(
        f"{name}: {len(trials)} single trials of {len(decoded.latents)} pictures, two-way {two:.1%}, "
        f"{len(decoded.latents)}-way {n_way:.1%}, cosine {similar:.3f}",
        flush=True,
    )
    return two, n_way


def main() -> None:
    """Scan twice, decode, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, default=Path("models/bundles/fmri-hyper"))
    parser.add_argument("--position", type=float, nargs=6, default=[8.0, -6.0, 5.0, 4.0, -5.0, 6.0])
    chosen = parser.parse_args()
    print(machine_facts())
    bundle = Bundle.load(chosen.bundle)
    config, package = config_of(bundle), package_of(bundle)
    if package is None:
        raise SystemExit("the generator's package that the bundle was trained with is not here")
    plan = design(config, bundle.spec.latent, np.random.default_rng(config.seed))
    pictures = package.draw(plan.latents)
    how = (config, plan, pictures, "the very package")
    at_rest = score(bundle, show_held_out(*how), "where it lay in training")
    elsewhere = score(bundle, show_elsewhere(*how, chosen.position), f"at {chosen.position}")
    before = participant_of(config, pictures[plan.reference], TRAINING)
    scanner = config.participant.scanner
    assert scanner is not None
    assert isinstance(before, ScannedParticipant)
    away = ScannedParticipant(before.inner, HELD_OUT, **scanner.at_rest | {"position": chosen.position})
    run = run_of(away, before)
    points = moved(before.places.astype(float), before.affine)
    assert run.trained is not None
    left = displacement(points, run.trained.to_today, away.pose(0))
    far = displacement(points, np.eye(4), away.pose(0))
    print(
        f"voxels displaced by {np.median(far):.1f} mm (median), left after registration {np.median(left):.3f} mm, "
        f"at most {left.max():.3f} mm"
    )
    lost = [100 * (a - b) for a, b in zip(at_rest, elsewhere, strict=True)]
    print(f"lost: {lost[0]:.1f} points two-way, {lost[1]:.1f} points {len(plan.test)}-way")
    raise SystemExit(1 if max(lost) > 5 else 0)


if __name__ == "__main__":
    main()

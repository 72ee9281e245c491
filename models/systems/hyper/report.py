"""The report on a bundle of HYPER in silico: its held-out trials made again, decoded, and set beside the oracle."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.errors import BundleError
from bci.io.files.page import escape
from models.datasets.trials import Trials
from models.encoding.maps import encoding_maps
from models.generators.package import GeneratorPackage, package_of
from models.insilico.heldout import HeldOut, decode_held_out
from models.insilico.oracle import held_out_oracle
from models.insilico.training_trials import training_trials
from models.metrics.latents import cosine
from models.provenance import processor, what_differs
from models.reports.bundle import report_bundle
from models.reports.decoded import Decoded
from models.reports.encoding import encoding_section
from models.reports.slow import slow_section
from models.systems.hyper.heldout import config_of, make_again
from models.systems.hyper.settings import HyperConfig


def evaluate_hyper(
    bundle: Bundle,
    out: Path | None = None,
    *,
    weights: Path | None = None,
    seed: int = 0,
    permutations: int = 1000,
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """Score a bundle on the held-out trials of its own training, single and averaged over repeats.

    Parameters
    ----------
    bundle : Bundle
        Of `models.systems.hyper.train`.
    out, weights, seed, permutations, progress
        As of `models.reports.bundle.report_bundle`.

    Returns
    -------
    dict
        As `models.reports.bundle.report_bundle` returns it, and ``again``: whether the trials are those that the
        bundle was scored on. With a page of a dreamed readout ``slow`` too, slow readings beside its own,
        and ``likeness``, how far the trials lie from dreamed ones.

    Raises
    ------
    BundleError
        If the trials cannot be made again.
    """
    say = progress or (lambda done, text: None)
    held = make_again(bundle, lambda done, text: say(done * 0.5, text))
    say(0.3, "decoding")
    decoded = decode_held_out(bundle, held)
    say(0.35, "asking the oracle")
    best = held_out_oracle(held)
    encoding, slow = _encoding(bundle, held, decoded, say) if out is not None else ("", {})
    again = _again(bundle, held, cosine(decoded.latents[decoded.which], decoded.predicted).mean())
    return report_bundle(
        bundle,
        decoded,
        out,
        oracle=best,
        oracle_note=_oracle_note(held),
        facts=_facts(bundle, held, again),
        more={"again": again} | slow,
        last=encoding,
        weights=weights,
        seed=seed,
        permutations=permutations,
        progress=lambda done, text: say(0.5 + 0.5 * done, text),
    )


def _again(bundle: Bundle, held: HeldOut, now: float) -> dict[str, Any]:
    """Say whether what was made again is what the bundle's own scores were taken from."""
    then = bundle.spec.scores
    same = then.get("trials") == len(held.windows) and np.isclose(float(str(then["cosine"])), now, atol=1e-4)
    return {
        "same": bool(same),
        "trials_then": then.get("trials"),
        "cosine_then": then.get("cosine"),
        "trials": len(held.windows),
        "cosine": float(now),
        "pictures_by": held.drawn_by,
        "differs": "" if same else what_differs(_record(bundle), processor()),
    }


def _encoding(
    bundle: Bundle, held: HeldOut, decoded: Decoded, say: Callable[[float, str], None]
) -> tuple[str, dict[str, Any]]:
    """Return of a dreamed readout its encoding maps, of training trials made again, and slow readings beside its own.

    HTML, and what stands in it for machines; nothing of another readout.
    """
    config, package = config_of(bundle), package_of(bundle)
    if not config.readout.name.startswith("dreamed") or package is None:
        return "", {}
    say(0.4, "mapping what answers to what")
    trials = training_trials(config, config.seed, package).trials
    latents = trials.stimuli.latents[trials.shown]
    pictures = package.draw(latents)
    maps = encoding_maps(pictures, trials.brain, trials.runs)
    start, rate = config.epoch.start, bundle.pipeline.output(bundle.signal).rate
    count = 1 if config.epoch.mean else bundle.window_shape[0]
    channels = bundle.signal.channels or tuple(f"voxel {k}" for k in range(bundle.window_shape[1]))
    section = encoding_section(maps, channels, [start + k / rate for k in range(count)])
    say(0.45, "reading slowly")
    return _with_slow(section, config, package, trials, pictures, held, decoded)


def _with_slow(
    section: str,
    config: HyperConfig,
    package: GeneratorPackage,
    trials: Trials,
    pictures: NDArray[np.uint8],
    held: HeldOut,
    decoded: Decoded,
) -> tuple[str, dict[str, Any]]:
    """Add slow readings to a section, or why there are none."""
    # Only here: these need torch, which other readouts' reports do not.
    from models.encoding.quick_and_slow import SAMPLES
    from models.systems.hyper.slow import slow_readings

    try:
        slow = slow_readings(config, package, trials, pictures, held, decoded)
    except BundleError as error:  # a generator whose gradients are not known
        return f"{section}<p class='legend'>Nothing is read slowly: {escape(str(error))}</p>", {}
    section += slow_section(
        slow.compared.latents, slow.rows, SAMPLES, str(slow.likeness), package.draw, decoded.seen
    )
    likeness = {"outside": slow.likeness.outside, "distance": slow.likeness.distance}
    return section, {"slow": slow.rows, "likeness": likeness}


def _record(bundle: Bundle) -> Mapping[str, Any]:
    """Return what training left in the bundle; nothing where it left none."""
    if "training.json" not in bundle.spec.files:
        return {"versions": dict(bundle.spec.provenance.versions)}
    record: Mapping[str, Any] = json.loads(bundle.read("training.json"))
    return record


def _facts(bundle: Bundle, held: HeldOut, again: Mapping[str, Any]) -> list[tuple[str, str]]:
    who = held.setup.participant
    comparison = (
        "the same as when the bundle was trained: the mean cosine of single trials is "
        f"{again['cosine']:.4f}, as its scores say"
        if again["same"]
        else f"not those of the training to the last digit: {again['trials']} trials with a mean cosine of "
        f"{again['cosine']:.4f}, where the bundle says {again['trials_then']} with {again['cosine_then']:.4f}; "
        f"{again['differs']}"
    )
    return [
        (
            "Participant",
            f"simulated {'fMRI' if who.modality == 'fmri' else who.modality.upper()}, subject {who.subject}, "
            f"single-trial signal-to-noise ratio {who.snr:g}",
        ),
        (
            "Decoder",
            f"{bundle.spec.title or bundle.name}; readout {config_of(bundle).readout.name}, hash {bundle.hash}",
        ),
        ("Trials", f"made again from the bundle's configuration and seed; {comparison}"),
        ("Pictures", f"drawn by {held.drawn_by}"),
        *([("Dreams", str(bundle.spec.scores["choice"]))] if "choice" in bundle.spec.scores else []),
        ("Collapse", str(bundle.spec.scores.get("collapse", "not diagnosed"))),
    ]


def _oracle_note(held: HeldOut) -> str:
    betas = (
        " and is given betas of a least squares over the whole session"
        if held.setup.participant.modality == "fmri"
        else ""
    )
    return (
        "<p class='legend'>The oracle knows the participant's own model, eye position, latencies and noise covariance"
        f"{betas}: the exact likelihood of each candidate. It is a bound for every decoder, not a decoder.</p>"
    )

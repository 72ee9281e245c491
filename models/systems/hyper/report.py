"""The report on a bundle of HYPER in silico: its held-out trials made again, decoded, and set beside the oracle."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import Artist
from bci.io.files.folder import plain
from bci.io.files.page import header
from models.insilico.oracle import oracle
from models.metrics.latents import cosine
from models.reports.charts import GREY, OCHRE, TEAL, Line, chart
from models.reports.page import (
    curves_section,
    identification_section,
    metrics_section,
    pairs_section,
    test_section,
    verdict,
)
from models.reports.scoring import score_decoded
from models.reports.semantics import semantic_analysis
from models.reports.writing import PAGE, write_report
from models.systems.hyper.heldout import HeldOut, decode_held_out, make_again, package_of


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
    out : Path, optional
        Folder of ``index.html`` and ``report.json``.
    weights : Path, optional
        Folder of the networks that some metrics need.
    seed : int
        Of permutations, resamples and random latents.
    permutations : int
        And resamples.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Returns
    -------
    dict
        As `models.reports.scoring.score_decoded` returns it, and ``bundle``, ``hash``, ``oracle``, ``semantic``,
        ``again`` (whether the trials are those that the bundle was scored on).

    Raises
    ------
    BundleError
        If the trials cannot be made again.
    """
    say = progress or (lambda done, text: None)
    held = make_again(bundle, lambda done, text: say(done * 0.5, text))
    say(0.3, "decoding")
    found, draw = decode_held_out(bundle, held), Artist(bundle)
    say(0.35, "asking the oracle")
    best = oracle(held)
    say(0.5, "scoring, beside every baseline")
    scores = score_decoded(
        found, draw, weights=weights, seed=seed, permutations=permutations, resamples=permutations
    )
    say(0.8, "reading attributes")
    semantic, told = semantic_analysis(found, draw, package_of(bundle), seed=seed, permutations=permutations)
    report = {
        **scores,
        "bundle": bundle.name,
        "hash": bundle.hash,
        "oracle": best,
        "semantic": semantic,
        "again": _again(bundle, held, cosine(found.latents[found.which], found.predicted).mean()),
    }
    ready: dict[str, Any] = plain(report)
    if out is not None:
        say(0.95, "writing the page")
        page = write_report(
            out,
            f"Report: {bundle.name}",
            [
                header("Report on a decoder", bundle.name, _made(bundle)),
                verdict(ready),
                identification_section(ready, [(f"oracle, {name}", row) for name, row in best.items()]),
                _oracle_note(held),
                pairs_section(found, draw, seed),
                curves_section(ready, learning_chart(bundle)),
                metrics_section(ready),
                told,
                test_section(ready, _facts(bundle, held, ready)),
                _footer(),
            ],
            ready,
        )
        ready["page"] = str(page)
    return ready


def learning_chart(bundle: Bundle) -> str:
    """Return the learning curve that training left in the bundle; nothing where it left none."""
    if "training.json" not in bundle.spec.files:
        return ""
    curve = [p for p in json.loads(bundle.read("training.json")).get("curve", []) if "two_way" in p]
    if not curve:
        return ""
    trials = [p["trials"] for p in curve]
    return chart(
        [
            Line("of two", trials, [p["two_way"] for p in curve], TEAL),
            Line(
                f"of all {bundle.spec.scores.get('pictures', '')}", trials, [p["n_way"] for p in curve], OCHRE
            ),
            Line("chance of two", trials, [0.5] * len(trials), GREY, dashed=True),
        ],
        title="Learning curve: single trials identified",
        x_label="training trials",
        y_label="identified",
        y_range=(0.0, 1.0),
        x_log=True,
        percent=True,
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
    }


def _facts(bundle: Bundle, held: HeldOut, report: Mapping[str, Any]) -> list[tuple[str, str]]:
    who, again = held.config.participant, report["again"]
    said = (
        "the same as when the bundle was trained: the mean cosine of single trials is "
        f"{again['cosine']:.4f}, as its scores say"
        if again["same"]
        else f"not those of the training: {again['trials']} trials with a mean cosine of {again['cosine']:.4f}, where "
        f"the bundle says {again['trials_then']} with {again['cosine_then']:.4f}; another release or other libraries "
        "trained it"
    )
    return [
        (
            "Participant",
            f"simulated {'fMRI' if who.modality == 'fmri' else who.modality.upper()}, subject {who.subject}, "
            f"single-trial signal-to-noise ratio {who.snr:g}",
        ),
        (
            "Decoder",
            f"{bundle.spec.title or bundle.name}; readout {held.config.readout.name}, hash {bundle.hash}",
        ),
        ("Trials", f"made again from the bundle's configuration and seed; {said}"),
        ("Pictures", f"drawn by {held.drawn_by}"),
        ("Collapse", str(bundle.spec.scores.get("collapse", "not diagnosed"))),
    ]


def _oracle_note(held: HeldOut) -> str:
    betas = (
        " and is given betas of a least squares over the whole session"
        if held.config.participant.modality == "fmri"
        else ""
    )
    return (
        "<p class='legend'>The oracle knows the participant's own model, eye position, latencies and noise covariance"
        f"{betas}: the exact likelihood of each candidate. It is a bound for every decoder, not a decoder.</p>"
    )


def _made(bundle: Bundle) -> str:
    title = bundle.spec.title
    return f"{title + '. ' if title else ''}{datetime.now().astimezone():%d %B %Y, %H:%M}"


def _footer() -> str:
    return f"<footer>The same figures for machines: report.json beside this page ({PAGE}).</footer>"

"""The report on a bundle of reconstruction by gradient: the usual page, and the two ways side by side."""

from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import Bundle
from bci.errors import BundleError, ConfigError
from bci.io.files.page import escape, picture, table
from models.insilico.heldout import HeldOut, decode_held_out
from models.insilico.oracle import held_out_oracle
from models.reports.bundle import artist, report_bundle
from models.reports.decoded import Decoded
from models.systems.gradient.settings import GradientConfig, parse_gradient
from models.systems.gradient.ways import read_slow
from models.systems.hyper.heldout import make_again
from models.systems.system import Progress

#: Pictures of the sheet.
_SHOWN = 12


def config_of(bundle: Bundle) -> GradientConfig:
    """Return the training configuration that a bundle carries.

    Raises
    ------
    BundleError
        If this release does not know it.
    """
    try:
        return parse_gradient(bundle.spec.provenance.config, f"the configuration in bundle {bundle.name!r}")
    except ConfigError as error:
        raise BundleError(f"{error} Train the bundle again with this release.") from None


def held_out_of(bundle: Bundle, progress: Progress | None = None, *, snr: float | None = None) -> HeldOut:
    """Show the held-out pictures to the participant again; raises as `models.systems.hyper.heldout.make_again`."""
    return make_again(bundle, progress, snr=snr, config=config_of(bundle))


def evaluate_gradient(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Score a bundle on its held-out trials and write its page; see `models.systems.system.Report`."""
    held = held_out_of(bundle, lambda done, text: progress(0.4 * done, text))
    decoded = decode_held_out(bundle, held)
    progress(0.4, "asking the oracle")
    scores, who = bundle.spec.scores, config_of(bundle).participant
    return report_bundle(
        bundle,
        decoded,
        out,
        oracle=held_out_oracle(held),
        facts=[
            (
                "Participant",
                f"simulated {who.modality}, subject {who.subject}, signal-to-noise ratio {who.snr:g}",
            ),
            ("Network", f"{scores.get('network', 'not said')}; its features are matched"),
            ("Pictures", f"drawn by {held.drawn_by}"),
            ("Collapse", str(scores.get("collapse", "not diagnosed"))),
        ],
        more={"ways": scores.get("ways", {})},
        last=_ways(bundle, decoded),
        weights=weights,
        progress=lambda done, text: progress(0.5 + 0.5 * done, text),
    )


def _ways(bundle: Bundle, decoded: Decoded) -> str:
    """Return the two ways' scores and pictures."""
    scores: Any = bundle.spec.scores.get("ways", {})
    lines = [
        [escape(f"{way}, {level}"), *(f"{row[key]:.3f}" for key in ("pixel_r", "two_way", "n_way"))]
        for level, ways in scores.items()
        for way, row in ways.items()
    ]
    draw = artist(bundle)
    if not lines or draw is None:
        return ""
    first = [int(np.flatnonzero(decoded.which == k)[0]) for k in range(len(decoded.names))]
    rows = {"seen": decoded.seen, "distilled, single trials": draw(decoded.predicted[first])}
    rows |= {f"by gradient, {level}": draw(latents) for level, latents in read_slow(bundle).items()}
    sheet = np.concatenate([np.concatenate(list(one[:_SHOWN]), axis=1) for one in rows.values()])
    named = "; ".join(rows)
    return (
        "<h2>By gradient, and distilled</h2>"
        + table(["pictures", "pixel r", "of two", f"of {len(decoded.names)}"], lines, range(1, 4))
        + f"<figure>{picture(sheet, named)}<figcaption>From above: {escape(named)}.</figcaption></figure>"
        + '<p class="legend">Identified by edges and colours of the pictures, which are not the features that were '
        "matched. By gradient takes a large part of a second a trial and was done when the bundle was trained; the "
        "distilled network is what runs live.</p>"
    )

"""The report on a bundle: its held-out trials decoded, scored beside every baseline, and set beside the oracle."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import Artist
from bci.errors import BundleError
from bci.io.files.folder import plain
from bci.io.files.page import header
from bci.io.files.regular import parse_json
from models.generators.package import package_of
from models.reports.body import Body
from models.reports.charts import GREY, OCHRE, TEAL, Line, chart
from models.reports.decoded import Decoded
from models.reports.sizes import sizes_section
from models.reports.writing import write_report


def report_bundle(
    bundle: Bundle,
    decoded: Decoded,
    out: Path | None = None,
    *,
    oracle: Mapping[str, Mapping[str, Any]] | None = None,
    oracle_note: str = "",
    facts: Sequence[tuple[str, str]] = (),
    more: Mapping[str, Any] | None = None,
    last: str = "",
    weights: Path | None = None,
    seed: int = 0,
    permutations: int = 1000,
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """Score a bundle's readings of its held-out trials, and write the page.

    Parameters
    ----------
    bundle : Bundle
        The decoder.
    decoded : Decoded
        Its held-out trials.
    out : Path, optional
        Folder of ``index.html`` and ``report.json``.
    oracle : mapping, optional
        What an oracle identifies, by what was averaged.
    oracle_note : str
        HTML below the table of identification: what the oracle knows.
    facts : sequence of (str, str)
        Of how the trials came about, for the page.
    more : mapping, optional
        What the system adds to the report for machines.
    last : str
        HTML of the system's own, before what was tested.
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
        ``page`` where one was written, and `more`.
    """
    say = progress or (lambda done, text: None)
    draw, best = decoded.draw or artist(bundle), dict(oracle or {})
    body = Body.score(
        decoded,
        draw,
        None if decoded.draw else package_of(bundle),  # attributes are of a generator's latents
        weights=weights,
        seed=seed,
        permutations=permutations,
        say=lambda step: say(0.0 if step.startswith("scoring") else 0.6, step),
    )
    report = {
        **body.scores,
        "bundle": bundle.name,
        "hash": bundle.hash,
        "oracle": best,
        **(more or {}),
    }
    ready: dict[str, Any] = plain(report)
    if out is not None:
        say(0.9, "writing the page")
        page = write_report(
            out,
            f"Report: {bundle.name}",
            [
                header("Report on a decoder", bundle.name, _made(bundle)),
                *body.sections(
                    ready,
                    beside=[(f"oracle, {name}", row) for name, row in best.items()],
                    note=oracle_note,
                    chart=learning_chart(bundle),
                    last=sizes_section(decoded, draw, bundle.spec.scores) + last,
                    facts=facts,
                ),
            ],
            ready,
        )
        ready["page"] = str(page)
    return ready


def artist(bundle: Bundle) -> Artist | None:
    """Return what draws latents with a bundle's own generator; None where it has none."""
    try:
        return Artist(bundle)
    except BundleError:
        return None


def learning_chart(bundle: Bundle) -> str:
    """Return the learning curve that training left in the bundle; nothing where it left none."""
    if "training.json" not in bundle.spec.files:
        return ""
    record = parse_json(bundle.read("training.json"), "training.json", BundleError)
    curve = record.get("curve", []) if isinstance(record, dict) else []
    curve = [p for p in curve if "two_way" in p] if isinstance(curve, list) else []
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


def _made(bundle: Bundle) -> str:
    title = bundle.spec.title
    return f"{title + '. ' if title else ''}{datetime.now().astimezone():%d %B %Y, %H:%M}"

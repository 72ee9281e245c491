"""What the page of a session says beside that of a bundle: live and offline, the oracle asked, where the time went."""

from collections.abc import Mapping
from typing import Any

from bci.io.files.page import facts, table
from bci.io.volumes.quality_page import run_sections
from bci.session.recorded import RecordedSession
from bci.session.volume_quality import VolumeRun
from models.reports.figures import between, share

#: What the intervals of a session's latency table mean.
_STAGES = {
    "transport": "newest sample to arrival",
    "window": "arrival to cut",
    "decode": "cut to decoded",
    "publish": "decoded to published",
    "handover": "published to taken by the display",
    "flip": "taken to flipped",
    "total": "newest sample to flip",
}


def live_section(report: Mapping[str, Any]) -> str:
    """Return live against offline: decoded again from the recording, and the bundle's own held-out score."""
    again, offline = report["reproduced"], report["offline"]
    rows = []
    if again is None:
        rows.append(("Decoded again", "not done"))
    elif "trouble" in again:
        rows.append(("Decoded again", f"could not be: {again['trouble']}"))
    else:
        place = "in the same environment" if again["same_environment"] else "in another environment"
        rows.append(
            (
                "Decoded again",
                f"{again['equal']} of {again['frames']} reconstructions are equal to the bit, from the recording, "
                f"{place}; the largest difference of a latent is {again['max_difference']:.2g} of its size",
            )
        )
    if report["left_out"]:
        counted = ", ".join(f"{n} {why}" for why, n in sorted(report["left_out"].items()))
        rows.append(("Trials left out", f"{counted}; the scores are those of the other {report['trials']}"))
    if offline and report["two_way"] is not None:
        points = 100 * (report["two_way"] - offline["two_way"])
        others = "; ".join(report["other_conditions"])
        rows.append(
            (
                "Offline score",
                f"two-way identification {report['two_way']:.1%} live, {offline['two_way']:.1%} on the bundle's "
                "held-out trials: "
                + (
                    f"other conditions ({others}), so this is no difference of live and offline"
                    if others
                    else f"{points:+.1f} points"
                ),
            )
        )
    return "<h2>Live and offline</h2>" + facts(rows)


def repeats_section(report: Mapping[str, Any]) -> str:
    """Return what was read of means of one trial, two, three …; nothing where a session averages no repeats."""
    if not report.get("by_repeats"):
        return ""
    k = report["pictures"]
    rows = [
        [
            f"{row['repeats']}",
            f"{row['trials']}",
            share(row["two_way"]),
            between(row["two_way_chance"]),
            share(row["n_way"]),
            between(row["n_way_chance"]),
        ]
        for row in report["by_repeats"]
    ]
    head = (
        "trials in the mean",
        "readings",
        "told from one other",
        "95 % of chance",
        f"picked out of {k}",
        "95 % of chance",
    )
    return (
        "<h2>Repeats, averaged as they came</h2>"
        + table(head, rows, range(1, 6))
        + '<p class="legend">Each trial was read as the mean of its picture\'s trials so far. The confidence is '
        "that of a decoder of single trials.</p>"
    )


def oracle_words(best: Mapping[str, Any], why: str, snr: float | None) -> str:
    """Say what the oracle was asked, or why there is none."""
    if not best:
        return f"No oracle: {why}."
    return (
        "The oracle knows the participant's own model and noise: the exact likelihood of each candidate. It was asked "
        "of the bundle's held-out trials, the same pictures in another session of the same participant, at "
        + ("the training's signal-to-noise ratio." if snr is None else f"this session's SNR, {snr:g}.")
    )


def volumes_section(session: RecordedSession) -> str:
    """Return how a session's run of volumes went, as `bci volumes quality` finds it; nothing of other signals."""
    run = session.run
    # What a session recorded is opened last: of one without a run of volumes nothing need be there.
    if run.reference is None or run.affine is None or not run.masks or len(session.signal().shape) != 3:
        return ""
    volumes = VolumeRun.in_session(session.folder)
    return "\n".join(run_sections(volumes.survey(), volumes.grid))


def latency_section(latency: Mapping[str, Any] | None) -> str:
    """Return where the time went, by stage."""
    if not latency:
        return "<h2>Latency</h2><p>The session left no reconstruction.</p>"
    rows = []
    for name, words in _STAGES.items():
        p = latency.get(name)
        if p and p.get("n"):
            figures = ["" if p.get(k) is None else f"{p[k]:.2f}" for k in ("p50", "p95", "p99")]
            rows.append([words, *figures, f"{p['n']}"])
    return (
        "<h2>Latency</h2>"
        + table(("milliseconds", "p50", "p95", "p99", "n"), rows, range(1, 5))
        + '<p class="legend">A flip is the time at which the buffer swap returned, not light. The wait for the '
        "answer itself, from a picture's flip to the newest sample of its epoch, is in none of these.</p>"
    )

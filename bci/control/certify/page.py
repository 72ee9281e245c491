"""The page shows a certificate as one self-contained HTML file, to be read, printed and filed."""

import math
from pathlib import Path
from typing import Any

from bci.control.certify.certificate import Certificate
from bci.control.certify.charts import latency_chart
from bci.control.certify.checks import Check, text_of
from bci.control.certify.html import allowed, sign
from bci.control.certify.page_faults import faults_section
from bci.io.files.page import document, escape, facts, header, inline, table
from bci.session.latency import STAGES


def render(certificate: Certificate) -> str:
    """Return the page."""
    name = certificate.rig.config.name
    parts = [
        _header(certificate),
        _verdict(certificate),
        _tested(certificate),
        faults_section(certificate),
        _latency(certificate),
        _limits(certificate),
        _screen(certificate),
        _clocks(certificate),
        _recording(certificate),
        _machine(certificate),
        _config(certificate),
        _footer(certificate),
    ]
    return document(f"Certificate: {name}", parts)


# -- the head of the page --------------------------------------------------------------------------------------


def _header(certificate: Certificate) -> str:
    made = f"{certificate.made:%d %B %Y, %H:%M} ({certificate.made.tzname()})"
    return header("Certificate of a brain–computer interface rig", certificate.rig.config.name, made)


def _verdict(certificate: Certificate) -> str:
    passed, checks, faults = certificate.passed, certificate.checks, certificate.faults
    kept = sum(check.passed for check in checks)
    sentences = [f"{kept} of {len(checks)} limits were kept."]
    if faults is None:
        sentences.append("No faults were made: what happens when a program dies was not tested.")
    else:
        good = sum(fault.passed for fault in faults)
        sentences.append(f"{good} of {len(faults)} faults were seen as they must be.")
    failed = [f"{c.what}: {c.figure_text} {allowed(c)}" for c in checks if not c.passed]
    failed += [
        f"{f.title}: {c.what}: {c.figure_text} {allowed(c)}"
        for f in faults or ()
        for c in f.checks
        if not c.passed
    ]
    listed = "".join(f"<li>{escape(words)}</li>" for words in failed)
    return (
        f'<section class="verdict {"passed" if passed else "failed"}">'
        f"<strong>{'Passed' if passed else 'Not passed'}</strong>"
        f"<p>{escape(' '.join(sentences))}</p>{f'<ul>{listed}</ul>' if listed else ''}</section>"
    )


def _tested(certificate: Certificate) -> str:
    rig, figures = certificate.rig, certificate.figures
    notice = (
        '<p class="notice">The brain signal was simulated. Nothing on this page is a measurement of a brain, or of how '
        "well one can be decoded.</p>"
        if rig.simulated
        else ""
    )
    signal = rig.bundle.signal
    rows = [
        ("Source", f"{rig.source}; {signal.shape[0]} channels decoded at {signal.rate:g} Hz"),
        ("Decoder", f"{rig.bundle.name}, {rig.config.decoder.provider}, hash {rig.bundle.hash}"),
        ("Display", _display(certificate)),
        ("Run", f"{figures.seconds:.0f} s without faults, {figures.summary['windows']} windows"),
    ]
    if figures.known:
        known = figures.known
        rows.append(
            (
                "Known answer",
                f"decoded as planted in {known['agreement']:.1%} of {known['n']} reconstructions "
                f"(always saying the commoner state: {known['baseline']:.1%})",
            )
        )
    if certificate.faults is not None:
        made = sum(math.isfinite(fault.injected_at) for fault in certificate.faults)
        rows.append(("Faults", f"{made} made, in sessions of their own, each after the rig had recovered"))
    notes = [*rig.notes, _onset(certificate)]
    if certificate.faults is not None:
        if rig.external:
            notes.append("The source is not ours: it was neither killed nor frozen.")
        if not certificate.freezing:
            notes.append(
                "This system knows no SIGSTOP: programs were frozen by suspending their threads instead."
            )
    paragraphs = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<h2>What was tested</h2>{notice}{facts(rows)}{paragraphs}"


def _display(certificate: Certificate) -> str:
    display = certificate.rig.config.display
    driver = certificate.figures.summary["programs"].get("display", {}).get("refresh_hz")
    measured = f", {driver:.2f} Hz measured" if driver else ""
    kind = (
        "a window, full screen"
        if display.kind == "window" and display.full_screen
        else ("a window" if display.kind == "window" else "headless: paced by the clock, no screen")
    )
    return f"{kind}, {display.refresh_hz:g} Hz{measured}"


# -- figures ---------------------------------------------------------------------------------------------------


def _limits(certificate: Certificate) -> str:
    rows = [
        (escape(check.what), escape(check.figure_text), escape(check.limit_text), sign(check.passed))
        for check in certificate.checks
        if not check.name.endswith("_p99_ms")
    ]
    return "<h2>Losses, flips, recording</h2>" + table(("", "measured", "limit", ""), rows, numbers=(1, 2))


def _latency(certificate: Certificate) -> str:
    latency, limits = certificate.figures.latency, {c.name: c for c in certificate.checks}
    stages, rows = [], []
    for name, words in STAGES.items():
        check = limits[f"{name}_p99_ms"]
        assert isinstance(check, Check)
        p = latency[name]
        stages.append((words, p, check.limit))
        figures = [f"{p[key]:.2f}" for key in ("p50", "p95", "p99", "max")]
        rows.append((escape(words), *figures, f"{check.limit:.1f}", f"{p['n']:.0f}", sign(check.passed)))
    chart = latency_chart(stages) if any(p["n"] for _, p, _ in stages) else ""
    return (
        "<h2>Where the time goes</h2>"
        f"<figure>{chart}<figcaption>Dot: median. Bar: to the 99th percentile. Line: to the longest. Red: limit of the "
        "99th percentile. A sample's time begins with its own stamp.</figcaption></figure>"
        + table(("milliseconds", "p50", "p95", "p99", "longest", "limit of p99", "n", ""), rows, range(1, 7))
    )


def _screen(certificate: Certificate) -> str:
    flips = certificate.figures.flips
    if not flips.get("n"):
        return "<h2>The screen</h2><p>No flip was recorded.</p>"
    period = 1e3 / certificate.rig.config.display.refresh_hz
    row = [f"{period:.2f}", *(f"{flips[key]:.2f}" for key in ("p50", "p95", "p99", "max"))]
    row += [f"{flips['flips']}", f"{flips['dropped']}"]
    head = ("expected", "p50", "p95", "p99", "longest", "flips", "refreshes without a flip")
    flipped = table(("milliseconds between flips", *head), [("", *row)], range(1, 8))
    return f"<h2>The screen</h2>{flipped}<p>{escape(_onset(certificate))}</p>{_pictures(certificate)}"


def _onset(certificate: Certificate) -> str:
    """Return the section on the onset of light."""
    onset = certificate.onset
    if not onset.reason:
        return f"True onset: {'; '.join(onset.sentences())}."
    return (
        f"True onset was not measured: {onset.reason}. A flip is the time at which the buffer swap returned; the "
        "monitor's own delay comes on top."
    )


def _pictures(certificate: Certificate) -> str:
    """Return the screen's pictures in the run without faults, where a headless display kept them."""
    sheet = certificate.figures.summary["programs"].get("display", {}).get("contact_sheet")
    if not sheet or not Path(sheet).is_file():
        return ""
    shown = inline(Path(sheet).read_bytes(), "What the screen showed")
    return (
        f"<figure>{shown}"
        "<figcaption>What the screen showed in the run without faults, at even times.</figcaption></figure>"
    )


def _clocks(certificate: Certificate) -> str:
    offsets = certificate.figures.offsets
    if not offsets:
        words = "The sender's clock was never compared with ours."
    else:
        values = [value for _, value in offsets]
        words = (
            f"The sender's clock was noted {len(offsets)} times over {offsets[-1][0]:.0f} s (a note is made where it "
            f"changes): it lay between {text_of(min(values), 'ms')} and {text_of(max(values), 'ms')} behind ours."
        )
        if not any(values):
            words = "The sender runs on this machine, on the same clock: its offset is zero."
    return f"<h2>Clocks</h2><p>{escape(words)}</p>"


# -- recording, machine, configuration ------------------------------------------------------------------------


def _recording(certificate: Certificate) -> str:
    verified, again = certificate.figures.verified, certificate.figures.reproduced
    if verified:
        first = (
            f"{verified['chunks']} chunks were checked against their checksums: {verified['damaged']} damaged; "
            f"{verified['samples']} samples and events, {verified['gaps']} gaps. "
            + ("The recording is closed and sound." if verified["sound"] else "The recording is not sound.")
        )
    else:
        first = "There is no recording."
    if "trouble" in again:
        second = f"The session could not be decoded again: {again['trouble']}"
    else:
        place = "the same environment" if again["same_environment"] else "another environment"
        second = (
            f"Decoded again from the recording, in {place}, {again['equal']} of {again['frames']} reconstructions are "
            f"equal to the bit; the largest difference of a latent is {again['max_difference']:.2g} of its size."
        )
    return f"<h2>Recording and reproduction</h2><p>{escape(first)}</p><p>{escape(second)}</p>"


def _machine(certificate: Certificate) -> str:
    machine = certificate.environment
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    rows = [
        ("Processor", f"{machine['processor'] or machine['machine']}, {machine['cores']} cores"),
        (
            "Load",
            f"{machine['load']:.1f} programs wanted a core in the run's last minute, those of the rig included",
        ),
        ("System", machine["platform"]),
        ("Python, liblsl", f"{machine['python']}, {machine['liblsl'] // 100}.{machine['liblsl'] % 100}"),
        ("Libraries", packages),
    ]
    return "<h2>The machine</h2>" + facts(rows)


def _config(certificate: Certificate) -> str:
    lines = _flat(certificate.rig.config.model_dump(mode="json"))
    return f"<h2>Configuration as used</h2><pre>{escape(chr(10).join(lines))}</pre>"


def _footer(certificate: Certificate) -> str:
    return (
        "<footer>The same figures for machines: certificate.json beside this page; every session that was run, with "
        f"its recording and log, below {escape(certificate.folder.name)}/sessions.</footer>"
    )


def _flat(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Return nested settings a line each."""
    lines: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{key}.")
        elif value is not None:
            lines.append(f"{prefix}{key} = {value}")
    return lines

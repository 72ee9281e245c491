"""The page's section on faults: what screen, recording and log showed when programs died."""

import math

from bci.control.certify.certificate import Certificate
from bci.control.certify.charts import fault_chart, fault_legend
from bci.control.certify.faults import FaultReport
from bci.control.certify.html import allowed, sign
from bci.io.files.page import escape

#: How much of the log stands below each fault.
_LINES, _LONGEST_LINE = 4, 112


def faults_section(certificate: Certificate) -> str:
    """Return the section: a chart of what the screen showed, and a row for each fault."""
    title = "<h2>What the participant sees when a program dies</h2>"
    reports = certificate.faults
    if reports is None:
        return (
            f"{title}<p>Not tested. <code>bci certify --faults</code> kills and freezes each program in turn and "
            "reports what the participant saw, what was recorded and what the operator was told.</p>"
        )
    head = (
        "",
        "made at",
        "neutral after",
        "limit",
        "found after",
        "started again",
        "decoding again",
        "picture back",
    )
    cells = "".join(f'<th class="n">{escape(name)}</th>' for name in head)
    rows = "".join(_fault_rows(report) for report in reports)
    chart = fault_chart(reports)
    figure = f"<figure>{chart}{fault_legend()}</figure>" if chart else ""
    return (
        f"{title}<p>Each program was killed, and frozen, while the rig was running and showing pictures. Times count "
        "from the fault; decoding again includes loading the program and settling its filters.</p>"
        f"{figure}<table><thead><tr>{cells}<th></th></tr></thead>{rows}</table>"
    )


def _fault_rows(report: FaultReport) -> str:
    moments = {what: time for time, what in report.moments}
    figures = [
        report.injected_at,
        _moment(moments, "neutral"),
        report.neutral_limit,
        _moment(moments, "found"),
        _moment(moments, "started again"),
        _moment(moments, "decoding again"),
        _moment(moments, "picture back"),
    ]
    cells = "".join(
        f'<td class="n">{"" if math.isnan(value) else escape(_seconds(value, i == 0))}</td>'
        for i, value in enumerate(figures)
    )
    wrong = [f"{c.what}: {c.figure_text} {allowed(c)}" for c in report.checks if not c.passed]
    more = [
        f"Participant: {escape(report.saw)}.",
        f"Recording: {escape(report.recorded)}.",
        *(f'<span class="bad">Not as it must be: {escape(words.strip())}.</span>' for words in wrong),
    ]
    log = "".join(f'<span class="log">{escape(_short(line))}</span>' for line in report.told[:_LINES])
    if len(report.told) > _LINES:
        log += f'<span class="log">… {len(report.told) - _LINES} more in log.txt</span>'
    return (
        f'<tbody class="fault"><tr><td>{escape(report.title)}</td>{cells}<td>{sign(report.passed)}</td></tr>'
        f'<tr class="more"><td colspan="9">{" ".join(more)}{log}</td></tr></tbody>'
    )


def _moment(moments: dict[str, float], begins: str) -> float:
    return next((time for what, time in moments.items() if what.startswith(begins)), math.nan)


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"


def _seconds(value: float, whole: bool) -> str:
    return f"{value:.0f} s" if whole else f"{value:.2f} s"

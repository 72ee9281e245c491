"""Charts of a certificate, as SVG inside the page: where the time goes, and what the screen showed after each fault."""

import math
from collections.abc import Mapping, Sequence

from bci.control.certify.faults import FaultReport
from bci.control.certify.seeing import BEFORE_S
from bci.io.files.page import escape

#: Width of every chart; the page scales it.
WIDTH = 760

#: What the screen showed: colour, and what it is called.
SCREEN: Mapping[str, tuple[str, str]] = {
    "picture": ("#4f9aa3", "decoded pictures"),
    "neutral": ("#c3c9cd", "neutral picture"),
    "still": ("#e0b765", "the last picture, standing still"),
    "nothing": ("url(#hatch)", "no picture of ours"),
}

_LEFT, _RIGHT, _ROW = 178, 26, 26
_HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#fff"/><rect width="2" height="6" fill="#8b959c"/></pattern></defs>'
)

#: The longest history that the chart of faults shows, seconds after the fault.
_LONGEST_S = 16.0


def latency_chart(stages: Sequence[tuple[str, Mapping[str, float], float]]) -> str:
    """Draw the percentiles of every stage on a logarithmic scale.

    Parameters
    ----------
    stages : sequence of (str, mapping, float)
        What it is called; its ``p50``, ``p95``, ``p99`` and ``max``, milliseconds; its limit.
    """
    values = [v for _, p, limit in stages for v in (*(p[k] for k in ("p50", "p99", "max")), limit) if v > 0]
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values)))
    height = _ROW * len(stages) + 34
    span = WIDTH - _LEFT - _RIGHT

    def x(value: float) -> float:
        return _LEFT + span * math.log10(max(value, low) / low) / math.log10(high / low)

    out = []
    decade = low
    while decade <= high * 1.001:
        out.append(_line(x(decade), 4, x(decade), height - 26, "grid"))
        out.append(_text(x(decade), height - 10, f"{decade:g} ms", "axis", "middle"))
        decade *= 10
    for i, (name, p, limit) in enumerate(stages):
        y = 4 + _ROW * (i + 0.5)
        weight = ' font-weight="600"' if i == len(stages) - 1 else ""
        out.append(_text(_LEFT - 12, y + 4, name, "label", "end", weight))
        if math.isfinite(p["p50"]):
            out.append(_line(x(p["p50"]), y, x(p["max"]), y, "reach"))
            out.append(
                f'<rect x="{x(p["p50"]):.1f}" y="{y - 4:.1f}" width="{max(1.0, x(p["p99"]) - x(p["p50"])):.1f}" '
                'height="8" rx="1" class="bar"/>'
            )
            out.append(f'<circle cx="{x(p["p50"]):.1f}" cy="{y:.1f}" r="5" class="median"/>')
            out.append(_line(x(p["max"]), y - 5, x(p["max"]), y + 5, "reach"))
        out.append(_line(x(limit), y - 9, x(limit), y + 9, "limit"))
    return _svg(height, "Latency of every stage", out)


def fault_chart(reports: Sequence[FaultReport]) -> str:
    """Draw what the screen showed around each fault, all on one scale of seconds after the fault."""
    drawn = [report for report in reports if report.strip]
    if not drawn:
        return ""
    end = min(_LONGEST_S, math.ceil(max(report.strip[-1].end for report in drawn)))
    height = _ROW * len(drawn) + 40
    span = WIDTH - _LEFT - _RIGHT

    def x(seconds: float) -> float:
        return _LEFT + span * (min(max(seconds, -BEFORE_S), end) + BEFORE_S) / (end + BEFORE_S)

    out = [_HATCH]
    for second in range(0, math.floor(end) + 1, 1 if end <= 12 else 2):
        out.append(_line(x(second), 4, x(second), height - 32, "grid"))
        out.append(_text(x(second), height - 16, f"{second}", "axis", "middle"))
    out.append(_text(x(end / 2), height - 2, "seconds after the fault", "axis", "middle"))
    for i, report in enumerate(drawn):
        y = 4 + _ROW * i
        out.append(_text(_LEFT - 12, y + 17, report.title, "label", "end"))
        for piece in report.strip:
            a, b = x(piece.start), x(piece.end)
            if b > a:
                colour = SCREEN[piece.what][0]
                out.append(
                    f'<rect x="{a:.1f}" y="{y + 6:.1f}" width="{b - a:.1f}" height="14" fill="{colour}">'
                    f"<title>{escape(SCREEN[piece.what][1])}</title></rect>"
                )
        if math.isfinite(report.neutral_limit):
            out.append(_line(x(report.neutral_limit), y + 2, x(report.neutral_limit), y + 24, "limit"))
    out.append(_line(x(0), 0, x(0), height - 32, "edge"))
    return _svg(height, "What the screen showed around each fault", out)


def fault_legend() -> str:
    """Return what the colours of the chart of faults mean, as HTML."""
    keys = [
        f'<span class="key"><svg width="22" height="12" aria-hidden="true">{_HATCH if name == "nothing" else ""}'
        f'<rect width="22" height="12" fill="{colour}"/></svg> {escape(words)}</span>'
        for name, (colour, words) in SCREEN.items()
    ]
    marks = [
        ("edge", "the fault"),
        ("limit", "neutral at the latest"),
    ]
    for kind, words in marks:
        line = _line(5, 0, 5, 14, kind)
        keys.append(
            f'<span class="key"><svg width="10" height="14" aria-hidden="true">{line}</svg> {words}</span>'
        )
    return f'<p class="legend">{"".join(keys)}</p>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{more}>{escape(text)}</text>'

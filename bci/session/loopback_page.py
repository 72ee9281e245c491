"""The report of a loopback: the figures, the line for the session file, and how single pulses are spread."""

import io
from pathlib import Path
from typing import Any

from bci.io.files.folder import write_json, write_whole
from bci.io.files.page import document, escape, facts, header, inline
from bci.session.loopback import Loopback

_INK, _BAR, _MEDIAN = "#1c1f24", "#2b6c75", "#c9762b"


def write_loopback(folder: Path, stream: str, channel: str, found: Loopback) -> dict[str, Any]:
    """Write ``loopback.json`` and ``loopback.html`` into a session's folder; return what the first holds.

    Raises
    ------
    DiskError
        If the disk does not take them.
    """
    result = {"stream": stream, "channel": channel, **found.result()}
    write_json(folder / "loopback.json", result)
    figures = result["latency_ms"]
    rows = [
        ("Stream, channel", f"{stream}, {channel}"),
        (
            "Pulses",
            f"{result['pulses']}, of which {result['found']} showed and {result['missed']} were missed",
        ),
        ("Other changes of the channel", str(result["others"])),
    ]
    if result["found"]:
        rows += [
            ("Latency, median", f"{figures['median']:.2f} ms"),
            ("5th to 95th percentile", f"{figures['p5']:.2f} to {figures['p95']:.2f} ms"),
            ("Standard deviation", f"{figures['spread']:.2f} ms"),
        ]
    rows.append(("For the session file", f"[stream] {found.line}" if found.line else found.reason))
    parts = [
        header("Loopback", folder.name, "Stamp of the sample minus time of the pulse that it shows"),
        facts(rows),
        *(
            [inline(_histogram(found), "How the latencies of single pulses are spread")]
            if result["found"]
            else []
        ),
        f"<p>{escape(' '.join(f'{sentence}.' for sentence in found.sentences()))}</p>",
    ]
    write_whole(folder / "loopback.html", document(f"Loopback: {folder.name}", parts).encode())
    return result


def _histogram(found: Loopback) -> bytes:
    """Return a picture, PNG, of how many pulses came how late."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.0), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(1e3 * found.latencies, bins=min(40, max(8, len(found.latencies) // 3)), color=_BAR)
    axes.axvline(1e3 * found.latency_s, color=_MEDIAN)
    axes.set_xlabel(f"latency, ms; the line is the median, {1e3 * found.latency_s:.2f} ms", color=_INK)
    axes.set_ylabel("pulses", color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    return drawn.getvalue()

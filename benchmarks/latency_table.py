"""The latency table of the README, from what `benchmarks.stream_latency` found."""

from collections.abc import Mapping
from typing import Any


def markdown(configs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table in Markdown: a row for each configuration, milliseconds as ``p50 (p99)``, medians over the rounds.

    Parameters
    ----------
    configs : mapping
        What `benchmarks.stream_latency.run_all` returns, or ``configs`` of its JSON line.

    Examples
    --------
    >>> def line(p50, p99):
    ...     each = {"p50_ms": p50, "p99_ms": p99, "cpu": p50}
    ...     ratios = {f"{name}_ratio": value / 0.5 for name, value in each.items()}
    ...     return {k: dict.fromkeys(("median", "low", "high"), v) for k, v in (each | ratios).items()}
    >>> feed = {"channels": 64, "rate": 1000, "chunk": 1}
    >>> print(markdown({"B": {"feed": feed, "contenders": {"floor": line(0.5, 0.5), "ours": line(0.6, 1.0)}}}))
    | p50 (p99), ms | floor | ours | ours ÷ floor: p50 · p99 | CPU ÷ floor: ours |
    |---|---|---|---|---|
    | 64 ch × 1 kHz, single samples | 0.50 (0.50) | 0.60 (1.00) | 1.20 (1.20–1.20) · 2.00 (2.00–2.00) | 1.20 |
    """
    names = list(next(iter(configs.values()))["contenders"])
    others = [name for name in names if name != "floor"]
    ratios = "floor" in names
    header = ["p50 (p99), ms", *names]
    if ratios and "ours" in names:
        header.append("ours ÷ floor: p50 · p99")
    if ratios and others:
        header.append(f"CPU ÷ floor: {' · '.join(others)}")
    rows = [header, []]
    for config in configs.values():
        lines = config["contenders"]
        row = [_feed(config["feed"]), *(_cuts(lines[name]) for name in names)]
        if ratios and "ours" in names:
            row.append(f"{_ranged(lines['ours']['p50_ms_ratio'])} · {_ranged(lines['ours']['p99_ms_ratio'])}")
        if ratios and others:
            row.append(" · ".join(f"{lines[name]['cpu_ratio']['median']:.2f}" for name in others))
        rows.append(row)
    text = ["| " + " | ".join(row) + " |" for row in rows]
    text[1] = "|" + "---|" * len(header)
    return "\n".join(text)


def _feed(feed: Mapping[str, Any]) -> str:
    """Return what is published, in words."""
    chunk, rate = feed["chunk"], feed["rate"]
    chunks = "single samples" if chunk == 1 else f"{1e3 * chunk / rate:g} ms chunks"
    return f"{feed['channels']} ch × {rate / 1e3:g} kHz, {chunks}"


def _cuts(line: Mapping[str, Any]) -> str:
    return f"{line['p50_ms']['median']:.2f} ({line['p99_ms']['median']:.2f})"


def _ranged(figure: Mapping[str, float]) -> str:
    return f"{figure['median']:.2f} ({figure['low']:.2f}–{figure['high']:.2f})"

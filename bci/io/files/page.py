"""A page is one self-contained HTML file, to be read, printed and filed: certificates and reports share its style."""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.signal.foreign import visible

_SERIF = 'Charter, "Bitstream Charter", "Sitka Text", Cambria, "DejaVu Serif", Georgia, serif'
_MONO = '"DejaVu Sans Mono", Consolas, Menlo, monospace'

STYLE = f"""
:root {{ --ink: #1f272d; --soft: #5d6870; --rule: #dde2e5; --good: #2c6b4f; --bad: #a3312a; --wash: #f6f7f6; }}
* {{ box-sizing: border-box; }}
html {{ background: #eceeed; }}
body {{ margin: 2rem auto; max-width: 60rem; padding: 3.2rem 3.6rem; background: #fff; color: var(--ink);
  font: 15px/1.55 {_SERIF}; }}
header p {{ margin: 0; color: var(--soft); }}
.kind {{ letter-spacing: .09em; text-transform: uppercase; font-size: 11.5px; }}
h1 {{ font-size: 2.1rem; font-weight: 500; margin: .25rem 0 .1rem; letter-spacing: -.01em; }}
h2 {{ font-size: 1.16rem; font-weight: 600; margin: 2.4rem 0 .55rem; padding-top: .9rem;
  border-top: 1px solid var(--rule); break-after: avoid; }}
p {{ margin: .45rem 0; }}
.verdict {{ margin: 1.7rem 0 1.2rem; padding: 1.05rem 1.4rem 1.1rem; border-left: 5px solid; background: var(--wash); }}
.verdict strong {{ display: block; font-size: 1.55rem; font-weight: 600; line-height: 1.3; }}
.verdict ul {{ margin: .4rem 0 0; padding-left: 1.1rem; font-size: 13.5px; }}
.passed {{ border-color: var(--good); }} .passed strong {{ color: var(--good); }}
.failed {{ border-color: var(--bad); }} .failed strong {{ color: var(--bad); }}
.notice {{ font-weight: 600; }}
dl {{ display: grid; grid-template-columns: 8.5rem 1fr; gap: .3rem 1.2rem; margin: .6rem 0; }}
dt {{ color: var(--soft); }} dd {{ margin: 0; overflow-wrap: anywhere; }}
table {{ border-collapse: collapse; width: 100%; margin: .7rem 0; font-size: 13.5px; line-height: 1.4;
  font-variant-numeric: tabular-nums lining-nums; }}
th {{ text-align: left; font-weight: 400; color: var(--soft); vertical-align: bottom; line-height: 1.25;
  border-bottom: 1px solid var(--ink); padding: .25rem .9rem .3rem 0; }}
td {{ padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }}
th.n, td.n {{ text-align: right; }} td.n {{ white-space: nowrap; }}
th:last-child, td:last-child {{ padding-right: 0; text-align: right; white-space: nowrap; }}
tr {{ break-inside: avoid; }}
tbody.fault {{ break-inside: avoid; }}
tbody.fault tr:first-child td {{ border-bottom: 0; padding-bottom: .1rem; white-space: nowrap; }}
tbody.fault .more td {{ color: var(--soft); font-size: 12.5px; padding: 0 0 .55rem 1.4rem; white-space: normal;
  text-align: left; }}
.log {{ font: 10.8px/1.45 {_MONO}; overflow-wrap: anywhere; display: block; padding-left: 1.2em; text-indent: -1.2em; }}
.good {{ color: var(--good); }} .bad {{ color: var(--bad); font-weight: 600; }}
figure {{ margin: .8rem 0; break-inside: avoid; }} figure > svg {{ width: 100%; height: auto; display: block; }}
figure img {{ display: block; width: 78%; margin: 1rem 0 .4rem; }}
figcaption, .legend {{ color: var(--soft); font-size: 13px; }}
.key {{ margin-right: 1.3rem; white-space: nowrap; display: inline-block; }} .key svg {{ vertical-align: -1px; }}
svg text {{ font: 12.5px {_SERIF}; fill: var(--ink); }}
svg .axis {{ fill: var(--soft); font-size: 11.5px; }}
.grid {{ stroke: #e6eaec; stroke-width: 1; }} .reach {{ stroke: #8fb9be; stroke-width: 1.6; }}
.bar {{ fill: #8fc0c5; }} .median {{ fill: #2b6c75; }}
.limit {{ stroke: #a3312a; stroke-width: 1.6; }} .edge {{ stroke: #1f272d; stroke-width: 1.4; }}
pre {{ font: 11px/1.5 {_MONO}; columns: 2; column-gap: 2rem; white-space: pre-wrap; overflow-wrap: anywhere;
  color: #37424a; margin: .6rem 0; }}
footer {{ margin-top: 2.4rem; padding-top: .8rem; border-top: 1px solid var(--rule); color: var(--soft);
  font-size: 12.5px; }}
@media print {{
  @page {{ size: A4; margin: 16mm 15mm; }}
  html {{ background: none; }} body {{ margin: 0; padding: 0; max-width: none; font-size: 10.2pt; }}
  table {{ font-size: 9pt; }} h2 {{ margin-top: 1.6rem; }}
  .verdict, rect, line, circle {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""


def escape(text: str) -> str:
    r"""Return text as it stands in a page: neither a tag, nor a command, nor turned around.

    >>> escape("<b>\u202e&\x1b")
    '&lt;b&gt;�&amp;�'
    """
    return html.escape(visible(text))


def document(title: str, parts: Iterable[str], style: str = "") -> str:
    """Return a whole page; `parts` are HTML, `style` is CSS beside that of every page."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}{style}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def header(kind: str, name: str, line: str) -> str:
    """Return the head of a page: its kind, the name of its subject, and a line below."""
    return f'<header><p class="kind">{escape(kind)}</p><h1>{escape(name)}</h1><p>{escape(line)}</p></header>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return a list of facts, name and value, a line each."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    return f"<dl>{items}</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int]) -> str:
    """Return a table; cells are HTML, those of the columns `numbers` right-aligned."""
    right = set(numbers)
    kinds = [' class="n"' if i in right else "" for i in range(len(head))]
    top = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def picture(pixels: NDArray[np.uint8], alt: str, css: str = "") -> str:
    """Return a picture embedded in the page: (height, width, 3) uint8."""
    return inline(png_bytes(pixels), alt, css)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture, (height, width, 3) uint8, as the content of a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return out.getvalue()


def inline(png: bytes, alt: str, css: str = "") -> str:
    """Return a PNG file as an image embedded in the page."""
    kind = f' class="{css}"' if css else ""
    return f'<img{kind} alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'

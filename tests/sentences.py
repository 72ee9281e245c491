"""Sentences: a page of Markdown taken apart into what it states, so that a test can ask of each what it rests on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: A sentence ends before a capital, a figure or the opening of something; an initial or "al." before a name ends none.
_END = re.compile(r"(?<=[.!?])(?<!\bal\.)(?<! [A-Z]\.)\**\s+(?=[A-Z*`\[(\d])")


@dataclass(frozen=True)
class Row:
    """A Row of a table: its cells, by the words over their columns."""

    cells: dict[str, str]


def blocks(page: str) -> Iterator[str | Row]:
    """Yield paragraphs, items of lists and rows of tables; no headings, code, pictures or comments."""
    page = re.sub(r"```.*?```|<!--.*?-->|!\[[^]]*\]\([^)]*\)", "", page, flags=re.S)
    head: list[str] = []
    held: list[str] = []
    for line in [*page.splitlines(), ""]:
        row = line.startswith("|")
        if held and (row or not line.strip() or re.match(r"[#-]|\d+\. ", line)):
            yield " ".join(" ".join(held).split())
            held = []
        if row:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not head:
                head = cells
            elif not set(line) <= set("|-: "):
                yield Row(dict(zip(head, cells, strict=True)))
            continue
        head = []
        if line.strip() and not line.startswith("#"):
            held.append(re.sub(r"^(- |\d+\. )", "", line))


def sentences(text: str) -> list[str]:
    """Return the sentences of a paragraph, without marks of emphasis and links.

    >>> sentences("**Bold.** Dado et al. (2022) says so; see [a page](a.md). `x` is 3.5 ms.")
    ['Bold.', 'Dado et al. (2022) says so; see a page.', '`x` is 3.5 ms.']
    """
    parts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", part) for part in _END.split(text)]
    return [plain for part in parts if (plain := part.replace("*", "").strip())]

"""Styles of a report's page, beside those of every page."""

STYLE = """
h3 { font-size: 14px; font-weight: 600; margin: .2rem 0 .3rem; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 1.2rem 2rem; align-items: start; }
.two figure { margin: .4rem 0; }
svg .head { fill: var(--soft); font-size: 11.5px; }
.legend { margin: .1rem 0 .4rem; font-size: 12px; }
.pairs { display: grid; gap: .3rem .35rem; margin: .2rem 0 1rem; align-items: center; break-inside: avoid; }
.pairs img, .strip img { width: 100%; margin: 0; display: block; border-radius: 2px; }
.pairs .side { color: var(--soft); font-size: 12.5px; line-height: 1.25; }
.pairs .note { color: var(--soft); font-size: 11.5px; text-align: center; font-variant-numeric: tabular-nums; }
.pairs .right { color: var(--good); }
.strip { display: grid; gap: .3rem; margin: .25rem 0 .2rem; align-items: center; }
.strip .side { color: var(--soft); font-size: 12.5px; }
.cards { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1.2rem 1.6rem; margin: .8rem 0; }
.cards .faces { display: flex; gap: .4rem; } .cards .faces img { width: 25%; margin: 0; border-radius: 2px; }
.cards svg { width: 100%; margin-top: .3rem; }
figure.wide img { width: 100%; margin: .3rem 0; }
.void { border-color: #8b7a3a; } .void strong { color: #6f6029; }
tr.first td { border-top: 1px solid var(--ink); }
td:last-child, th:last-child { white-space: normal; }
"""

"""The style of the page: few colours, each with one meaning, and a type that is read from two metres away."""

from bci.control.page.moment import Tone

#: Colour of each level: as the ground of a banner, and as a word or a line.
GROUND = {Tone.GOOD: "#2f7d5b", Tone.NOTE: "#b7791f", Tone.URGENT: "#b3261e", Tone.IDLE: "#56616d"}
INK = {Tone.GOOD: "#2f7d5b", Tone.NOTE: "#96600f", Tone.URGENT: "#b3261e", Tone.IDLE: "#3d4650"}

TRACE, MASKED, BAND, GRID, FAINT = "#1f4e79", "#b9c0c7", "#b3261e", "#e6e9ec", "#7b8794"

#: Curves of several kinds side by side, told apart by people who do not tell red from green (Okabe and Ito 2008).
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

_SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'

#: The page around everything.
PAGE = (
    """
{% block postamble %}
<style>
  html, body { margin: 0; background: #f4f6f8; }
  body { padding: 14px 18px; font-family: """
    + _SANS
    + """; }
</style>
{% endblock %}
"""
)

#: Every piece of text on it.
SHEET = f"""
:host {{ font-family: {_SANS}; color: #1f2933; font-size: 13px; }}
.bk-clearfix {{ display: block !important; width: 100%; }}
.banner {{ color: white; border-radius: 10px; padding: 16px 22px; display: flex; gap: 24px; align-items: center; }}
.banner h1 {{ margin: 0; font-size: 30px; font-weight: 650; letter-spacing: .2px; }}
.banner p {{ margin: 4px 0 0; font-size: 14px; opacity: .93; max-width: 90ch; }}
.banner .right {{ margin-left: auto; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }}
.banner .clock {{ font-size: 24px; font-weight: 600; }}
.bar {{ height: 6px; width: 220px; background: rgba(255,255,255,.3); border-radius: 3px; margin-top: 7px; }}
.bar i {{ display: block; height: 6px; background: white; border-radius: 3px; }}
.card {{ background: white; border-radius: 10px; padding: 12px 16px; box-sizing: border-box; }}
.card h2 {{ margin: 0 0 8px; font-size: 12px; font-weight: 600; text-transform: uppercase; letter-spacing: .6px;
  color: {FAINT}; }}
.pictures {{ display: flex; flex-wrap: wrap; gap: 14px; }}
.pictures figure {{ margin: 0; width: 138px; }}
.pictures img, .pictures .none {{ width: 138px; height: 138px; border-radius: 6px; background: #e6e9ec;
  object-fit: contain; image-rendering: pixelated; display: block; }}
.pictures figcaption b {{ display: block; margin-top: 6px; }}
.pairs img {{ max-width: 100%; display: block; }}
table {{ border-collapse: collapse; width: 100%; max-width: 460px; font-variant-numeric: tabular-nums; }}
td {{ padding: 2px 0; vertical-align: top; }}
td.number {{ text-align: right; font-weight: 600; }}
.dot {{ display: inline-block; width: 8px; height: 8px; border-radius: 4px; margin-right: 8px; }}
.alarm {{ border-left: 4px solid; padding: 4px 0 4px 10px; margin-bottom: 8px; }}
.log {{ font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 11.5px; white-space: pre-wrap;
  overflow-wrap: anywhere; height: 210px; overflow-y: auto; display: flex; flex-direction: column-reverse; }}
.faint {{ color: {FAINT}; }}
"""

"""Markup is a PageMoment as HTML; every word that comes from outside is escaped, so that no stream's name is a tag."""

import base64
import io
import math
from collections.abc import Iterable, Sequence

from PIL import Image

from bci.control.page.moment import Counter, Node, PageMoment, PagePicture, Progress, Tone
from bci.control.page.style import FAINT, GROUND, INK
from bci.io.files.page import escape, inline
from bci.memory.alarms import Alarm


def clock_face(seconds: float) -> str:
    """Return seconds as a clock shows them; a dash where they are not known.

    >>> clock_face(75.0), clock_face(3725.0), clock_face(float("nan"))
    ('1:15', '1:02:05', '–')
    """
    if not math.isfinite(seconds):
        return "–"
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def plain(words: str) -> str:
    """Return words so that they stand on a page as they are.

    >>> plain("<b>amp</b>")
    '&lt;b&gt;amp&lt;/b&gt;'
    """
    return escape(words)


def banner(moment: PageMoment) -> str:
    """Return the banner: how the session is, how long it has run, how far its experiment is."""
    of = f" of {clock_face(moment.lasts)}" if math.isfinite(moment.lasts) else ""
    share = min(1.0, moment.elapsed / moment.lasts) if of and math.isfinite(moment.elapsed) else math.nan
    right = f'<div class="clock">{clock_face(moment.elapsed)}{of}</div>'
    if moment.progress is not None:
        words, share_of_trials = _progress(moment.progress)
        right += f"<div>{plain(words)}</div>"
        share = share_of_trials if math.isfinite(share_of_trials) else share
    if math.isfinite(share):
        right += f'<div class="bar"><i style="width:{100 * share:.1f}%"></i></div>'
    sentence = f"<p>{plain(moment.banner.sentence)}</p>" if moment.banner.sentence else ""
    return (
        f'<div class="banner" role="status" style="background:{GROUND[moment.banner.level]}"><div>'
        f"<h1>{plain(moment.banner.title)}</h1>{sentence}</div>"
        f'<div class="right"><div>{plain(moment.name)}</div>{right}</div></div>'
    )


def _progress(progress: Progress) -> tuple[str, float]:
    """Return how far an experiment is in words, and as a share."""
    aborted = f", {progress.aborted} aborted" if progress.aborted else ""
    if progress.planned:
        words = f"{progress.done} of {progress.planned} trials{aborted} · {progress.words}"
        return words, min(1.0, progress.done / progress.planned)
    return f"{progress.done} trials{aborted} · {progress.words}", math.nan


def pictures(shown: Sequence[PagePicture]) -> str:
    """Return what is on the screen beside what was read."""
    figures = "".join(
        f"<figure>{_image(picture)}<figcaption><b>{plain(picture.title)}</b>"
        f'<span style="color:{INK[picture.level]}">{plain(picture.words)}</span></figcaption></figure>'
        for picture in shown
    )
    return f'<div class="pictures">{figures or _nothing("no picture yet")}</div>'


def _image(picture: PagePicture) -> str:
    if picture.image is None:
        return '<div class="none"></div>'
    file = io.BytesIO()
    Image.fromarray(picture.image).save(file, format="PNG", compress_level=1)
    return inline(file.getvalue(), picture.title)


def pairs(jpeg: bytes, *, over: bool) -> str:
    """Return the newest trials, each stimulus above what was read of it; empty where there are none."""
    if not jpeg:
        return ""
    title = "Trials, at the end of the session" if over else "Trials"
    source = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return _card(title, f'<div class="pairs"><img alt="seen above, read below" src="{source}"></div>')


def _nothing(words: str) -> str:
    return f'<span class="faint">{words}</span>'


def alarms(given: Sequence[Alarm]) -> str:
    """Return what is wrong now: what happened, what the participant sees, what to do."""
    rows = "".join(
        f'<div class="alarm" style="border-color:{INK[_level(alarm)]}"><b style="color:{INK[_level(alarm)]}">'
        f"{plain(alarm.line)}</b><br>{plain(alarm.what)} {plain(alarm.do)}</div>"
        for alarm in given
    )
    return _card("Alarms", rows or _nothing("none"))


def _level(alarm: Alarm) -> Tone:
    return Tone.URGENT if alarm.urgent else Tone.NOTE


def counters(given: Iterable[Counter]) -> str:
    """Return the numbers."""
    rows = "".join(
        f'<tr><td>{plain(one.label)}</td><td class="number" style="color:{INK[one.level]}">{plain(one.value)}</td></tr>'
        for one in given
    )
    return _card("Counters", f"<table>{rows}</table>" if rows else _nothing("none yet"))


def nodes(given: Iterable[Node]) -> str:
    """Return the programs."""
    rows = "".join(
        f'<tr><td><span class="dot" style="background:{GROUND[one.level]}"></span>{plain(one.name)}</td>'
        f'<td style="color:{INK[one.level] if one.level is not Tone.GOOD else FAINT}">{plain(one.words)}</td></tr>'
        for one in given
    )
    return _card("Programs", f"<table>{rows}</table>" if rows else _nothing("none yet"))


def log(lines: Sequence[str]) -> str:
    """Return the newest lines of the log, the newest in sight."""
    body = "\n".join(map(plain, lines)) or _nothing("nothing yet")
    return _card("Log", f'<div class="log"><div>{body}</div></div>')


def _card(title: str, body: str) -> str:
    return f'<div class="card"><h2>{title}</h2>{body}</div>'

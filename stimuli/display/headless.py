"""The headless display: the window's twin without a screen, which leaves pictures of its run on disk.

It runs the same flip loop on the same canvas, paced by the session clock at the stated refresh rate. When told
to stop it writes ``contact_sheet.png`` and ``frames/N.png`` into the session's folder, N counting the changes
of picture as the shown ring does; each is the whole screen, pixel by pixel.
"""

import io
import math
from pathlib import Path

from PIL import Image

from bci.io.files.folder import write_whole
from bci.memory.program import Program
from bci.signal.clock import Clock
from bci.signal.types import Shown
from stimuli.display.album import Album, Page
from stimuli.display.canvas import Canvas
from stimuli.display.contact_sheet import Tile, draw_contact_sheet
from stimuli.display.flip_loop import FlipLoop, open_markers, open_pictures
from stimuli.display.pacer import Pacer
from stimuli.display.settings import DisplaySpec
from stimuli.operator.pair_sheet import draw_pairs


class HeadlessDisplay:
    """A screen that is not there: flips are times on the session clock.

    Parameters
    ----------
    spec : DisplaySpec
        Size and refresh rate.
    clock : Clock
        What paces it.
    """

    driver = "headless"

    def __init__(self, spec: DisplaySpec, clock: Clock) -> None:
        self.size = spec.size_px
        self.pixels_per_cm = spec.size_px[0] / spec.screen_width_cm
        self.refresh_hz = spec.refresh_hz
        self._clock = clock
        self._pacer = Pacer(clock, spec.refresh_hz)

    def wait(self) -> None:
        """Return at the next refresh."""
        self._pacer.wait()

    def show(self, canvas: Canvas, changed: bool) -> float:
        """Return the session time at which a screen would have swapped buffers: now."""
        return self._clock.now()

    def pressed(self) -> tuple[str, ...]:
        """Return nothing: there are no keys to press."""
        return ()

    def closed(self) -> bool:
        """Return False: there is nothing to close."""
        return False


def main(program: Program) -> None:
    """Show without a screen until told to stop, then write the pictures."""
    spec = DisplaySpec.of(program.spec)
    pictures = open_pictures(program, spec)
    album = Album(pictures, spec.refresh_hz, changes=spec.max_png, looks=spec.contact_sheet)
    with open_markers(spec) as markers:
        loop = FlipLoop(program, spec, pictures, HeadlessDisplay(spec, program.clock), album, markers)
        loop.run()
    if spec.contact_sheet:
        path = write_contact_sheet(program.folder / "contact_sheet.png", spec, album, loop)
        program.report(contact_sheet=str(path))
    if spec.max_png:
        program.report(frames_png=write_frames(program, loop.canvas, album))


def write_contact_sheet(path: Path, spec: DisplaySpec, album: Album, loop: FlipLoop) -> Path:
    """Write the contact sheet of a run; return its path.

    Of an experiment it shows trials, seen above and read below; of anything else the screen at even intervals.
    """
    facts = loop.summary()
    flips = f"{facts['flips']} flips at {spec.refresh_hz:g} Hz, {facts['dropped_flips']} dropped"
    title = spec.caption or "What the screen showed"
    pairs = [] if album.trials is None else album.trials.pairs(spec.contact_sheet)
    if album.trials is not None and pairs:
        there_were = album.trials.trials
        some = f"{len(pairs)} of {there_were}, evenly over the run"
        of = f"all {there_were}" if len(pairs) == there_were else some
        return save_whole(
            draw_pairs(pairs, title, f"single trials, {of}   ·   {flips}", read=loop.decoded), path
        )
    subtitle = (
        f"{flips}   ·   {facts['shown_frames']} pictures shown   ·   "
        f"neutral for {facts['neutral_seconds']:.1f} s"
    )
    tiles = [_tile(page, album.start) for page in album.looks(spec.contact_sheet)]
    sheet = draw_contact_sheet(
        tiles,
        title=title,
        subtitle=subtitle,
        background=spec.background,
        fixation=spec.fixation,
    )
    return save_whole(sheet, path)


def save_whole(sheet: Image.Image, path: Path) -> Path:
    """Write a picture whole or not at all, and return its path.

    Raises
    ------
    DiskError
        If the disk does not take it.
    """
    held = io.BytesIO()
    sheet.save(held, format="PNG")
    write_whole(path, held.getvalue())
    return path


def write_frames(program: Program, canvas: Canvas, album: Album) -> int:
    """Write the first changes of picture, each as the whole screen; return how many."""
    folder = program.folder / "frames"
    folder.mkdir(exist_ok=True)
    for page in album.changes:
        program.tick()  # the run is over, but the supervisor must not take this program for hung
        pictured = page.choice.kind in (Shown.FRAME, Shown.STIMULUS, Shown.UPDATE)
        canvas.draw(
            page.image if pictured else None,
            white=page.white,
            text=page.choice.text,
            phosphenes=album.as_phosphenes(page),
        )
        Image.fromarray(canvas.pixels).save(folder / f"{page.number:06d}.png", compress_level=1)
    return len(album.changes)


def _tile(page: Page, start: float) -> Tile:
    seconds = 0.0 if math.isnan(start) else page.time - start
    if page.choice.kind is Shown.FRAME:
        return Tile(seconds, page.image, page.latent, page.confidence)
    if page.choice.kind in (Shown.STIMULUS, Shown.UPDATE):
        return Tile(seconds, page.image, page.latent[:0], reason=f"stimulus {page.choice.reason}")
    title = "fixation" if page.choice.kind is Shown.FIXATION else "neutral picture"
    return Tile(seconds, None, page.latent[:0], reason=page.choice.reason, title=title)

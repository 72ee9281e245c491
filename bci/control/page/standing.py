"""A standing page is one that was not started by its session: `bci page`, beside a running one or of a finished one."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from bci.config.page import PageSettings
from bci.control.directory import Directory
from bci.control.page.facts import FactsReader
from bci.control.page.live import LiveModel
from bci.control.page.model import PageModel
from bci.control.page.recorded import RecordedModel
from bci.control.page.sending import CommandSender
from bci.control.page.server import PageServer
from bci.control.snapshot import SessionSnapshot
from bci.memory.lsl_clock import LslClock
from bci.session.recorded import RecordedSession

#: Seconds between two looks while no browser is open.
_LOOK_EVERY = 0.5


def serve(
    folder: Path, settings: PageSettings, *, page: bool, on_ready: Callable[[str], object] = lambda url: None
) -> None:
    """Serve the page of a session until Ctrl-C.

    Parameters
    ----------
    folder : Path
        The session's.
    settings : PageSettings
        Where, and to whom.
    page : bool
        Whether the page itself is served, or ``/metrics`` alone.
    on_ready : callable
        Told where, once it is served.

    Raises
    ------
    BciError
        If it cannot be served, or the folder holds no session.
    """
    if hasattr(os, "nice"):
        os.nice(5)
    asyncio.run(_serve(folder, settings, page, on_ready))


async def _serve(folder: Path, settings: PageSettings, page: bool, on_ready: Callable[[str], object]) -> None:
    sender, clock = CommandSender(folder), LslClock()
    live: LiveModel | None = None
    if Directory.read(folder) is not None:
        live = LiveModel(folder, clock, settings.seconds, sender.why_not, FactsReader(folder))
        live.look()
        if live.over or live.snapshot is None:  # its supervisor was killed: what it left is a recording
            live.close()
            live = None
    if live is None:
        RecordedSession.read(folder)

    def model() -> PageModel:
        """Return a page's own model of a finished session, or the one of a session that runs."""
        if live is not None and not live.over:
            return live
        return RecordedModel(RecordedSession.read(folder), settings.seconds)

    def newest() -> SessionSnapshot | None:
        return None if live is None else live.snapshot

    server = PageServer(
        settings,
        folder.resolve().name,
        model,
        newest,
        send=sender.send if live is not None else None,
        page=page,
    )
    on_ready(server.url)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows: Ctrl-C ends it as an exception
            break
    while not ended.is_set():
        if live is not None:
            live.look()
        try:
            await asyncio.wait_for(ended.wait(), _LOOK_EVERY)
        except TimeoutError:
            continue
    server.stop()
    if live is not None:
        live.close()

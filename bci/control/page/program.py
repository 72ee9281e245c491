"""The page's program shows the operator, in a browser, how the session stands, and takes commands for it.

It stands beside the line: it has no reader's slot, maps what it looks at read-only, and runs at a low priority. It may
die, hang or never be opened without the line noticing.
"""

import asyncio
import os

from bci.config.page import PageSettings
from bci.control.page.facts import FactsReader
from bci.control.page.live import LiveModel
from bci.control.page.sending import CommandSender
from bci.control.page.server import PageServer
from bci.io.files.folder import write_json
from bci.memory.program import Program

#: Where the page is, for people and programs that look for it in the session's folder.
FILE = "page.json"

#: Seconds between two looks, for averages to miss no event while no browser is open, and between two heartbeats.
_LOOK_EVERY, _TICK = 0.5, 0.05

#: Seconds for which the end of the session stays to be seen.
_FAREWELL_S = 0.6

#: How much nicer than the line's programs it is.
_NICE = 10


def main(program: Program) -> None:
    """Serve until told to stop.

    Spec: ``[page]`` of the session file, its port chosen.

    Raises
    ------
    BciError
        If it cannot listen, or a file of its settings cannot be used.
    """
    if hasattr(os, "nice"):
        os.nice(_NICE)
    asyncio.run(_serve(program))


async def _serve(program: Program) -> None:
    settings = PageSettings.model_validate(program.spec)
    sender = CommandSender(program.folder)
    facts = FactsReader(program.folder)
    model = LiveModel(program.folder, program.clock, settings.seconds, sender.why_not, facts)
    server = PageServer(
        settings,
        program.folder.name,
        lambda: model,
        lambda: model.snapshot,
        send=sender.send,
        # A page is drawn in one piece; its heart beats between the parts.
        beat=program.tick,
    )
    write_json(program.folder / FILE, {"url": server.url})
    program.ready(url=server.url)
    program.log.info("the page is at %s", server.url)
    due = -1.0
    while program.tick():
        now = program.clock.now()
        if now >= due:
            model.look()
            due = now + _LOOK_EVERY
        row = program.row
        row["open"], row["updates"], row["rejected"] = server.open_pages, server.updates, server.rejected
        await asyncio.sleep(_TICK)
    await asyncio.sleep(_FAREWELL_S if server.open_pages else 0.0)
    server.stop()
    program.row["open"] = 0
    program.report(url=server.url, updates=server.updates, rejected=server.rejected)

"""A CommandSender gives the commands of the page's buttons to the session's control plane, as `bci control` does."""

import asyncio
from pathlib import Path
from typing import Any

from bci.control.mqtt.commands import CommandVerdict, make_command
from bci.control.mqtt.wall_clock import wall_clock
from bci.errors import BciError

#: For how long a command is valid, and how much longer its answer may take, seconds.
_EXPIRES_S, _PATIENCE_S = 5.0, 3.0


class CommandSender:
    """Sends commands to one session.

    Parameters
    ----------
    folder : Path
        The session's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def why_not(self) -> str:
        """Return why the session cannot be commanded; empty where it can."""
        return (
            ""
            if (self._folder / "control.json").is_file()
            else "the session has no control plane; start it with --control"
        )

    async def send(self, kind: str, **values: Any) -> str:
        """Send one command to the session; return what became of it, in words."""
        # Needs the extra `broker`, without which a session has no control plane either.
        from bci.control.mqtt.asking import ask_in_loop, broker_of

        try:
            # Files are read in a thread, for a disk may hang where the page must not.
            address, session = await asyncio.to_thread(broker_of, self._folder)
            command = make_command(kind, issued=wall_clock(), expires_s=_EXPIRES_S, **values)
            answer = await ask_in_loop(address, session, "session", command, _EXPIRES_S + _PATIENCE_S)
        except BciError as error:
            return f"{kind}: {error}"
        done = answer.verdict is CommandVerdict.DONE
        return f"{kind}: {answer.verdict}" + ("" if done else f". {answer.detail}")

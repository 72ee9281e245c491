"""Foreign lines are what libraries print by themselves, past Python: liblsl's log would tear a table or the live line.

They are held back for as long as a command runs. What is no line of liblsl's log is shown at the end where the command
failed, since it may say why; programs of a session keep all of theirs in its ``log.txt``.
"""

import faulthandler
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bci.io.files.scratch import scratch_file

#: How a line of liblsl's log begins: date, time, uptime, thread; and lines that say nothing to an experimenter.
_NOISE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \(|error: XDG_RUNTIME_DIR|\s*$")

#: Most bytes of them that are shown.
_SHOWN = 4096


@contextmanager
def held_back() -> Iterator[None]:
    """Hold back what is written to the descriptor of standard error by others than `sys.stderr`.

    Where standard error is no stream of this process' own, as in tests, nothing is done.
    """
    if not _is_own(sys.stderr):
        yield
        return
    before = sys.stderr
    terminal = os.dup(2)
    # Not closed at the end: what is printed while the interpreter ends still reaches the terminal.
    sys.stderr = io.TextIOWrapper(
        io.FileIO(terminal, "w", closefd=False),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=True,
        write_through=True,
    )
    faulthandler.enable(terminal)
    with scratch_file() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        except SystemExit as ended:
            failed = ended.code not in (None, 0, 130)
            raise
        except KeyboardInterrupt:
            failed = False
            raise
        finally:
            os.dup2(terminal, 2)
            if failed:
                _show(held.fileno())


def _is_own(stream: object) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == 2
    except (OSError, ValueError):
        return False


def _show(held: int) -> None:
    length = os.lseek(held, 0, os.SEEK_END)
    os.lseek(held, max(0, length - _SHOWN), os.SEEK_SET)
    text = os.read(held, _SHOWN).decode(errors="replace")
    for line in text.splitlines():
        if not _NOISE.match(line):
            sys.stderr.write(line + "\n")

"""The `bci` command.

Exit status: 0 done, 2 bad usage or bad input, 3 the run ended in the safe state, or without what it was for, or a
check failed, 4 done, but something failed on the way and came back, 130 stopped by Ctrl-C before there was a session.
With ``--json`` the last line of standard output is one JSON object; everything for people then goes to standard error.
"""

import errno
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bci.cli.interrupts import Interrupts

#: Status of a command that Ctrl-C ended: 128 and the signal's number, as shells have it.
INTERRUPTED = 130


def main() -> None:
    """Run the command; an expected failure is one message and status 2, not a traceback, and so is Ctrl-C."""
    # A first import takes a second, and Ctrl-C may come at any moment of it.
    try:
        from bci.cli.foreign_lines import held_back
        from bci.cli.interrupts import redelivered
        from bci.cli.pane import write_plainer

        write_plainer()
        with redelivered() as interrupts, held_back():
            _run(interrupts)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run(interrupts: "Interrupts") -> None:
    from bci.cli.app import app
    from bci.cli.output import current, use
    from bci.errors import BciError, ConfigError, DiskError

    use(as_json=False)
    try:
        app()
    except BciError as error:
        interrupts.end()  # what failed after one was dropped failed because of it
        current().fail(error)
        sys.exit(2)
    except OSError as error:
        if error.errno in DiskError.NUMBERS:
            current().fail(DiskError.of(error.filename or "what this command writes", error))
        elif isinstance(error, PermissionError) and error.filename:
            current().fail(
                ConfigError(
                    f"{error.filename} may not be read or written: {error.strerror}. Change its permissions, or "
                    "work on a copy elsewhere."
                )
            )
        elif error.errno == errno.ENAMETOOLONG:
            current().fail(
                ConfigError(f"expected names that a file system can have, came a longer one: {error}")
            )
        else:
            raise
        sys.exit(2)
    except SystemExit as ended:
        if (trouble := current().trouble) and not ended.code:
            sys.stderr.write(f"bci: what was to be printed is lost: {trouble}\n")
            sys.exit(2)
        raise

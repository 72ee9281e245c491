"""The `bci` command.

Exit status: 0 done, 2 bad usage or bad input, 3 the run ended in the safe state or a check failed, 4 done, but a
program died on the way and was started again. With ``--json`` the last
line of standard output is one JSON object; everything for people then goes to standard error.
"""

import sys

import typer

from bci.cli import calibrate, certify, quality, run
from bci.cli import inspect as look
from bci.cli import recordings as keep
from bci.cli import replay as play
from bci.cli import training as learn
from bci.cli.output import Output, current
from bci.errors import BciError

app = typer.Typer(
    name="bci",
    help="From a brain signal to a picture on the screen: live, measured, and the same offline.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
for module in (run, play, keep, certify, look, quality, learn, calibrate):
    module.register(app)


def main() -> None:
    """Run the command; an expected failure is one message and status 2, not a traceback."""
    try:
        app()
    except BciError as error:
        output: Output = current()
        output.fail(error)
        sys.exit(2)

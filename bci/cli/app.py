"""The `app` is every command of `bci` by its name."""

import typer

from bci.cli import (
    calibrate,
    certify,
    comparing,
    control,
    data,
    device,
    generators,
    new,
    page,
    quality,
    run,
    searchlight,
    sim,
    synthesise,
    volumes,
)
from bci.cli import inspect as look
from bci.cli import recordings as keep
from bci.cli import replay as play
from bci.cli import training as learn

app = typer.Typer(
    name="bci",
    help="From a brain signal to a picture on the screen: live, measured, and the same offline.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
for module in (
    new,
    run,
    control,
    page,
    volumes,
    play,
    keep,
    certify,
    look,
    quality,
    data,
    device,
    learn,
    comparing,
    calibrate,
    generators,
    searchlight,
    sim,
    synthesise,
):
    module.register(app)

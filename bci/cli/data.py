"""`bci data`: what the recordings of a training file hold, before anything is trained on them."""

from pathlib import Path
from typing import Annotated

import typer

from bci.cli.given import find_given
from bci.cli.needing import needing
from bci.cli.output import use
from bci.cli.run import Json
from bci.cli.training import DataRoot
from bci.errors import ConfigError
from bci.io.files.folder import plain
from bci.io.files.kinds import TRAINING_FILE


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(data)


def data(
    config: Annotated[Path, typer.Argument(help="Training file (TOML) that names recordings.")],
    data: DataRoot = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for index.html with a picture of the responses, and report.json."),
    ] = None,
    json: Json = False,
) -> None:
    """Say what the recordings of a training file hold: trials by class and recording, what is left out, and why.

    The recordings are opened and cut as training does it, with its pipeline and its folds; nothing is fitted. With
    --out, a page shows the mean response of each class, or the course of the number that is to be read.
    """
    output = use(json)
    from models.systems.registry import system_of_file

    config = find_given(config, "bci data", TRAINING_FILE)
    system = system_of_file(config)
    if system.find_data is None:
        raise ConfigError(
            f"{config} describes {system.about}: expected a training file whose recordings can be looked at without "
            "training (kind 'events' or 'numbers', 'pictures', 'rhythm', 'hyper-release'). `bci check` says whether "
            "this one can be trained."
        )
    with needing(system.extra, "looking at training data"):
        found = system.find_data(config, data_root=data)
    output.table("Found", found.columns, found.rows)
    left = ", ".join(f"{n} {why}" for why, n in sorted(found.left_out.items())) or "nothing"
    said = [*([found.repeats] if found.repeats else []), f"left out: {left}", *found.defects]
    for words in said:
        output.say(words)
    result = {
        "columns": found.columns, "rows": found.rows, "left_out": dict(found.left_out), "defects": found.defects,
        "repeats": found.repeats,
    }  # fmt: skip
    if out is not None:
        from bci.io.files.page import escape, header
        from models.reports.writing import write_report

        lines = "".join(f"<p>{escape(words)}</p>" for words in said)
        parts = [header("What a training file's recordings hold", config.stem, ""), found.figure, lines]
        page = write_report(out, f"Data: {config.stem}", parts, plain(result))
        output.say(f"page: {page}")
        result["page"] = str(page)
    output.result(plain(result))

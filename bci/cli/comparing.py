"""`bci compare`: readouts on one set of trials, or all systems on several, resumable, on cores or on a cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bci.cli.given import find_given
from bci.cli.needing import needing
from bci.cli.output import Output, use
from bci.cli.run import Json
from bci.cli.training import DataRoot
from bci.cli.units import Cluster, Jobs, where_units_run
from bci.errors import ConfigError
from bci.io.files.kinds import COMPARISON_FILE

#: The kind of a file that compares systems, and the one that is shipped.
SYSTEMS, _SHIPPED = "comparison-of-systems", Path("systems-compare")

Step = Callable[[float, str], None]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(compare)


def compare(
    config: Annotated[
        Path | None, typer.Argument(help="Comparison file (TOML); configs/ holds an example of each kind.")
    ] = None,
    systems: Annotated[
        bool,
        typer.Option(
            "--systems", help="Compare all systems; without a file, as configs/systems-compare.toml says."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the table and its units; else runs/<name of the file>.")
    ] = None,
    data: DataRoot = None,
    jobs: Jobs = 1,
    cluster: Cluster = None,
    json: Json = False,
) -> None:
    """Set readouts side by side: one data set, folds by run, one set of metrics, baselines and the oracle.

    Everything is fitted inside the fold, and no picture is in two folds. With --systems, or a file of kind
    comparison-of-systems: every system's readers learn from the same trials and draw what they read of others, with
    pictures side by side, chance, ceiling and oracle.

    Every unit (a readout or reader on a fold, some exchanges or resamples) is kept in a file of its own as soon as it
    is there: a run that was killed goes on with what is missing, and a worker that is killed costs what it had in hand.
    Workers of a cluster run what they are sent: use one that you trust. Needs the `train` extra, a cluster the
    `cluster` extra too.
    """
    output = use(json)
    given = where_units_run("bci compare", jobs, cluster)
    if config is None and not systems:
        raise ConfigError(
            "expected a comparison file, or --systems, came neither. `bci compare --help` says more."
        )
    config = find_given(config or _SHIPPED, "bci compare", COMPARISON_FILE)
    from bci.config.toml import read_toml  # it imports pydantic, for which --help does not wait

    of_systems = read_toml(config, "comparison").get("kind") == SYSTEMS
    if systems and not of_systems:
        raise ConfigError(
            f"--systems: expected a comparison file of kind {SYSTEMS!r}, came {config}, which compares readouts."
        )
    out = out or Path("runs") / config.stem
    with needing("train", "comparing"):
        work = _systems if of_systems else _readouts
        report = work(config, out, data, given, output)
    output.say(f"report written: {report['page']}")
    output.result(report)


def _readouts(
    config: Path, out: Path, data: Path | None, given: dict[str, Any], output: Output
) -> dict[str, Any]:
    from models.comparison.compare import compare as compare_readouts
    from models.comparison.page import metric, ranking

    report = _stepping(output, lambda step: compare_readouts(config, out, progress=step, **given))
    rows = [
        (
            name,
            *(
                f"{metric(found['rows'], column)['score']:.3f}"
                for column in ("cosine", "R²", "2-way identification", "-way")
            ),
            f"{found['seconds']:.1f} s",
        )
        for name, found in ranking(report)
    ]
    if best := report["oracle"]:
        rows.append(("oracle", "", "", f"{best['two_way']:.3f}", f"{best['n_way']:.3f}", ""))
    simulated = ", simulated participant" if report["simulated"] else ""
    title = f"{report['test']['trials']} single trials, {report['test']['folds']} folds by run{simulated}"
    output.table(title, ("readout", "cosine", "R²", "of two", "of several", "all folds"), rows)
    return report


def _systems(
    config: Path, out: Path, data: Path | None, given: dict[str, Any], output: Output
) -> dict[str, Any]:
    from models.comparison.systems import compare_systems
    from models.comparison.systems_page import ranking, score_names

    report = _stepping(
        output, lambda step: compare_systems(config, out, data_root=data, progress=step, **given)
    )
    for one in report["sets"]:
        names = score_names(one)
        rows = [
            (title, *(f"{row['scores'][name]['score']:.3f}" for name in names))
            if "scores" in row
            else (title, "not fitted", *[""] * (len(names) - 1))
            for title, row in ranking(one)
        ]
        if best := one["oracle"]:
            rows.append(("oracle", *(f"{best[name]:.3f}" if name in best else "" for name in names)))
        simulated = ", simulated participant" if one["simulated"] else ""
        title = f"{one['title']}: {one['trials']} single trials of {one['pictures']} pictures{simulated}"
        output.table(title, ("reader", *names), rows)
    return report


def _stepping(output: Output, work: Callable[[Step], dict[str, Any]]) -> dict[str, Any]:
    with output.progress() as progress:
        task = progress.add_task("comparing", total=1.0)
        return work(lambda done, text: progress.update(task, completed=done, description=text))

"""Where the units of a long analysis run: options that commands share, and what they mean."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bci.cli.given import find_given
from bci.errors import ConfigError
from bci.io.files.kinds import CLUSTER_FILE

Jobs = Annotated[int, typer.Option(help="Processes on this machine; -1 takes all cores.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Compute on a Dask cluster: local, a scheduler's address (tcp://host:8786), or a file that names a "
        "queue of jobs (SLURM, SGE, PBS …)."
    ),
]


def where_units_run(verb: str, jobs: int, cluster: str | None) -> dict[str, Any]:
    """Return ``jobs`` and ``cluster`` for `models.units.run_units`; a cluster file is given by its place or its name.

    Raises
    ------
    ConfigError
        If there can be no such number of processes, or the file is not there.
    """
    if jobs == 0 or jobs < -1:
        raise ConfigError(f"--jobs {jobs}: expected processes, 1 or more, or -1 for all cores")
    if cluster is not None and cluster.endswith(".toml"):
        cluster = str(find_given(Path(cluster), f"{verb} --cluster", CLUSTER_FILE))
    return {"jobs": jobs, "cluster": cluster}

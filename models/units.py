"""Units of a long analysis: each computed once, kept in a file of its own, here, on all cores or on a Dask cluster.

A unit is a function's name for one piece of work and all that its result depends on. Its file is named by a hash of
that, and written whole or not at all, so a run that was killed goes on with what is missing, and a changed input is
another unit. The same code runs in this process, on the machine's cores (joblib's loky) and on a cluster.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.errors import ConfigError
from bci.io.files.folder import plain, write_json
from bci.io.installation import missing_extra

#: Version of the results' layout, on which a unit's hash depends beside its inputs.
_LAYOUT = 1


@dataclass(frozen=True)
class Unit:
    """A Unit is one piece of work.

    Attributes
    ----------
    name : str
        For people.
    inputs : mapping
        All that the result depends on, ready for JSON; large arrays by their hash.
    """

    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The hash of its inputs: the name of its file."""
        text = json.dumps(plain({"layout": _LAYOUT, **self.inputs}), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def run_units(
    units: Sequence[Unit],
    compute: Callable[..., dict[str, Any]],
    folder: Path,
    *,
    given: Mapping[str, Any] | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> list[dict[str, Any]]:
    """Compute what is not there yet, and return all results in the order of `units`.

    Parameters
    ----------
    units : sequence of Unit
        The work.
    compute : callable
        A function of a module, called with a unit's inputs and `given`, by name; returns what JSON can hold.
    folder : Path
        Where results lie, and are looked for.
    given : mapping, optional
        What every unit is handed beside its inputs, such as the data whose hash the inputs name.
    jobs : int
        Processes; 1 computes here, -1 takes all cores.
    cluster : str, optional
        ``local`` for Dask workers on this machine, or the address of a scheduler (``tcp://host:8786``).
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Raises
    ------
    ConfigError
        If joblib or Dask is not installed, the cluster is not there, or `folder` cannot be made.
    """
    say = progress or (lambda done, text: None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error}. Name another with --out.") from None
    known = {unit.key: result for unit in units if (result := _read(folder, unit)) is not None}
    missing = list({unit.key: unit for unit in units if unit.key not in known}.values())
    total = len({unit.key for unit in units})
    say(len(known) / max(1, total), f"{len(known)} of {total} units were there")
    if missing:
        for unit, result in _computed(missing, compute, given or {}, jobs, cluster):
            write_json(_place(folder, unit), {"name": unit.name, "inputs": unit.inputs, "result": result})
            known[unit.key] = plain(result)
            say(len(known) / total, unit.name)
    return [known[unit.key] for unit in units]


def _computed(
    units: Sequence[Unit],
    compute: Callable[..., dict[str, Any]],
    given: Mapping[str, Any],
    jobs: int,
    cluster: str | None,
) -> Iterator[tuple[Unit, dict[str, Any]]]:
    """Yield results as they come, in any order."""
    try:
        from joblib import Parallel, delayed
    except ModuleNotFoundError:
        raise ConfigError(missing_extra("this analysis", "joblib", ["train"])) from None
    with _backend(jobs, cluster):
        work = Parallel(n_jobs=jobs if cluster is None else -1, return_as="generator_unordered")
        yield from work(delayed(_one)(compute, unit, given) for unit in units)


def _one(
    compute: Callable[..., dict[str, Any]], unit: Unit, given: Mapping[str, Any]
) -> tuple[Unit, dict[str, Any]]:
    return unit, compute(**unit.inputs, **given)


@contextmanager
def _backend(jobs: int, cluster: str | None) -> Iterator[None]:
    """Let joblib compute on a Dask cluster, where one is named."""
    if cluster is None:
        yield
        return
    try:
        from distributed import Client, LocalCluster
        from joblib import parallel_config
    except ModuleNotFoundError as error:
        raise ConfigError(missing_extra("--cluster", error.name, ["cluster"])) from None
    if cluster == "local":
        workers = None if jobs < 1 else jobs
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
            ) as local,
            Client(local),
            parallel_config(backend="dask"),
        ):
            yield
        return
    try:
        client = Client(cluster, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(
            f"expected a Dask scheduler at {cluster}, came: {error}. Start one with dask scheduler, or say --cluster "
            "local."
        ) from None
    with client, parallel_config(backend="dask"):
        yield


def _place(folder: Path, unit: Unit) -> Path:
    return folder / f"{unit.key}.json"


def _read(folder: Path, unit: Unit) -> dict[str, Any] | None:
    """Return a result that is there and whole; what is not is computed again."""
    try:
        held = json.loads(_place(folder, unit).read_text(encoding="utf-8"))
        result: dict[str, Any] = held["result"]
        return result if held["inputs"] == plain(dict(unit.inputs)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""Units of a long analysis: each computed once, kept in a file of its own, here, on all cores or on a Dask cluster.

A unit is a function's name for one piece of work and all that its result depends on. Its file is named by a hash of
that, and written whole or not at all, so a run that was killed goes on with what is missing, and a changed input is
another unit. The same code runs in this process, on the machine's cores (joblib's loky) and on a cluster
(`models.clusters`). A worker that is killed costs what it had in hand: the others go on, and that unit begins again.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.errors import ConfigError, DataError
from bci.io.files.folder import plain, write_json
from bci.io.installation import missing_extra
from models.clusters import open_cluster

#: How often units whose processes died on this machine begin again before that is an error.
_ROUNDS = 4
#: So long is waited for tasks of a cluster before it is asked whether a worker died, seconds.
_LOOK_S = 2.0

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
        ``local`` for Dask workers on this machine, the address of a scheduler (``tcp://host:8786``), or the path of a
        cluster file; see `models.clusters`.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Raises
    ------
    ConfigError
        If joblib or Dask is not installed, the cluster is not there, or `folder` cannot be made.
    DataError
        If workers of a unit died again and again; all others are done by then.
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
    if cluster is not None:
        with open_cluster(cluster, jobs) as client:
            yield from _on_cluster(units, compute, given, client)
    elif jobs == 1:
        for unit in units:
            yield _one(compute, unit, given)
    else:
        yield from _in_processes(units, compute, given, jobs)


def _one(
    compute: Callable[..., dict[str, Any]], unit: Unit, given: Mapping[str, Any]
) -> tuple[Unit, dict[str, Any]]:
    return unit, compute(**unit.inputs, **given)


def _in_processes(
    units: Sequence[Unit], compute: Callable[..., dict[str, Any]], given: Mapping[str, Any], jobs: int
) -> Iterator[tuple[Unit, dict[str, Any]]]:
    """Compute on this machine's cores; where a process dies, what it and its neighbours had in hand begins again."""
    try:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError
    except ModuleNotFoundError:
        raise ConfigError(missing_extra("this analysis", "joblib", ["train"])) from None
    left = {unit.key: unit for unit in units}
    for _ in range(_ROUNDS):
        try:
            work = Parallel(n_jobs=jobs, return_as="generator_unordered")
            for unit, result in work(delayed(_one)(compute, unit, given) for unit in list(left.values())):
                del left[unit.key]
                yield unit, result
            return
        except TerminatedWorkerError:
            continue
    raise _died(list(left.values()))


def _on_cluster(
    units: Sequence[Unit], compute: Callable[..., dict[str, Any]], given: Mapping[str, Any], client: Any
) -> Iterator[tuple[Unit, dict[str, Any]]]:
    """Compute on Dask workers, a task a unit, as many at a time as there are workers.

    A worker is given its next unit when its last result is here, so that one that dies has no more than one to lose.
    """
    from distributed import KilledWorker

    waiting, killed = list(units)[::-1], list[Unit]()
    sent: dict[Any, tuple[Unit, str]] = {}
    lost: Counter[str] = Counter()
    with _given_to_workers(client, given) as name:
        try:
            while waiting or sent:
                for worker in _idle(client, [worker for _, worker in sent.values()])[: len(waiting)]:
                    where = {"workers": [worker], "allow_other_workers": True} if worker else {}
                    unit = waiting.pop()
                    future = client.submit(_one_there, compute, unit, name, pure=False, **where)
                    sent[future] = (unit, worker)
                for unit, result in _finished(client, sent):
                    if isinstance(result, KilledWorker):
                        killed.append(unit)
                    elif isinstance(result, BaseException):
                        raise result
                    elif result is not None:
                        yield result
                    else:
                        lost[unit.key] += 1
                        (killed if lost[unit.key] > _lives() else waiting).append(unit)
        finally:
            client.cancel(list(sent))
    if killed:
        raise _died(killed)


def _finished(client: Any, sent: dict[Any, tuple[Unit, str]]) -> list[tuple[Unit, Any]]:
    """Wait for tasks, a look at the most; take out each that ended, with its result, what it raised, or None if lost.

    Lost is a result that died with its worker, and a task whose worker died as the last one: Dask keeps it for that
    worker though it may run on others, and would wait for ever. No task is held here once its result is: one that is
    would be computed again, were its worker to die.
    """
    from distributed import wait

    ended: list[tuple[Unit, Any]] = []
    with suppress(TimeoutError):
        for future in wait(list(sent), timeout=_LOOK_S, return_when="FIRST_COMPLETED").done:
            try:
                result = future.exception(timeout=_LOOK_S) or future.result(timeout=_LOOK_S)
            except TimeoutError:
                if future.status != "lost":
                    continue
                result = None
            ended.append((sent.pop(future)[0], result))
            future.release()
        return ended
    at_work = {key for keys in client.processing().values() for key in keys}
    there = set(client.nthreads())
    for future, (unit, worker) in list(sent.items()):
        gone = there and worker and worker not in there
        if gone and future.key not in at_work and not future.done():
            future.cancel()
            del sent[future]
            ended.append((unit, None))
    return ended


def _lives() -> int:
    """Return how many workers a unit may cost, as the scheduler counts."""
    import dask

    return int(dask.config.get("distributed.scheduler.allowed-failures"))


@contextmanager
def _given_to_workers(client: Any, given: Mapping[str, Any]) -> Iterator[str]:
    """Send what every unit is given to each worker once, also to those that come later; give the name it lies under.

    Scattered data would be lost with the last worker that holds them; the scheduler keeps a plugin.
    """
    from distributed import WorkerPlugin

    class Held(WorkerPlugin):
        """A Held lies in a worker until the analysis ends."""

        def __init__(self) -> None:
            self.name, self.given = f"units-{uuid.uuid4().hex}", dict(given)

    plugin = Held()
    client.register_plugin(plugin)
    try:
        yield plugin.name
    finally:
        client.unregister_worker_plugin(plugin.name)


def _one_there(compute: Callable[..., dict[str, Any]], unit: Unit, name: str) -> tuple[Unit, dict[str, Any]]:
    from distributed import get_worker

    return _one(compute, unit, get_worker().plugins[name].given)


def _idle(client: Any, busy: Sequence[str]) -> list[str]:
    """Return the address of a worker for every thread of it that has no unit; an empty one where none is there."""
    workers: Mapping[str, int] = client.nthreads()
    if not workers:
        return [] if busy else [""]
    return [worker for worker, threads in workers.items() for _ in range(threads - busy.count(worker))]


def _died(units: Sequence[Unit]) -> DataError:
    named = ", ".join(unit.name or unit.key for unit in units[:3]) + (" …" if len(units) > 3 else "")
    return DataError(
        f"expected results of all units, came none of {len(units)} whose workers died again and again: {named}. What "
        "is done is kept: give workers more memory, or fewer units at once, and run it again."
    )


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

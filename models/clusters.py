"""A cluster is where units are computed: Dask workers on this machine, a scheduler that is there, or jobs of a queue.

`open_cluster` takes ``local``, an address (``tcp://host:8786``), or a cluster file: a TOML that names a class of
dask-jobqueue (`SLURMCluster`, `SGECluster`, `PBSCluster` …), its options, and how many jobs are asked for. Their
workers run this installation, from a folder that they share with this machine.
"""

import inspect
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from bci.config.toml import load_settings
from bci.errors import ConfigError, nearest
from bci.io.installation import missing_extra
from models.settings import Positive, Section

#: What the classes of dask-jobqueue take beside options of a file.
_NOT_OPTIONS = frozenset(
    {
        "self",
        "args",
        "kwargs",
        "job_kwargs",
        "scheduler",
        "name",
        "n_workers",
        "job_cls",
        "asynchronous",
        "loop",
    }
    | {"host", "dashboard_address"}  # of scheduler_options, says the class
)


class ClusterConfig(Section):
    """A ClusterConfig is a file of kind ``cluster``: a queue of jobs that dask-jobqueue knows."""

    kind: Literal["cluster"]
    jobqueue: Literal[
        "HTCondorCluster",
        "LSFCluster",
        "MoabCluster",
        "OARCluster",
        "PBSCluster",
        "SGECluster",
        "SLURMCluster",
    ]
    """The class of dask-jobqueue."""
    jobs: Annotated[int, Field(ge=1, le=100_000)]
    """How many are asked for, each of one worker process unless ``options.processes`` says otherwise."""
    wait_s: Positive = 3600.0
    """How long the first worker may stay in the queue, seconds."""
    cores: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Of each job."""
    memory: Annotated[str, Field(min_length=1)]
    """Of each job, such as ``4GB``."""
    walltime: str = ""
    """How long each job may run, as the queue writes it; what dask-jobqueue takes where it is empty."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further ones of that class: ``queue``, ``account``, ``log_directory``, ``job_extra_directives`` …"""

    def keywords(self) -> dict[str, Any]:
        """Return what the class is called with."""
        own: dict[str, Any] = {"cores": self.cores, "memory": self.memory}
        return own | ({"walltime": self.walltime} if self.walltime else {}) | self.options


def load_cluster(path: Path) -> ClusterConfig:
    """Read a cluster file.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible, also those that the class does not take.
    """
    config = load_settings(path, ClusterConfig, "cluster")
    job_script(path, config)
    return config


def job_script(path: Path, config: ClusterConfig) -> str:
    """Return what would be submitted for each job.

    Raises
    ------
    ConfigError
        If the class does not take these options, or dask-jobqueue is not installed.
    """
    kind = _class(config)
    takes = {
        name
        for maker in (kind.job_cls, *kind.job_cls.__mro__, *kind.__mro__)
        if "jobqueue" in maker.__module__
        for name in inspect.signature(maker.__init__).parameters
    } - _NOT_OPTIONS
    given = config.keywords()
    if unknown := sorted(set(given) - takes):
        said = ", ".join(option + nearest(option, takes) for option in unknown)
        raise ConfigError(
            f"{path}: expected options that {config.jobqueue} of dask-jobqueue takes, came {said}. Correct [options]."
        )
    of_cluster = set(inspect.signature(kind.__mro__[1].__init__).parameters)
    own = {name: value for name, value in given.items() if name not in of_cluster}
    try:
        job: Any = kind.job_cls(scheduler="tcp://<this machine>", name="worker", **own)
        return str(job.job_script())
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: expected options that {config.jobqueue} can use, came {given}: {error}. "
            "Correct [options]."
        ) from None


@contextmanager
def open_cluster(named: str, jobs: int = 1) -> Iterator[Any]:
    """Give a `distributed.Client` of a cluster, and take what was started for it down again.

    Parameters
    ----------
    named : str
        ``local``, a scheduler's address, or the path of a cluster file.
    jobs : int
        Workers of ``local``; fewer than 1 for one a core.

    Raises
    ------
    ConfigError
        If Dask is not installed, the cluster is not there, or its file cannot be used.
    """
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise ConfigError(missing_extra("--cluster", error.name, ["cluster"])) from None
    if named.endswith(".toml"):
        with _queued(Path(named)) as client:
            yield client
    elif named == "local":
        with (
            LocalCluster(
                n_workers=None if jobs < 1 else jobs,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # None takes a fixed port, and warns where another has it
            ) as local,
            Client(local) as client,
        ):
            yield client
    else:
        with _connected(named) as client:
            yield client


def _connected(address: str) -> Any:
    from distributed import Client

    try:
        return Client(address, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(
            f"expected a Dask scheduler at {address}, came: {error}. Start one with dask scheduler, or say --cluster "
            "local, or name a cluster file (.toml)."
        ) from None


@contextmanager
def _queued(path: Path) -> Iterator[Any]:
    """Submit the jobs of a cluster file, and wait for the first worker."""
    from distributed import Client

    config = load_cluster(path)
    kind = _class(config)
    command = str(kind.job_cls.submit_command).split()[0]
    if shutil.which(command) is None:
        raise ConfigError(
            f"{path}: expected {command}, which submits jobs of a {config.jobqueue}, on this machine, came none. "
            "Run this where jobs are submitted, or say --cluster local."
        )
    options = config.keywords()
    options["scheduler_options"] = {"dashboard_address": None} | options.get("scheduler_options", {})
    with kind(**options) as cluster, Client(cluster) as client:
        cluster.scale(jobs=config.jobs)
        try:
            client.wait_for_workers(1, timeout=config.wait_s)
        except TimeoutError:
            raise ConfigError(
                f"{path}: expected the first of {config.jobs} jobs to run within {config.wait_s:g} s, came none. Look "
                "at the queue and at the jobs' logs (log_directory in [options]), or give a longer wait_s."
            ) from None
        yield client


def _class(config: ClusterConfig) -> Any:
    heard = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue
    except ModuleNotFoundError as error:
        raise ConfigError(missing_extra("a cluster file", error.name, ["cluster"])) from None
    finally:
        # Its import makes Ctrl-C a plain end of the program, which would then look as if it were done.
        if heard is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, heard)
    return getattr(dask_jobqueue, config.jobqueue)

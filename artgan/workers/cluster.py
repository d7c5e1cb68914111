"""A Dask cluster as workers (the `cluster` extra): what its processes must have and see, and how its end shows.

Dask pickles tasks and results. It is the one place where artgan lets anything be unpickled, and so it is kept to connections
that nobody else can write to: `artgan.workers.address`. Each process takes one task at a time, in this process's folder, so
that paths and results are the same as here.
"""

import logging
import os
import platform
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import chdir, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from distributed import Client, KilledWorker, Security, Worker, WorkerPlugin, get_worker

from artgan.errors import ArtganError, ConfigError
from artgan.workers.address import check_private, scheduler_address

_AHEAD_PER_PROCESS = 4
_CONNECT_SECONDS = 10
_PASSED_ON = ("ARTGAN_WEIGHTS", "ARTGAN_OFFLINE")
_ALIKE = ("artgan", "numpy", "pillow", "torch")
_GOES_ON = "what is done is kept, and the same command goes on from there"


class Cluster:
    """The processes of a Dask cluster; see `artgan.workers.tasks.Crew`. Dask itself gives an ended process's tasks to others.

    Args:
        cluster: address or scheduler file.
        make: called once in each process; returns the function of a task.
        sees: paths that every process must see.
        threads: of torch in each, or None to leave torch alone.

    Raises:
        ConfigError: it cannot be reached, is not safe, or its processes differ from this one.
    """

    ended: ClassVar[type[Exception]] = KilledWorker  # Dask has tried several processes, all of which ended
    end_together: ClassVar[bool] = False

    def __init__(
        self, cluster: str, make: Callable[[], Callable[[Any], Any]], sees: Sequence[Path], threads: int | None
    ) -> None:
        self._address, self._name = scheduler_address(cluster), f"artgan-{uuid.uuid4().hex}"
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what happens is said once, in artgan's words
        try:
            secure = Security(require_encryption=True) if self._address.startswith("tls://") else Security()
            self._client = Client(self._address, security=secure, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, TypeError, ValueError, TimeoutError) as error:
            raise ConfigError(
                f"--cluster {self._address}: no scheduler answers there ({_first_line(error)}); start one with "
                f"`dask scheduler`, and for tls:// name your certificates in Dask's configuration (distributed.comm.tls)"
            ) from error
        try:
            self.ahead = _AHEAD_PER_PROCESS * self._check_processes()
            self._hand_out(_Order(self._name, make, tuple(sees), threads))
        except BaseException:
            self.close()
            raise
        self._executor = self._client.get_executor(pure=False)

    def _check_processes(self) -> int:
        """Return how many processes there are; each is on safe ground."""
        check_private(self._client.scheduler_info()["address"], f"--cluster {self._address}, the scheduler itself")
        with suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        processes = self._client.scheduler_info()["workers"]
        if not processes:
            raise ConfigError(f"--cluster {self._address}: has no workers; start some with `dask worker {self._address}`")
        for address in processes:
            check_private(address, f"--cluster {self._address}, its worker")
        return len(processes)

    def _hand_out(self, order: "_Order") -> None:
        try:
            self._client.register_plugin(order)
        except ArtganError:
            raise
        except Exception as error:  # whatever a foreign process raises
            raise ConfigError(
                f"--cluster {self._address}: a worker cannot take tasks ({type(error).__name__}: {_first_line(error)}); every "
                f"process, the scheduler too, needs Python {platform.python_version()} and artgan {version('artgan')}"
            ) from error

    def submit(self, task: Any) -> Future[Any]:
        try:
            return self._executor.submit(_do, self._name, task)
        except Exception as error:  # a client that is no longer connected raises several kinds
            raise self._lost() from error

    def outcome(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except CancelledError as error:
            raise self._lost() from error

    def check(self) -> None:
        if self._client.status != "running":
            raise self._lost()
        if not self._client.ncores():
            raise ConfigError(f"--cluster {self._address}: no worker is left; start some again: {_GOES_ON}")

    def _lost(self) -> ConfigError:
        return ConfigError(f"--cluster {self._address}: the connection to the scheduler was lost; {_GOES_ON}")

    def mend(self) -> int:
        return 1

    def close(self) -> None:
        with suppress(Exception):  # a scheduler that is gone cannot be told
            if self._client.status == "running":
                self._client.unregister_worker_plugin(self._name)
        with suppress(Exception):
            self._client.close(timeout=_CONNECT_SECONDS)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class _Order(WorkerPlugin):
    """What every process of the cluster is told once, those that join later too: how to do the tasks of one run, and where."""

    def __init__(
        self, name: str, make: Callable[[], Callable[[Any], Any]], sees: tuple[Path, ...], threads: int | None
    ) -> None:
        self.name = name
        self._make, self._sees, self._threads = make, tuple(path.absolute() for path in sees), threads
        self._folder = Path.cwd()
        self._environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        self._versions = _versions()

    def setup(self, worker: Worker) -> None:
        """Check that this process is on safe ground, has the same versions and sees the same files.

        Raises:
            ConfigError: it does not.
        """
        address = str(worker.contact_address)
        who = f"worker {address}"
        check_private(address, who)
        versions = _versions()
        unlike = [
            f"{name} {versions[name]}, not {wanted}" for name, wanted in self._versions.items() if versions[name] != wanted
        ]
        if unlike:
            raise ConfigError(f"{who} has {'; '.join(unlike)}: results would differ, give all the same")
        unseen = [path for path in (self._folder, *self._sees) if not path.exists()]
        if unseen:
            raise ConfigError(
                f"{who} ({platform.node()}) does not see {unseen[0]}: sources and results of a cluster lie on storage that "
                f"every machine sees in the same place"
            )
        self._lock = threading.Lock()
        self._work: Callable[[Any], Any] | None = None

    def do(self, task: Any) -> Any:
        """Do a task, one at a time."""
        with self._lock, chdir(self._folder):
            if self._work is None:
                os.environ.update(self._environment)
                if self._threads is not None:
                    import torch

                    torch.set_num_threads(self._threads)
                self._work = self._make()
            return self._work(task)


def _versions() -> dict[str, str]:
    return {"Python": platform.python_version(), **{name: version(name) for name in _ALIKE}}


def _do(name: str, task: Any) -> Any:
    worker = get_worker()
    order = worker.plugins.get(name)
    if not isinstance(order, _Order):
        raise ConfigError(f"worker {worker.contact_address} cannot take tasks of this run; its log says why")
    return order.do(task)

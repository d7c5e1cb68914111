"""The flags of verbs that share their work among processes or machines."""

from typing import TYPE_CHECKING

from artgan import arguments
from artgan.cli.app import Globals

if TYPE_CHECKING:
    from artgan.workers.tasks import Workers

JOBS_HELP = "Processes on a CPU; 0: one for each core."
CLUSTER_HELP = "A Dask cluster in place of processes: tls://HOST:8786, tcp://127.0.0.1:8786 or a scheduler file."


def chosen_workers(options: Globals, jobs: int, cluster: str | None) -> "Workers":
    """Return who does the work, and say it where it is a cluster.

    Raises:
        ConfigError: a flag is wrong, or the cluster is no place to send tasks to.
    """
    from artgan.workers.address import announcement
    from artgan.workers.tasks import Workers

    workers = Workers(arguments.jobs(jobs), cluster)
    if cluster is not None:
        options.say(announcement(cluster))
    return workers

"""Training on a Ray cluster, also one of KubeRay: Ray holds the machines, torchrun's variables do the rest.

    ray job submit --address http://HEAD:8265 --working-dir . --runtime-env-json '{"pip": ["."]}' -- \\
        python scripts/launch/ray_job.py --machines 2 --gpus 8 configs/large_256.yaml --collection /shared/c --run /shared/r

--collection and --run lie on storage that all machines see; the run is the only state, so the same command goes on after the
cluster or a machine is lost. One actor on each machine starts the same script that a person would type there.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("several_machines.sh")
PORT = 29400


def command(words: list[str], machines: int, gpus: int, head: str, run_id: str) -> tuple[list[str], dict[str, str]]:
    """Return what each machine runs, and the variables that it gets."""
    return ["sh", str(SCRIPT), *words], {"NODES": str(machines), "GPUS": str(gpus), "HEAD": f"{head}:{PORT}", "RUN_ID": run_id}


def main() -> int:
    """Hold the machines, start torchrun on each, and end with the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=1)
    parser.add_argument("--gpus", type=int, default=1, help="of each machine")
    options, words = parser.parse_known_args()
    import ray
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    ray.init()
    bundles = [{"CPU": 1, "GPU": options.gpus}] * options.machines
    group = placement_group(bundles, strategy="STRICT_SPREAD")  # one bundle on each machine
    ray.get(group.ready())

    @ray.remote(num_cpus=1, num_gpus=options.gpus)
    class Machine:
        def address(self) -> str:
            return ray.util.get_node_ip_address()

        def run(self, words: list[str], variables: dict[str, str]) -> int:
            return subprocess.call(words, env=os.environ | variables)

    places = [PlacementGroupSchedulingStrategy(group, index) for index in range(options.machines)]
    machines = [Machine.options(scheduling_strategy=place).remote() for place in places]
    head = ray.get(machines[0].address.remote())
    run_id = ray.get_runtime_context().get_job_id()
    words, variables = command(words, options.machines, options.gpus, head, run_id)
    waiting = [machine.run.remote(words, variables) for machine in machines]
    while waiting:
        done, waiting = ray.wait(waiting)
        code = ray.get(done[0])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The launch files, checked as far as that goes without a cluster: they say what Kubernetes, SkyPilot and Ray expect."""

import importlib.util
import os
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT

LAUNCH = ROOT / "scripts" / "launch"


def train_words(text):
    """Return the words of artgan train within a command, and those of torchrun before them."""
    before, _, words = " ".join(text.split()).partition("-m -- artgan ")
    return before.split(), words.split()


def value_of(words, flag):
    return words[words.index(flag) + 1]


def parses_as_artgan(words):
    """Whether the command line takes these words, up to the collection, which does not exist."""
    outcome = subprocess.run([sys.executable, "-m", "artgan", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return outcome.returncode == 3 and "does not exist" in outcome.stderr


def test_kubernetes():
    service, job = yaml.safe_load_all((LAUNCH / "kubernetes.yaml").read_text())
    assert [(each["apiVersion"], each["kind"]) for each in (service, job)] == [("v1", "Service"), ("batch/v1", "Job")]
    pods, template = job["spec"], job["spec"]["template"]["spec"]
    (container,) = template["containers"]
    torchrun, words = train_words(container["args"][0])
    name = job["metadata"]["name"]
    assert value_of(torchrun, "--nnodes") == str(pods["completions"]) == str(pods["parallelism"])
    assert value_of(torchrun, "--nproc-per-node") == str(container["resources"]["limits"]["nvidia.com/gpu"])
    # pods of an Indexed Job are NAME-INDEX, and have a name for others through a headless service of their subdomain
    assert pods["completionMode"] == "Indexed"
    assert value_of(torchrun, "--rdzv-endpoint") == f"{name}-0.{template['subdomain']}:29400"
    assert template["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert template["restartPolicy"] in ("OnFailure", "Never")  # a Job takes no other
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in template["volumes"]}
    config = words[1].removeprefix("/artgan/")
    assert parses_as_artgan([words[0], config, *words[2:]])


def test_skypilot():
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    known = {"name", "num_nodes", "envs", "resources", "workdir", "file_mounts", "setup", "run"}
    assert set(task) == known
    (mount,) = task["file_mounts"].values()
    assert mount["mode"] in ("MOUNT", "COPY", "MOUNT_CACHED")
    assert subprocess.run(["sh", "-n"], input=task["run"], text=True, check=False).returncode == 0
    given = {"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NUM_GPUS_PER_NODE": "8", "SKYPILOT_TASK_ID": "7"}
    given["SKYPILOT_NODE_IPS"] = "10.0.0.1\n10.0.0.2"
    script = task["run"].replace("exec ./scripts/launch/several_machines.sh", 'echo "$NODES $GPUS $HEAD $RUN_ID"')
    environment = os.environ | given | {"CONFIG": task["envs"]["CONFIG"]}
    said = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert said[:4] == ["2", "8", "10.0.0.1:29400", "artgan-7"]
    assert parses_as_artgan(["train", *said[4:]])


def test_ray_starts_what_a_person_would(tmp_path):
    spec = importlib.util.spec_from_file_location("ray_job", LAUNCH / "ray_job.py")
    ray_job = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ray_job)
    (tmp_path / "torchrun").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "torchrun").chmod(0o755)
    options = ["configs/large_256.yaml", "--collection", "/shared/c", "--run", "/shared/r"]
    words, variables = ray_job.command(options, 2, 8, "10.0.0.1", "01000000")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    said = subprocess.run(words, env=os.environ | variables | {"PATH": path}, capture_output=True, text=True, check=True).stdout
    torchrun, asked = train_words(said)
    assert (value_of(torchrun, "--nnodes"), value_of(torchrun, "--nproc-per-node")) == ("2", "8")
    assert value_of(torchrun, "--rdzv-endpoint") == "10.0.0.1:29400"
    assert parses_as_artgan(asked)


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.s*")), ids=lambda path: path.name)
def test_shell_scripts_parse(path):
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0

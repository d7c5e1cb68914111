"""Fault 1, many times over: `scripts/benchmark soak`."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="sessions are forked")
@pytest.mark.long
@pytest.mark.parametrize("kills", [3, 100])
def test_a_run_that_is_killed_again_and_again_loses_only_the_time_since_its_checkpoint(kills, tmp_path):
    """The command itself asserts that tensors and lines are those of a run that nobody killed."""
    words = ["--kills", str(kills), "--json", str(tmp_path / "kills.jsonl")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    program = ROOT / "scripts" / "benchmarks" / "soak.py"
    subprocess.run([sys.executable, str(program), *words], check=True, env=environment, cwd=tmp_path)
    *found, summary = [json.loads(line) for line in (tmp_path / "kills.jsonl").read_text().splitlines()]
    assert len(found) == summary["kills"] == kills
    assert all(0 <= kill["lost"] <= summary["images_between_checkpoints"] for kill in found)

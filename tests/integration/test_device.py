"""What needs an accelerator, tried on a pretended one."""

import os
import subprocess
import sys

from PIL import Image

from tests.conftest import ROOT


def test_the_verbs_run_on_another_device_and_no_step_waits_for_it(collection_folder, tmp_path):
    """A GPU's manners without a GPU: nothing of the device mixes with the host's, and steps ask it for no value."""
    picture = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(picture)
    words = [sys.executable, "-m", "tests.integration.device_program", collection_folder, picture, tmp_path]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}  # a real one is not asked
    ended = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]

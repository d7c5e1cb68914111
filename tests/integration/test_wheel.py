"""A wheel, installed outside the checkout: nothing is missing, and the ways of README and demo run from another folder."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from artgan.datasets.synthetic import draw_work, write_collection_sources
from tests.conftest import ROOT

pytest.importorskip("hatchling", reason="needs the test extra, to build a wheel")

# The README's lines, with less of everything.
LESS = {
    "prepare": ["--resolution", "32"],
    "train": [
        *("--set=model.discriminator=fastgan", "--set=model.width=4", "--set=model.discriminator_width=4"),
        *("--set=training.batch_size=4", "--set=training.total_kimg=0.008", "--set=evaluation.features=random"),
        *("--set=evaluation.num_generated=8", "--set=training.device=cpu"),
    ],
    "evaluate": ["--features", "random", "--num-generated", "8", "--metrics", "distances"],
    "sample": ["--seeds", "0-3"],
    "refine": ["--set=style.backbone=random", "--set=style.iterations=2"],
    "studio": ["--help"],  # which serves until it is stopped
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel that `pip install .` builds, without its isolated environment, which would be fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("artgan-*.whl")
    return built


def test_a_wheel_has_every_file_of_the_package(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = {path.relative_to(ROOT) for path in (ROOT / "artgan").rglob("*") if path.is_file()}
    wanted = {path.as_posix() for path in package if "__pycache__" not in path.parts}
    wanted |= {f"artgan/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert {name for name in inside if ".dist-info/" not in name} == wanted
    assert {"drawn.safetensors", "index.html", "run.html.j2", "quick_cpu.yaml"} <= {Path(name).name for name in wanted}


@pytest.fixture(scope="module")
def artgan(wheel, tmp_path_factory):
    """Install the wheel alone beside nothing of the checkout; return a function that runs its command in a folder."""
    place = tmp_path_factory.mktemp("installed")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    command = place / "bin" / "artgan"  # of --target, on every system but Windows
    environment = os.environ | {"PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"}

    def run(words, folder):
        done = subprocess.run(
            [sys.executable, str(command), *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    where = "import artgan, sys; print(artgan.__file__, *[name for name in sys.path if name == sys.argv[1]])"
    words = [sys.executable, "-c", where, str(ROOT)]
    found = subprocess.run(words, cwd=place.parent, env=environment, capture_output=True, text=True, check=True).stdout
    assert found.split()[0] == str(place / "artgan" / "__init__.py")
    return run


@pytest.mark.skipif(sysconfig.get_platform().startswith("win"), reason="scripts of --target lie elsewhere there")
def test_an_installed_wheel_starts_and_knows_its_own_files(artgan, tmp_path):
    (tmp_path / "paintings").mkdir()
    for number in range(2):
        draw_work("waves", number, 1, side_px=64).save(tmp_path / "paintings" / f"{number}.jpg")
    assert "prepare" in artgan(["--help"], tmp_path)
    artgan(["prepare", "paintings", "--out", "collection", "--resolution", "32"], tmp_path)
    assert (tmp_path / "collection" / "index.jsonl").is_file()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_commands_of_the_readme_run_from_an_installed_wheel(artgan, tmp_path):
    write_collection_sources(tmp_path / "paintings", works_per_class=6)
    draw_work("waves", 1, 1, side_px=64).save(tmp_path / "starry_night.jpg")
    way = re.search(r"```\n(artgan prepare paintings/ .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    for line in way.splitlines():
        words = shlex.split(line)[1:]
        artgan([*words, *LESS[words[0]]], tmp_path)
    assert len(list((tmp_path / "samples").glob("seed*.png"))) == len(list((tmp_path / "refined").glob("seed*.png"))) > 0
    assert "<h1" in (tmp_path / "runs" / "first" / "report.html").read_text()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_demo_runs_from_an_installed_wheel(artgan, tmp_path):
    artgan(["demo", "--out", "demo", "--minutes", "0.05"], tmp_path)
    assert (tmp_path / "demo" / "index.html").is_file()
    assert len(list((tmp_path / "demo" / "refined").glob("*.png"))) >= 6

"""Makes the kept samples of this folder; it runs with the code of commit 4e9eb49 alone, whose files they are to be.

    git worktree add ../before 4e9eb49
    PYTHONPATH=../before ARTGAN_OFFLINE=1 OMP_NUM_THREADS=1 python tests/golden/make.py tests/golden

A run's whole state is half a megabyte at its smallest, so one run is kept whole, and of the others the names, shapes and kinds
of its tensors with `state.json`: what a checkpoint's format is.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from artgan.cli import main
from artgan.datasets.synthetic import draw_work
from artgan.generation.model_folder import ModelCard, load_model, save_model
from artgan.generation.sample import generate

TINY = (
    "model.width=2 model.discriminator_width=2 model.latent_dim=4 training.batch_size=4 training.total_kimg=0.008 "
    "training.log_every_kimg=0.004 training.sample_every_kimg=0.008 training.evaluate_every_kimg=0.008 "
    "training.checkpoint_every_kimg=0.008 training.device=cpu training.precision=float32 evaluation.features=random "
    "evaluation.num_generated=8"
).split()
RUNS = {
    "stylegan2-ada": "model.generator=stylegan2 model.discriminator=stylegan2 objective.name=nonsaturating augment.name=ada "
    "model.conditional=true",
    "fastgan-projected": "model.backbone=random model.backbone_input_px=64",
    "fastgan-fastgan": "model.discriminator=fastgan objective.r1_gamma=1",
    "r3gan": "model.generator=r3gan model.discriminator=r3gan objective.name=relativistic",
}
KEPT_WHOLE = "stylegan2-ada"


def artgan(*words: object) -> None:
    """Run one command."""
    try:
        main(["--quiet", *map(str, words)])
    except SystemExit as end:
        if end.code:
            raise


def keep_models(work: Path, golden: Path) -> None:
    """Write a model of each generator whose branches all matter, with the pictures that it makes."""
    for name in ("fastgan-fastgan", "stylegan2-ada", "r3gan"):
        trained = load_model(work / name)
        generator, card = trained.generator, trained.card
        torch.manual_seed(1)
        for key, parameter in generator.named_parameters():
            parameter.add_((0.5 if key.startswith("mapping") else 0.1) * torch.randn_like(parameter))
        folder = golden / "models" / card.architecture
        about = ModelCard(card.architecture, card.arguments, card.classes, 8, card.collection, None)
        save_model(folder, generator, about, np.zeros((4, 4, 3), np.uint8))
        made = load_model(folder)
        np.save(golden / "models" / f"{card.architecture}.npy", np.stack(list(generate(made.space, range(3)))))


def keep_run(run: Path, target: Path, whole: bool) -> None:
    """Keep what going on needs: the configuration, the log and the newest checkpoint, or what its tensors are called."""
    checkpoint = max((run / "checkpoints").glob("images-*"))
    place = target / "checkpoints" / checkpoint.name
    place.mkdir(parents=True)
    for name in ("config.yaml", "metrics.jsonl", "status.json"):
        shutil.copy(run / name, target)
    if whole:
        shutil.copytree(checkpoint, place, dirs_exist_ok=True)
        return
    shutil.copy(checkpoint / "state.json", place)
    with safe_open(checkpoint / "state.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in list(file.keys())}
    kinds = {key: [str(tensor.dtype).removeprefix("torch."), *tensor.shape] for key, tensor in tensors.items()}
    (place / "tensors.json").write_text(
        "{\n" + ",\n".join(f'"{key}": {json.dumps(kind)}' for key, kind in kinds.items()) + "\n}\n"
    )


def make(golden: Path, work: Path) -> None:
    """Go the whole way once, at 32 px."""
    sources = work / "sources"
    for manner in ("circles", "waves"):
        (sources / manner).mkdir(parents=True)
        for index in range(8):
            draw_work(manner, 0, index, side_px=48).save(sources / manner / f"{index}.png")
    artgan("prepare", sources, "--out", work / "drawn", "--resolution", 32, "--holdout", 0.25)
    shutil.copytree(work / "drawn", golden / "collection", ignore=shutil.ignore_patterns("contact_sheet.png"))
    for name, values in RUNS.items():
        sets = [word for value in [*TINY, *values.split()] for word in ("--set", value)]
        artgan("train", "--collection", work / "drawn", "--run", work / name, *sets)
        keep_run(work / name, golden / "runs" / name, name == KEPT_WHOLE)
    keep_models(work, golden)
    pictures, model = golden / "pictures", golden / "models" / "stylegan2"
    pictures.mkdir()
    for kind in ("png", "jpeg", "webp", "tiff"):
        words = ["--seeds", 5, "--class", "waves", "--truncation", 0.7, "--format", kind]
        artgan("sample", model, "--out", work / f"sample-{kind}", *words)
        file = next(file for file in (work / f"sample-{kind}").iterdir() if file.stem != "grid")
        shutil.copy(file, pictures / f"sample{file.suffix}")
    search = ["--steps", 2, "--backbone", "random", "--video", "none"]
    artgan("project", model, sources / "waves" / "1.png", "--out", work / "projected", *search)
    shutil.copy(work / "projected" / "projection.png", pictures)
    look = ["--backbone", "random", "--iterations", 2, "--color", "match", "--boost", 0.3, "--grain", 0.1, "--seed", 3]
    artgan("refine", pictures / "sample.png", "--style", sources / "circles" / "2.png", *look, "--out", work / "refined")
    shutil.copy(work / "refined" / "sample.png", pictures / "refined.png")
    words = ["--features", "random", "--num-generated", 8, "--json", golden / "metrics.json"]
    artgan("evaluate", model, "--collection", work / "drawn", *words)
    (golden / "look.yaml").write_text(
        (Path(sys.modules["artgan"].__file__).parents[1] / "configs/refine/painterly.yaml").read_text()
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make(Path(sys.argv[1]), Path(folder))

"""Generators of StyleGAN2-ADA and of StyleGAN3's `stylegan2` configuration, from their .pkl files to model folders."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from artgan.errors import CheckpointError
from artgan.generation.model_folder import ModelCard, save_model
from artgan.generation.sample import generate
from artgan.generation.space import Space
from artgan.images import grid
from artgan.models.stylegan2_generator import Generator, channels_at
from artgan.storage import misfits

_SECONDS = 600
_SHEET_SEEDS = 64
# Their names to ours. The filter is checked and left out, the mean style is computed anew from the model.
_NAMES = (
    (r"mapping\.embed\.(weight|bias)", r"mapping.embed.\1"),
    (r"mapping\.fc(\d+)\.(weight|bias)", r"mapping.layers.\1.\2"),
    (r"synthesis\.b(\d+)\.const", r"blocks.\1.const"),
    (r"synthesis\.b(\d+)\.(conv[01])\.(weight|affine\.weight|affine\.bias)", r"blocks.\1.\2.conv.\3"),
    (r"synthesis\.b(\d+)\.(conv[01])\.(bias|noise_strength|noise_const)", r"blocks.\1.\2.\3"),
    (r"synthesis\.b(\d+)\.torgb\.(weight|affine\.weight|affine\.bias)", r"blocks.\1.to_rgb.\2"),
    (r"synthesis\.b(\d+)\.torgb\.bias", r"blocks.\1.rgb_bias"),
)
_LEFT_OUT = re.compile(r"mapping\.w_avg|synthesis\.b\d+\.(conv[01]\.)?resample_filter")


def import_pkl(source: Path, out: Path) -> list[str]:
    """Read a .pkl in a child process and write a model folder; return facts about it, as lines.

    Raises:
        CheckpointError: the file is no such generator, asks for anything but tensors, or does not fit the architecture.
    """
    if not source.is_file():
        raise CheckpointError(f"{source}: no such file; give a .pkl of StyleGAN2-ADA or StyleGAN3")
    tensors, class_name = _read_apart(source)
    arguments = _arguments(source, tensors)
    with torch.device("meta"):
        generator = Generator(**arguments)
    renamed = {_renamed(source, name): tensor for name, tensor in tensors.items() if not _LEFT_OUT.fullmatch(name)}
    if problem := misfits(generator.state_dict(), renamed):
        raise CheckpointError(f"{source}: its {class_name} does not fit artgan's stylegan2 generator: {problem}")
    generator.load_state_dict(renamed, assign=True)
    generator.eval().requires_grad_(False)
    classes = tuple(f"class {index}" for index in range(arguments["num_classes"]))
    collection = {"name": source.stem, "pixel_hash": "imported", "count": "an unknown number of"}
    labels = [seed % max(1, len(classes)) for seed in range(_SHEET_SEEDS)]
    sheet = grid(np.stack(list(generate(Space(generator, len(classes)), range(_SHEET_SEEDS), labels))))
    save_model(out, generator, ModelCard("stylegan2", arguments, classes, 0, collection), sheet)
    count = sum(parameter.numel() for parameter in generator.parameters()) / 1e6
    return [
        f"{class_name} of {source}: stylegan2, {arguments['width_px']} px, width {arguments['width']}, {count:.1f} M "
        f"parameters",
        "nothing of the file was executed; the rights in its weights are its publisher's",
    ]


def _read_apart(source: Path) -> tuple[dict[str, Tensor], str]:
    """Read the file's tensors in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "artgan.importing.unpickle", str(source.resolve()), folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise CheckpointError(f"{source}: reading took more than {_SECONDS} s and was ended") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"the reader ended with {done.returncode}"])[-1]
            raise CheckpointError(
                f"{source} is refused: {last}. Only generators of StyleGAN2-ADA, and of StyleGAN3 in its configuration "
                f"stylegan2, are read"
            )
        about = json.loads(Path(folder, "about.json").read_text(encoding="utf-8"))
        return load_file(Path(folder, "tensors.safetensors")), str(about["class_name"])


def _arguments(source: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of our generator that fit the file's tensors."""
    sides = sorted(int(match[1]) for name in tensors if (match := re.fullmatch(r"synthesis\.b(\d+)\.torgb\.weight", name)))
    if not sides or "synthesis.input.weight" in tensors or "mapping.fc0.weight" not in tensors:
        raise CheckpointError(
            f"{source}: not StyleGAN2's layers; of StyleGAN3 only the configuration stylegan2 can be imported, not t and r"
        )
    latent_dim = tensors["mapping.fc0.weight"].shape[0]
    embedding = tensors.get("mapping.embed.weight")
    last = sides[-1]
    channels = {side: tensors[f"synthesis.b{side}.torgb.weight"].shape[1] for side in sides}
    width = max(1, channels[last] * last // 128)
    ours = {side: channels_at(width, side) for side in sides}
    if ours != channels:
        raise CheckpointError(f"{source}: its channels {channels} fit no width of artgan's stylegan2 ({width}: {ours})")
    for name, tensor in tensors.items():
        if name.endswith("resample_filter") and not torch.allclose(tensor, _filter(), atol=1e-6):
            raise CheckpointError(f"{source}: {name} is not the low-pass filter [1, 3, 3, 1] / 8")
    return {
        "height_px": last,
        "width_px": last,
        "width": width,
        "latent_dim": latent_dim,
        "mapping_layers": sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in tensors),
        "num_classes": 0 if embedding is None else embedding.shape[1],
    }


def _filter() -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(taps, taps)


def _renamed(source: Path, name: str) -> str:
    for theirs, ours in _NAMES:
        if re.fullmatch(theirs, name):
            return re.sub(theirs, ours, name)
    raise CheckpointError(f"{source}: tensor '{name}' is none of a StyleGAN2 generator with RGB skips")

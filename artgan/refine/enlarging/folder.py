"""An enlarger on disk: a sealed folder with both ends of its weights, what is known about it, and a card."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from artgan.errors import CheckpointError
from artgan.refine.enlarging.network import FACTORS, EnlargingNetwork
from artgan.refine.fit_state import write_tensors
from artgan.storage import check_format, file_sha256, misfits, read_sealed_json, seal, verify_seal

FORMAT_VERSION = 1
WEIGHTS_FILE, ABOUT_FILE = "enlarger.safetensors", "enlarger.json"
State = Mapping[str, Tensor]
_ENDS = ("fidelity", "texture")
_MAX_WIDTH, _MAX_BLOCKS = 256, 32


@dataclass(frozen=True)
class Enlarger:
    """A fitted enlarger.

    Attributes:
        factor: 2 or 4.
        sha256: of its weights.
        about: what its fit says.
        fidelity, texture: weights of the two ends.
    """

    factor: int
    sha256: str
    about: Mapping[str, Any]
    fidelity: State
    texture: State

    @property
    def best_texture(self) -> float:
        """Where between its ends it was best on held-out works."""
        return float(self.about["texture"])

    def network(self, texture: float | None = None) -> EnlargingNetwork:
        """Return the network between its ends: w = (1 - t) fidelity + t texture (Wang et al. 2018, 1809.00219, section 3.4)."""
        share = self.best_texture if texture is None else texture
        network = _empty(self.factor, self.fidelity)
        weights = {name: torch.lerp(value, self.texture[name], share) for name, value in self.fidelity.items()}
        network.load_state_dict(weights, assign=True)
        return network.eval().requires_grad_(False)


def read_enlarger(folder: Path) -> Enlarger:
    """Read an enlarger.

    Raises:
        CheckpointError: the folder is none, or it is damaged.
    """
    _require(folder)
    digests = verify_seal(folder)
    about = read_sealed_json(folder / ABOUT_FILE)
    check_format(about, FORMAT_VERSION, f"enlarger {folder}", CheckpointError)
    try:
        tensors = load_file(folder / WEIGHTS_FILE)
        ends = [{name[len(end) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{end}.")} for end in _ENDS]
        factor, texture = about["factor"], about["texture"]
        if factor not in FACTORS or not 0 <= texture <= 1:
            raise ValueError(f"factor {factor}, texture {texture}")
        problems = [misfits(_empty(factor, end).state_dict(), end) for end in ends]
        if any(problems) or len(tensors) != sum(map(len, ends)):
            raise ValueError(next(filter(None, problems), "tensors of neither end"))
    except Exception as error:  # whatever a damaged or hostile file makes the reader raise
        raise CheckpointError(f"{folder} is no enlarger of this version: {error}. Fit it again") from error
    return Enlarger(factor, digests[WEIGHTS_FILE], about, *ends)


def save_enlarger(folder: Path, fidelity: State, texture: State, about: Mapping[str, Any]) -> None:
    """Write an enlarger into the folder of its fit.

    Raises:
        StorageError: there is no space.
    """
    ends = zip(_ENDS, (fidelity, texture), strict=True)
    write_tensors(folder / WEIGHTS_FILE, {f"{end}.{name}": value for end, state in ends for name, value in state.items()})
    held = {"format": FORMAT_VERSION, **about, "weights_sha256": file_sha256(folder / WEIGHTS_FILE)}
    (folder / ABOUT_FILE).write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_card(held), encoding="utf-8")
    seal(folder)


def enlarger_sha256(folder: Path) -> str:
    """Return the sha256 of an enlarger's weights.

    Raises:
        CheckpointError: the folder is none.
    """
    _require(folder)
    return file_sha256(folder / WEIGHTS_FILE)


def describe_enlarger(folder: Path) -> str:
    """Return what an enlarger was fitted to and how good it is, in a line.

    Raises:
        CheckpointError: the folder is none, or it is damaged.
    """
    held = read_enlarger(folder)
    return f"{folder}: enlarges {held.factor} times; {verdict(held.about)}"


def verdict(about: Mapping[str, Any]) -> str:
    """Return in words how an enlarger compares with Lanczos on held-out works."""
    try:
        scores, works = about["scores"], about["works"]
        own, classical = scores[f"{about['texture']:g}"], scores["lanczos"]
        text = (
            f"fitted to {works['fitted']} works in {about['steps']:,} steps; on {works['held_out']} held-out works at texture "
            f"{about['texture']:g}: patch distance {own['patch_fd']:.3g} (Lanczos {classical['patch_fd']:.3g}), "
            f"{own['psnr_db']:.2f} dB (Lanczos {classical['psnr_db']:.2f})"
        )
        return text if own["patch_fd"] < classical["patch_fd"] else f"{text}: no nearer to works than Lanczos; fit it longer"
    except (KeyError, TypeError, ValueError):  # a stranger may have written it
        return "its folder does not say how good it is"


def _card(about: Mapping[str, Any]) -> str:
    works, scores = about["works"], about["scores"]
    rights = "; ".join(works.get("rights", ())) or "their owners'; say here what they allow before you share this enlarger"
    rows = [f"| {name} | {score['psnr_db']:.2f} | {score['patch_fd']:.3f} |" for name, score in scores.items()]
    return "\n".join(
        [
            "---",
            "library_name: artgan",
            "tags: [art, super-resolution]",
            "---",
            f"# Enlarger of {works['name']}",
            "",
            f"Enlarges pictures {about['factor']} times. Fitted with artgan {about['version']} to nothing but "
            f"{works['fitted']} works ({about['steps']:,} steps, crops of {about['fit']['crop_px']} px).",
            "",
            f"Use it: `artgan refine PICTURES --enlarge {about['factor']} --enlarger FOLDER --out enlarged`",
            "",
            f"Works: {works['origin']}. Rights in them: {rights}.",
            "",
            f"On {works['held_out']} works that it never saw, reduced {about['factor']} times (bicubic) and enlarged again;",
            f"the patch distance is Fréchet's in features of {about['judge']}, and compares within this table:",
            "",
            "| texture | PSNR, dB | patch distance |",
            "| --- | --- | --- |",
            *rows,
            "",
            f"Without `--texture` it is used at {about['texture']:g}.",
            "",
        ]
    )


def _empty(factor: int, state: State) -> EnlargingNetwork:
    """Return a network without memory, of the width and length that some weights have."""
    blocks = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    width = len(state["first.bias"])
    if not (0 < width <= _MAX_WIDTH and 0 < blocks <= _MAX_BLOCKS):
        raise ValueError(f"{width} channels, {blocks} blocks")
    with torch.device("meta"):
        return EnlargingNetwork(factor, width, blocks)


def _require(folder: Path) -> None:
    if not ((folder / ABOUT_FILE).is_file() and (folder / WEIGHTS_FILE).is_file()):
        raise CheckpointError(
            f"--enlarger {folder}: no enlarger; make one with: artgan refine WORKS --fit-enlarger --out {folder}"
        )

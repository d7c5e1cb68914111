"""How well does a network's sense of likeness sort art? 5-nearest-neighbor accuracy, every picture against all the others.

    ./scripts/benchmark neighbors ART_FOLDER [NETWORK ...]

ART_FOLDER holds one folder of pictures for each class. Features are the means of a layer over the picture, at 128 px, compared
by cosine; `all` joins the layers that the projected discriminator reads, each at length one. The class with the most votes
among the five nearest wins, the nearer one on a tie. Chance is what always naming the largest class would score.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from artgan.backbones.backbone import load_backbone
from artgan.models.projected import Discriminator

NEIGHBORS, SIDE_PX, BATCH = 5, 128, 32
NETWORKS = ("drawn", "squeezenet1_1", "random")


def read(folder: Path) -> tuple[torch.Tensor, np.ndarray]:
    """Return the pictures, `[N, 3, 128, 128]` in [-1, 1], cut square from their middle, and the number of each one's class."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    pictures, labels = [], []
    for label, path in enumerate(classes):
        for file in sorted(path.iterdir()):
            image = ImageOps.fit(Image.open(file).convert("RGB"), (SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            pictures.append(torch.from_numpy(np.asarray(image).copy()))
            labels.append(label)
    return torch.stack(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1, np.asarray(labels)


@torch.inference_mode()
def features_of(network: str, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
    backbone = load_backbone(network, Discriminator.taps(network))
    rows: dict[str, list[torch.Tensor]] = {}
    for piece in pictures.split(BATCH):
        for layer, x in backbone(piece).items():
            rows.setdefault(layer, []).append(x.mean((2, 3)))
    # Centered: the mean picture says nothing about which of them is like which.
    centered = {layer: torch.cat(pieces) - torch.cat(pieces).mean(0) for layer, pieces in rows.items()}
    found = {layer: torch.nn.functional.normalize(x, dim=1) for layer, x in centered.items()}
    return found | {"all": torch.cat(list(found.values()), 1)}


def accuracy(rows: torch.Tensor, labels: np.ndarray) -> float:
    """Return the share of pictures whose class wins among the nearest others."""
    likeness = rows @ rows.T
    likeness.fill_diagonal_(-torch.inf)
    nearest = labels[likeness.topk(NEIGHBORS).indices.numpy()]
    votes = [Counter(row.tolist()).most_common(1)[0][0] for row in nearest]  # equal counts stay in order of likeness
    return float(np.mean(np.asarray(votes) == labels))


def main(folder: Path, networks: list[str]) -> None:
    pictures, labels = read(folder)
    largest = Counter(labels.tolist()).most_common(1)[0][1]
    print(
        f"{folder.name}: {len(labels)} pictures, {len(set(labels.tolist()))} classes, largest class {largest / len(labels):.1%}"
    )
    for network in networks or NETWORKS:
        cells = [f"{layer} {accuracy(rows, labels):.1%}" for layer, rows in features_of(network, pictures).items()]
        print(f"{network:16} " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

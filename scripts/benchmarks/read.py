"""Batches at 256 px: from a collection against torchvision's ImageFolder with a DataLoader of two workers."""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder

from artgan.datasets.collection import open_collection
from artgan.datasets.export import export
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.sampler import Batches
from artgan.datasets.synthetic import write_collection_sources

BATCH = 32


def main(works_per_class: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_collection_sources(Path(folder, "in"), works_per_class)
        prepare([Path(folder, "in")], Path(folder, "collection"), Recipe(256, 256, holdout=0.0), workers=2)
        collection = open_collection(Path(folder, "collection"))
        export(collection, Path(folder, "png"))
        count = len(collection.images) // BATCH * BATCH
        batches = Batches(collection, 0, torch.device("cpu"), False)
        started = time.perf_counter()
        for _ in range(4):
            for seen in range(0, count, BATCH):
                images, _ = batches.batch(seen, BATCH)
        ours = 4 * count / (time.perf_counter() - started)
        assert images.shape == (BATCH, 3, 256, 256)
        normalize = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
        peer = ImageFolder(str(Path(folder, "png")), normalize)
        loader = torch.utils.data.DataLoader(peer, BATCH, shuffle=True, num_workers=2, persistent_workers=True, drop_last=True)
        next(iter(loader))  # workers started
        started = time.perf_counter()
        for images, _ in loader:
            assert np.isfinite(images[0, 0, 0, 0].item())
        theirs = count / (time.perf_counter() - started)
    print(f"collection {ours:,.0f} images/s, ImageFolder with 2 workers {theirs:,.0f} images/s: {ours / theirs:.1f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

"""The search for copies, by candidates and through everything: time, and whether they find the same.

    ./scripts/benchmark copies COLLECTION [--judged 200] [--works 500] [--features inception-768]

Half of the judged pictures are unseen works (or, where too few are held out, other training works); the other half are copies
of training works, cut, mirrored, saved again and retoned. Everything is five parts of every training work and the mirror image
of every judged picture.
"""

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from artgan.datasets.collection import Collection, open_collection
from artgan.evaluation.copying import Judged, find_matches
from artgan.evaluation.judge import Judge
from artgan.evaluation.reference import CROPS, Reference
from artgan.metrics.estimates import NEAR_COPY
from artgan.metrics.memorization import nearest_rows


def copy_of(work: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a work cut, perhaps mirrored, saved as JPEG and made lighter or darker."""
    height, width = work.shape[:2]
    share = rng.choice([1.0, 0.8, rng.uniform(0.75, 1)])
    left, top = rng.uniform(0, 1 - share, 2)
    box = (left * width, top * height, (left + share) * width, (top + share) * height)
    buffer = io.BytesIO()
    Image.fromarray(work).resize((width, height), Image.Resampling.BICUBIC, box).save(buffer, "JPEG", quality=80)
    pixels = np.asarray(Image.open(buffer)).astype(float) * rng.uniform(0.9, 1.1)
    return pixels[:, :: rng.choice([-1, 1])].clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--judged", type=int, default=200)
    parser.add_argument("--works", type=int, default=500)
    parser.add_argument("--features", default="inception-768")
    asked = parser.parse_args()
    opened, rng = open_collection(asked.collection), np.random.default_rng(0)
    rows = rng.permutation(opened.train_rows)
    train, others = rows[: asked.works], np.concatenate([opened.holdout_rows, rows[asked.works :]])
    half = asked.judged // 2
    sources = rng.choice(train, half, replace=False)
    pixels = np.concatenate(
        [opened.images[others[: asked.judged - half]], [copy_of(opened.images[row], rng) for row in sources]]
    )
    judged = Collection(opened.folder, "part", opened.images, (), opened.labels, np.sort(train), np.arange(0), "c" * 64)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ARTGAN_CACHE"] = cache
        measure(Judge(asked.features, judged, torch.device("cpu")), pixels)


def measure(judge: Judge, pixels: np.ndarray) -> None:
    reference = Reference(judge)
    count, works, dim = len(pixels), len(judge.collection.train_rows), reference.train.shape[1]

    def extract(pictures: np.ndarray, thumbnails: bool = False) -> np.ndarray:
        whole = judge.extract(
            lambda rows: (pictures[row] for row in rows), len(pictures), "", lambda _: None, thumbnails=thumbnails
        )
        return whole[:]

    balls = reference.known.manifold
    both = extract(pixels, thumbnails=True)
    started = time.perf_counter()
    mirrored = lambda places: extract(pixels[list(places), :, ::-1])  # noqa: E731
    ours = find_matches(Judged(both[:, :dim], both[:, dim:], mirrored), reference)
    by_candidates = time.perf_counter() - started
    started = time.perf_counter()
    queries = (both[:, :dim], extract(pixels[:, :, ::-1]))
    parts = [reference.train, *(reference.crops([(part, row) for row in range(works)]) for part in range(1, 1 + len(CROPS)))]
    found = [nearest_rows(query, part) for part in parts for query in queries]
    through_everything = time.perf_counter() - started
    distances = np.stack([nearest.distances for nearest in found])
    best, each = distances.argmin(0), np.arange(count)
    rows = np.stack([nearest.rows for nearest in found])[best, each]
    copies = np.sqrt(distances[best, each] / balls.nearest[rows]) < NEAR_COPY
    same = (ours.ratios < NEAR_COPY) == copies
    print(
        f"copies, {count} pictures against {works}, {judge.features}, {torch.get_num_threads()} threads: "
        f"{by_candidates:.1f} s by candidates, {through_everything:.1f} s through everything: "
        f"{through_everything / by_candidates:.1f}x; {copies.sum()} copies, {np.sum(same)} of {count} judged the same, "
        f"{np.sum(ours.rows[copies] == rows[copies])} of the copies with the same original"
    )


if __name__ == "__main__":
    main()

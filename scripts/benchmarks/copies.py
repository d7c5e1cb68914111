"""The search for copies, by candidates and through everything: time, and whether they find the same.

    ./scripts/benchmark copies COLLECTION [--judged 200] [--works 500] [--features inception-768]

Half of the judged pictures are unseen works (or, where too few are held out, other training works); the other half are copies
of training works, of nine kinds in turn. Everything is five parts of every training work and the mirror image of every judged
picture. Both searches begin with the features of whole works and of the judged pictures, and know nothing else.
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
from artgan.evaluation.judge import FULL, GLANCE, MIRRORED_GLANCE, Judge
from artgan.evaluation.reference import CROPS, Reference
from artgan.metrics.estimates import NEAR_COPY
from artgan.metrics.memorization import nearest_rows
from artgan.progress import silent

KINDS = ("whole", "retoned", "mirrored", "a part", "a part, mirrored", "any cut", "any cut, mirrored", "enlarged", "JPEG")


def copy_of(work: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return a copy of a work, always saved as JPEG and made a little lighter or darker."""
    height, width = work.shape[:2]
    left, top, right, bottom = 0.0, 0.0, 1.0, 1.0
    if kind.startswith("a part"):
        left, top, right, bottom = list(CROPS.values())[rng.integers(len(CROPS))]
    elif kind.startswith("any cut"):
        share = rng.uniform(0.75, 0.95)
        left, top = rng.uniform(0, 1 - share, 2)
        right, bottom = left + share, top + share
    box = (left * width, top * height, right * width, bottom * height)
    picture = Image.fromarray(work).resize((width, height), Image.Resampling.BICUBIC, box)
    if kind == "enlarged":
        small = picture.resize((width * 3 // 4, height * 3 // 4), Image.Resampling.LANCZOS)
        picture = small.resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(rng.integers(70, 80) if kind == "JPEG" else rng.integers(85, 96)))
    pixels = np.asarray(Image.open(buffer)).astype(float) * rng.uniform(0.95, 1.05)
    if kind == "retoned":
        pixels = pixels * rng.uniform(0.85, 1.15, 3) + rng.uniform(-12, 12)
    return pixels[:, :: -1 if kind.endswith("mirrored") else 1].clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--judged", type=int, default=200)
    parser.add_argument("--works", type=int, default=500)
    parser.add_argument("--features", default="inception-768")
    asked = parser.parse_args()
    opened, rng = open_collection(asked.collection), np.random.default_rng(0)
    rows = rng.permutation(opened.train_rows)
    train, others = np.sort(rows[: asked.works]), np.concatenate([opened.holdout_rows, rows[asked.works :]])
    half = asked.judged // 2
    sources = rng.choice(len(train), half, replace=False)
    copies = [copy_of(opened.images[train[row]], KINDS[place % len(KINDS)], rng) for place, row in enumerate(sources)]
    pixels = np.concatenate([opened.images[others[: asked.judged - half]], copies])
    judged = Collection(opened.folder, "part", opened.images, (), opened.labels, train, np.arange(0), "c" * 64)
    judge = Judge(asked.features, judged, torch.device("cpu"))
    plain = features_of(judge, pixels, FULL)
    found = {"by candidates": by_candidates, "through everything": through_everything}
    kept: dict[str, tuple[float, np.ndarray, np.ndarray]] = {}
    for name, search in found.items():
        with tempfile.TemporaryDirectory() as cache:
            os.environ["ARTGAN_CACHE"] = cache
            reference = Reference(judge)
            assert len(reference.known.manifold.nearest) == len(train)  # so that no search is charged for it
            started = time.process_time()
            of, ratios = search(judge, reference, plain, pixels)
            kept[name] = time.process_time() - started, of, ratios < NEAR_COPY
    print(f"{len(pixels)} pictures against {len(train)}, {asked.features}, {torch.get_num_threads()} threads")
    for name, (seconds, of, called) in kept.items():
        right = called[-half:] & (of[-half:] == sources)
        print(f"{name}: {seconds:.1f} processor s, {called.sum()} called, {right.sum()} of {half} copies right")
        print("  " + "; ".join(f"{kind} {right[place :: len(KINDS)].sum()}" for place, kind in enumerate(KINDS)))
    (ours, of, called), (theirs, others_of, others_called) = kept.values()
    same = called & others_called
    otherwise, elsewhere = np.sum(called != others_called), np.sum(of[same] != others_of[same])
    print(f"{theirs / ours:.1f}x; {otherwise} called otherwise; of {same.sum()} called by both {elsewhere} after another work")


def features_of(judge: Judge, pixels: np.ndarray, *takes: str) -> np.ndarray:
    return judge.extract(lambda rows: (pixels[row] for row in rows), len(pixels), "", silent, takes=takes)[:]


def by_candidates(judge: Judge, reference: Reference, plain: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the works that the pictures are nearest to, and the ratios of `Matches`."""
    glances = features_of(judge, pixels, GLANCE, MIRRORED_GLANCE)
    mirrored = lambda places: features_of(judge, pixels[list(places), :, ::-1], FULL)  # noqa: E731
    matches = find_matches(Judged(plain, glances, mirrored), reference)
    return matches.rows, matches.ratios


def through_everything(
    judge: Judge, reference: Reference, plain: np.ndarray, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of five parts of every work and both pictures of a pair."""
    works = range(len(reference.train))
    queries = (plain, features_of(judge, pixels[:, :, ::-1], FULL))
    parts = [reference.train, *(reference.crops([(part, row) for row in works]) for part in range(1, 1 + len(CROPS)))]
    found = [nearest_rows(query, part) for part in parts for query in queries]
    distances = np.stack([nearest.distances for nearest in found])
    best, each = distances.argmin(0), np.arange(len(plain))
    rows = np.stack([nearest.rows for nearest in found])[best, each]
    return rows, np.sqrt(distances[best, each] / reference.known.manifold.nearest[rows])


if __name__ == "__main__":
    main()

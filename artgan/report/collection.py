"""What is in a collection: one page of facts, charts and pictures."""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from scipy.cluster.vq import kmeans2

from artgan import seeding
from artgan.datasets.collection import Collection, read_index
from artgan.datasets.journal import first_of_file
from artgan.images import grid
from artgan.refine.oklab import oklab_from_srgb, srgb_from_oklab
from artgan.report.page import bars, picture, render

_PALETTE_COLORS = 12
_PALETTE_PIXELS = 40_000
_PICTURES_PER_CLASS = 16
_OUTLIERS = 16
_CHUNK = 256


def collection_page(collection: Collection) -> str:
    """Return the page of a collection, as HTML that needs no other file."""
    lines = read_index(collection.folder)
    kept = [line for line in lines if line["status"] == "kept"]
    sharpness, lightness = _measure(collection.images)
    groups = Counter(line["group"] for line in lines if line.get("group"))
    return render(
        "collection.html.j2",
        {
            "name": collection.name,
            "size": f"{collection.width}x{collection.height} px",
            "train": len(collection.train_rows),
            "holdout": len(collection.holdout_rows),
            "pixel_hash": collection.pixel_hash,
            "rights": collection.rights,
            "fates": Counter(line["status"] for line in lines if first_of_file(line)),
            "rejected": Counter(line["reason"] for line in lines if line["status"] == "rejected").most_common(),
            "duplicates": [
                (line["name"], line["reason"]) for line in lines if line["status"] == "duplicate" and first_of_file(line)
            ],
            "num_groups": len(groups),
            "formats": Counter(f"{line['format']} {line['mode']}" for line in kept).most_common(),
            "profiles": Counter(line["profile"] or "none, taken as sRGB" for line in kept).most_common(),
            "notes": Counter(_general(note) for line in kept for note in line["notes"]).most_common(),
            "palette": _palette(collection.images),
            "sides_chart": bars([min(line["width"], line["height"]) for line in kept], "shorter side of the file, px"),
            "aspects_chart": bars([line["width"] / line["height"] for line in kept], "width / height of the file"),
            "classes": _classes(collection),
            "dark": _sheet(collection.images, np.argsort(lightness, kind="stable")[:_OUTLIERS]),
            "blurred": _sheet(collection.images, np.argsort(sharpness, kind="stable")[:_OUTLIERS]),
        },
    )


def _measure(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sharpness (variance of the Laplacian of gray) and the mean Oklab lightness of each picture, float64 `[N]`."""
    sharpness, lightness = [], []
    for start in range(0, len(images), _CHUNK):
        block = np.asarray(images[start : start + _CHUNK], dtype=np.float64) / 255
        gray = block.mean(-1)
        laplacian = gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:] + gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] - 4 * gray[:, 1:-1, 1:-1]
        sharpness.append(laplacian.var((1, 2)))
        lightness.append(oklab_from_srgb(block[:, ::4, ::4])[..., 0].mean((1, 2)))
    return np.concatenate(sharpness), np.concatenate(lightness)


def _palette(images: np.ndarray) -> list[dict[str, Any]]:
    """Return the main colors with their shares, by k-means in Oklab over evenly drawn pixels, largest first."""
    draws = seeding.uniform(0, "report/palette", 0, _PALETTE_PIXELS, 3)
    places = (draws * np.array(images.shape[:3])).astype(np.int64)
    drawn = images[places[:, 0], places[:, 1], places[:, 2]]
    count = min(_PALETTE_COLORS, len(np.unique(drawn, axis=0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about clusters that end up empty; those have no share and are not shown
        centers, owners = kmeans2(oklab_from_srgb(drawn.astype(np.float64) / 255), count, minit="++", rng=0)
    shares = np.bincount(owners, minlength=len(centers)) / len(owners)
    colors = np.rint(srgb_from_oklab(centers).clip(0, 1) * 255).astype(int)
    order = np.argsort(-shares, kind="stable")
    return [
        {"color": "#{:02x}{:02x}{:02x}".format(*colors[index]), "share": shares[index]} for index in order if shares[index] > 0
    ]


def _classes(collection: Collection) -> list[dict[str, Any]]:
    named = list(enumerate(collection.classes)) if collection.classes else [(0, "all pictures")]
    result = []
    for label, name in named:
        rows = np.flatnonzero(collection.labels == label)
        shown = rows[np.linspace(0, len(rows) - 1, min(len(rows), _PICTURES_PER_CLASS)).astype(int)]
        result.append({"name": name, "count": len(rows), "sheet": _sheet(collection.images, shown)})
    return result


def _sheet(images: np.ndarray, rows: Sequence[int] | np.ndarray) -> Markup:
    return picture(grid(np.stack([images[row] for row in rows]), columns=8))


def _general(note: str) -> str:
    """Return a note without its counts, so that alike ones count together."""
    return re.sub(r"\d+(?= frames| px|,)|\d+x\d+", "N", note)

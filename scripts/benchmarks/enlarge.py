"""An enlarger on works that it never saw, reduced and enlarged again, beside Lanczos, `edge` and OpenCV's ways.

PSNR and SSIM (scikit-image) say how near an enlargement is to its work; FD and KID of patches, in the features of artgan's
judge, say how near its texture is to that of works at the same scale. Give an enlarger and either a collection with its
originals, whose hold-out is judged, or works that it was not fitted to; opencv and scikit-image come with artgan[test]:

    ./scripts/benchmark enlarge ENLARGER COLLECTION --sources FOLDER [--sheet SHEET.png]
    ./scripts/benchmark enlarge ENLARGER FOLDER|PICTURE... [--textures 0,0.5,1] [--side PX] [--features inception-768]

`--samples FOLDER` enlarges a model's samples instead. They have no work to be near to, so that patches alone are compared, with
those of the works, which should have the samples' size after enlarging.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from artgan.backbones import FEATURE_SPACES
from artgan.backbones.backbone import load_backbone
from artgan.datasets.collection import is_collection
from artgan.decode import decode_file
from artgan.evaluation.resize import resize
from artgan.images import save_png
from artgan.metrics.frechet import fit_gaussian, frechet_distance
from artgan.metrics.kernel import kernel_distance
from artgan.refine.canvas import image_tensor
from artgan.refine.encode import to_eight_bits
from artgan.refine.enlarging.apply import classical, load_enlarge
from artgan.refine.enlarging.degrade import reduced
from artgan.refine.enlarging.folder import read_enlarger
from artgan.refine.enlarging.measure import patches_of
from artgan.refine.enlarging.works import gather_works
from artgan.refine.recipe import make_recipe
from artgan.refine.sources import find_pictures

CPU = torch.device("cpu")
PATCH_PX = 64
SHEET_WORKS, SHEET_PX = 8, 256


def works_of(options, factor):
    """Return the works to judge on, uint8, and cut to whole patches."""
    if is_collection(options.works[0]):
        values = make_recipe().enlarger
        works = gather_works(options.works, options.sources, factor, values, 0, print, lambda _: None).held_out
    else:
        works = pictures_of(options.works)
    return [middle(work, options.side) for work in works]


def pictures_of(paths):
    return [decode_file(path).pixels for path in find_pictures(paths)]


def nearness(made, works):
    """Return how near enlargements are to their works."""
    pairs = list(zip(works, made, strict=True))
    return {
        "psnr_db": round(float(np.mean([peak_signal_noise_ratio(a, b) for a, b in pairs])), 3),
        "ssim": round(float(np.mean([structural_similarity(a, b, channel_axis=2) for a, b in pairs])), 4),
    }


def middle(work, side):
    height, width = (min(length, side) // PATCH_PX * PATCH_PX for length in work.shape[:2])
    top, left = (work.shape[0] - height) // 2, (work.shape[1] - width) // 2
    return np.ascontiguousarray(work[top : top + height, left : left + width])


def ways_of(options, factor):
    """Return functions of a small picture, uint8, to a large one, uint8, by name."""

    def opencv(kind):
        return lambda small: cv2.resize(small, None, fx=factor, fy=factor, interpolation=kind)

    def ours(enlarge):
        return lambda small: to_eight_bits(enlarge(small), dither=False)

    ways = {"lanczos": ours(classical("lanczos", factor, CPU))}
    for texture in options.textures.split(","):
        ways[f"texture {texture}"] = ours(load_enlarge(options.enlarger, CPU, float(texture)))
    ways["edge"] = ours(classical("edge", factor, CPU))
    return ways | {"opencv cubic": opencv(cv2.INTER_CUBIC), "opencv lanczos4": opencv(cv2.INTER_LANCZOS4)}


@torch.inference_mode()
def features_of(pictures, options):
    """Return the features of evenly spread patches of pictures, float32 `[n, d]`."""
    network, layer, size_px = FEATURE_SPACES[options.features]
    backbone = load_backbone(network, (layer,))
    patches = torch.cat([patches_of(image_tensor([picture], CPU), PATCH_PX) for picture in pictures])
    chosen = patches[np.linspace(0, len(patches) - 1, min(options.patches, len(patches))).round().astype(int)]
    rows = [backbone(resize(part, size_px, "clean"))[layer].mean((2, 3)) for part in chosen.split(8)]
    return torch.cat(rows).numpy()


def sheet_of(works, small, made, path):
    """Write a sheet at 100 %: a row for each small picture, in large pixels, by every way, and with its work if it has one."""
    rows = []
    for place in np.linspace(0, len(small) - 1, min(SHEET_WORKS, len(small))).round().astype(int):
        ways = [pictures[place] for pictures in made.values()]
        factor = ways[0].shape[0] // small[place].shape[0]
        tiles = [small[place].repeat(factor, 0).repeat(factor, 1), *ways, *works[place : place + 1]]
        rows.append(np.concatenate([middle(tile, SHEET_PX) for tile in tiles], 1))
    width = min(row.shape[1] for row in rows)
    save_png(path, np.concatenate([row[:, :width] for row in rows]), {"kind": "sheet"}, "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("enlarger", type=Path)
    parser.add_argument("works", type=Path, nargs="+")
    parser.add_argument("--sources", type=Path, nargs="*", default=[])
    parser.add_argument("--samples", type=Path, nargs="*", default=[])
    parser.add_argument("--textures", default="0,0.5,1")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--features", default="inception-768", choices=list(FEATURE_SPACES))
    parser.add_argument("--patches", type=int, default=600, help="how many are looked at")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    factor = read_enlarger(options.enlarger).factor
    works = works_of(options, factor)
    small = pictures_of(options.samples) if options.samples else [reduced(work, factor) for work in works]
    real = features_of(works, options)
    made = {}
    for name, enlarge in ways_of(options, factor).items():
        made[name] = [enlarge(picture) for picture in small]
        found = features_of(made[name], options)
        line = {"way": name, "pictures": len(small), "patches": len(real), "features": options.features}
        line |= {} if options.samples else nearness(made[name], works)
        line |= {
            "patch_fd": round(frechet_distance(fit_gaussian(found), fit_gaussian(real)), 4),
            "patch_kid": round(kernel_distance(found, real).value, 6),
        }
        print(json.dumps(line), flush=True)
    if options.sheet is not None:
        sheet_of([] if options.samples else works, small, made, options.sheet)


if __name__ == "__main__":
    main()

"""Style transfer through several backbones, judged by one that none of them uses: styles on photographs, with a sheet.

Each photograph is refined in each style through each backbone, with its own layers and weights, and judged in VGG19's features
by the relative Gram distance to the style (relu1_1, relu2_1, relu3_1) and what is gone of the content (relu3_4; relative
squares). The sheet has the photographs in its first row, then one row for each style and backbone, led by the style.

    ./scripts/benchmark styles PHOTO... --styles STYLE... [--backbones squeezenet1_1,drawn] [--size 128] [--sheet SHEET.png]
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from refine import judge

import artgan
from artgan.backbones.backbone import load_backbone
from artgan.decode import decode_file
from artgan.images import save_png, to_float
from artgan.refine.canvas import resized
from artgan.refine.networks import pad_by_replication
from artgan.refine.sources import find_pictures

STYLE_LAYERS, CONTENT_LAYERS = ["relu1_1", "relu2_1", "relu3_1"], ["relu3_4"]
COLORS = {"color.mode": "match", "color.strength": 0.5}


def batch(picture):
    return to_float(torch.from_numpy(np.array(picture)[None]))


def square(picture, side):
    """Return a picture within a white square."""
    tile = np.full((side, side, 3), 255, np.uint8)
    tile[: picture.shape[0], : picture.shape[1]] = picture
    return tile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--styles", type=Path, nargs="+", required=True)
    parser.add_argument("--backbones", default="squeezenet1_1,drawn")
    parser.add_argument("--size", type=int, default=128, help="longer side of the results")
    parser.add_argument("--iterations", type=int, default=20, help="steps a scale")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    vgg = pad_by_replication(load_backbone("vgg19", [*STYLE_LAYERS, *CONTENT_LAYERS]))
    photos = [resized(decode_file(path).pixels, options.size) for path in find_pictures(options.photos)]
    rows = [[np.zeros((0, 0, 3), np.uint8), *photos]]
    for path in find_pictures(options.styles):
        style = resized(decode_file(path).pixels, options.size)
        judges = [judge(vgg, STYLE_LAYERS, CONTENT_LAYERS, batch(style), batch(photo)) for photo in photos]
        before = np.mean([distances(batch(photo))[0] for distances, photo in zip(judges, photos, strict=True)])
        for backbone in options.backbones.split(","):
            settings = {"style.backbone": backbone, "style.iterations": options.iterations, "output.size_px": options.size}
            started = time.process_time()
            made = artgan.refine(photos, style=path, settings=settings | COLORS, device="cpu")
            seconds = (time.process_time() - started) / len(photos)
            results = [np.asarray(picture) for picture in made]
            found = [distances(batch(result)) for distances, result in zip(judges, results, strict=True)]
            near, kept = np.mean(found, 0)
            print(
                f"{path.stem} {backbone}: style {near:.4f} (before {before:.4f}), content {kept:.4f}, {seconds:.2f} processor "
                f"seconds a picture",
                flush=True,
            )
            rows.append([style, *results])
    if options.sheet is not None:
        tiles = [np.concatenate([square(picture, options.size) for picture in row], 1) for row in rows]
        save_png(options.sheet, np.concatenate(tiles), {"kind": "sheet"}, "")


if __name__ == "__main__":
    main()

#!/bin/sh
# Pillow reads an uncompressed planar 16-bit RGB TIFF as noise; the same planes with LZW are right.
#
# Seen with: Pillow 13.0.0, tifffile 2026.3.3, imagecodecs 2026.3.6, NumPy 2.4.6, Linux x86_64.
# Expected:  three planes of smooth ramps open as the picture that they are, whatever the compression.
# Seen:      mode RGB, no error; low and high bytes of each plane lie side by side as if they were pixels: a third of white off on
#            average. Compressed planes go through libtiff and are right. CMYK planes behave alike.
# Way out:   tifffile, chosen by PlanarConfiguration, BitsPerSample and Compression.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import io

import numpy as np
import tifffile
from PIL import Image, __version__

y, x = np.mgrid[:40, :56] / 55
ramps = np.stack([x, y, (x + y) / 2])


def error(compression: str | None) -> float:
    file = io.BytesIO()
    values = np.rint(ramps * 65535).astype(np.uint16)
    tifffile.imwrite(file, values, photometric="rgb", planarconfig="separate", compression=compression)
    shown = np.asarray(Image.open(file)) / 255
    return float(np.abs(shown - np.moveaxis(ramps, 0, -1)).mean())


plain, packed = error(None), error("lzw")
print(f"Pillow {__version__}: mean error {plain:.3f} of white without compression, {packed:.3f} with LZW")
assert plain > 0.2, "uncompressed planes are no longer noise"
assert packed < 0.01, "compressed planes are no longer right"
PYTHON

#!/bin/sh
# Pillow's Image.draft() makes an odd-sized JPEG a little too large; resizing without the box that it returns shifts the picture.
#
# Seen with: Pillow 13.0.0, NumPy 2.4.6, Linux x86_64.
# Expected:  draft() decodes at a quarter, so resizing what it gives is the small picture, some rounding aside.
# Seen:      1003 px become 251 columns of which 250.75 are the picture. Without the returned box: 41.4 dB from the picture made the
#            whole way; with it: 53.1 dB. Most code drops the return value.
# Way out:   size, box = image.draft(...); image.resize(..., box=box), as Image.thumbnail does.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import io

import numpy as np
from PIL import Image, __version__

y, x = np.mgrid[:1003, :1003]
gray = (127 + 100 * np.sin(x / 17) * np.cos(y / 23)).astype(np.uint8)
file = io.BytesIO()
Image.fromarray(np.stack([gray] * 3, 2)).save(file, "JPEG", quality=95, subsampling=0)
whole = np.asarray(Image.open(file).resize((200, 200), Image.Resampling.LANCZOS)).astype(float)


def decibel(with_box: bool) -> float:
    image = Image.open(file)
    _, box = image.draft("RGB", (250, 250))
    assert image.size == (251, 251), image.size
    assert tuple(box) == (0, 0, 250.75, 250.75), box
    small = image.resize((200, 200), Image.Resampling.LANCZOS, box=box if with_box else None)
    return 10 * np.log10(255**2 / np.square(np.asarray(small) - whole).mean())


without, with_box = decibel(False), decibel(True)
print(f"Pillow {__version__}: {without:.1f} dB without the box, {with_box:.1f} dB with it")
assert abs(without - 41.4) < 0.5, "the picture is no longer shifted as it was"
assert abs(with_box - 53.1) < 0.5, "the box is no longer the way out"
PYTHON

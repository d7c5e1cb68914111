#!/bin/sh
# Pillow wraps color JPEG 2000 above 8 bits: what is brighter than 255 of 4095 starts again from black.
#
# Seen with: Pillow 13.0.0, imagecodecs 2026.3.6, NumPy 2.4.6, Linux x86_64.
# Expected:  a 12-bit RGB ramp opens as a ramp, as 12-bit gray does (mode I;16).
# Seen:      no error, no warning. The RGB ramp from black to white comes with white at 0 of 255. Gray of 9 bits in a JP2 file wraps too;
#            gray of 12 bits is right.
# Way out:   imagecodecs.jpeg2k_decode, and the bits from the file's SIZ marker.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check pillow==13.0.0 imagecodecs==2026.3.6 numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import io

import imagecodecs
import numpy as np
from PIL import Image, __version__


def error(bits: int, channels: int) -> float:
    """Return the largest error of Pillow's picture, as a share of white."""
    full = 2**bits - 1
    ramp = np.tile(np.rint(np.linspace(0, full, 64)).astype(np.uint16), (32, 1))
    values = np.stack([ramp] * channels, -1) if channels > 1 else ramp
    data = imagecodecs.jpeg2k_encode(values, level=0, reversible=True, bitspersample=bits, codecformat="jp2")
    assert (imagecodecs.jpeg2k_decode(data) == values).all(), "the file is sound"
    image = Image.open(io.BytesIO(data))
    shown = np.asarray(image) / (65535 if image.mode.startswith("I") else 255)
    return float(np.abs(shown - values / full).max())


deep, nine, gray = error(12, 3), error(9, 1), error(12, 1)
print(f"Pillow {__version__}: largest error 12-bit RGB {deep:.2f}, 9-bit gray {nine:.2f}, 12-bit gray {gray:.4f} of white")
assert deep > 0.9, "color above 8 bits no longer wraps"
assert nine > 0.9, "9-bit gray no longer wraps"
assert gray < 0.001, "12-bit gray is no longer right"
PYTHON

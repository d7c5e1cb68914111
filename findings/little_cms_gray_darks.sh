#!/bin/sh
# Little CMS, through Pillow, is ten levels off in the darks of a gray picture with a linear profile, unless told not to optimize.
#
# Seen with: Pillow 13.0.0 (Little CMS 2.19), NumPy 2.4.6, Linux x86_64.
# Expected:  gray 1, 2, 3 of a linear profile are 13, 22, 28 in sRGB, by the standard's formula.
# Seen:      6, 12, 19 with default flags; exactly the formula's values with NOOPTIMIZE.
# Way out:   convert the 256 grays once with NOOPTIMIZE and look pixels up: exact, and faster.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import io
import struct

import numpy as np
from PIL import Image, ImageCms, __version__


def linear_gray_profile() -> bytes:
    """A gray profile of gamma 1 under D50 (ICC.1:2001-04)."""
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)  # no entries: the identity
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    name = b"desc" + bytes(4) + struct.pack(">I", 7) + b"linear\0" + bytes(78)
    rights = b"text" + bytes(4) + b"none\0"
    tags = {b"desc": name, b"cprt": rights, b"wtpt": white, b"kTRC": curve}
    start, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s6H4s", start + len(body), b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ", 2024, 1, 1, 0, 0, 0, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


source, target = ImageCms.ImageCmsProfile(io.BytesIO(linear_gray_profile())), ImageCms.createProfile("sRGB")
ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
light = np.arange(256) / 255
expected = np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype(int)


def converted(flags: int) -> np.ndarray:
    transform = ImageCms.buildTransform(source, target, "L", "RGB", flags=flags)
    return np.asarray(ImageCms.applyTransform(ramp, transform))[0, :, 0].astype(int)


plain, exact = converted(0), converted(ImageCms.Flags.NOOPTIMIZE)
print(f"Pillow {__version__}, Little CMS {ImageCms.core.littlecms_version}")
print("formula    ", expected[:8].tolist())
print("default    ", plain[:8].tolist(), "largest error", np.abs(plain - expected).max())
print("NOOPTIMIZE ", exact[:8].tolist(), "largest error", np.abs(exact - expected).max())
assert np.abs(plain - expected).max() == 10, "the default conversion has changed"
assert np.abs(exact - expected).max() == 0, "NOOPTIMIZE is no longer exact"
PYTHON

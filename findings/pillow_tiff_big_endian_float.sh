#!/bin/sh
# Pillow swaps the bytes of a compressed, big-endian float TIFF once too often.
#
# Seen with: Pillow 13.0.0, tifffile 2026.3.3, imagecodecs 2026.3.6, NumPy 2.4.6, Linux x86_64.
# Expected:  a float32 ramp from 0 to 1 opens as that ramp (mode F), as it does uncompressed or little-endian.
# Seen:      with zlib and big-endian byte order the values run up to 1e38; no error, no warning.
# Way out:   tifffile for floating point.
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

ramp = np.tile(np.linspace(0, 1, 48, dtype=np.float32), (32, 1))


def is_right(byteorder: str, compression: str | None) -> bool:
    file = io.BytesIO()
    tifffile.imwrite(file, ramp, byteorder=byteorder, compression=compression)
    assert np.array_equal(tifffile.imread(io.BytesIO(file.getvalue())), ramp), "the file is sound"
    return bool(np.allclose(np.nan_to_num(np.asarray(Image.open(io.BytesIO(file.getvalue())))), ramp))


for byteorder, name in (("<", "little-endian"), (">", "big-endian")):
    for compression in (None, "zlib"):
        right = is_right(byteorder, compression)
        print(f"Pillow {__version__}: float32, {name}, {compression or 'uncompressed'}: {'right' if right else 'wrong'}")
        assert right == (not (byteorder == ">" and compression)), "that has changed"
PYTHON

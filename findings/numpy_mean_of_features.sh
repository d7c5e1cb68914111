#!/bin/sh
# NumPy's mean over the rows of float32 features is wrong in the second digit at ten million rows.
#
# Seen with: NumPy 2.4.6, Linux x86_64.
# Expected:  pairwise summation keeps float32 means to about six digits.
# Seen:      pairwise summation is used along the axis that is contiguous in memory alone. Over the rows of a C-ordered array, the layout of
#            every feature matrix, the mean of values that are all 0.1 is 0.1088; of the same values in Fortran order 0.1000.
# Way out:   dtype=np.float64 in mean and sum, or sums by blocks of rows.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import numpy as np

features = np.full((10_000_000, 2), 0.1, np.float32)
by_rows = features.mean(0)
other_order = np.asfortranarray(features).mean(0)
in_float64 = features.mean(0, dtype=np.float64)
print(f"NumPy {np.__version__}: {by_rows} in C order, {other_order} in Fortran order, {in_float64} in float64")
assert abs(by_rows[0] - 0.10879) < 1e-4, "the error has changed"
assert abs(other_order[0] - 0.1) < 1e-6, "Fortran order is no longer exact"
assert abs(in_float64[0] - 0.1) < 1e-8, "float64 is no longer the way out"
PYTHON

#!/bin/sh
# The gradient of torch.nn.functional.glu leaves the channels-last layout.
#
# Seen with: torch 2.15.0, Linux x86_64, on the CPU.
# Expected:  pointwise operations keep the layout of their input in both directions.
# Seen:      glu over the channels keeps channels-last forwards; its gradient comes back in the contiguous layout, so every convolution
#            before it converts, or runs its slow kernel. The same gate as two operations keeps it.
# Way out:   value, gate = x.chunk(2, 1); value * gate.sigmoid()
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0
"$dir/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from torch.nn.functional import glu


def keeps(function) -> tuple[bool, bool]:
    """Whether result and gradient are channels-last."""
    x = torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    y = function(x)
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    return tuple(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in (y, gradient))


def plain(x: torch.Tensor) -> torch.Tensor:
    value, gate = x.chunk(2, 1)
    return value * gate.sigmoid()


found = {"glu": keeps(lambda x: glu(x, 1)), "two operations": keeps(plain)}
print(f"torch {torch.__version__}: channels-last (result, gradient) {found}")
assert found == {"glu": (True, False), "two operations": (True, True)}, "the layout of the gradient has changed"
PYTHON

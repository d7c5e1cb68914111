#!/bin/sh
# The second derivative of a grouped convolution is one convolution for each group in PyTorch.
#
# Seen with: torch 2.15.0, Linux x86_64, on the CPU.
# Expected:  a grouped convolution is one kernel in each direction, so a gradient penalty (R1, path length) through it costs a few more.
# Seen:      the gradient of a penalty by the weight takes 3 convolutions without groups, 10 with 8 groups and 34 with 32. StyleGAN2's
#            modulated convolutions (one group for each image) and depthwise ones thereby run thousands of small kernels in a step.
# Way out:   an autograd.Function whose derivatives are grouped convolutions themselves.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0
"$dir/venv/bin/python" -W ignore - 2>"$dir/noise" <<'PYTHON'
import torch
from torch.nn.functional import conv2d
from torch.profiler import profile


def convolutions(groups: int) -> int:
    """Convolutions in the derivative of a gradient penalty by the weight."""
    images = torch.randn(2, 32, 8, 8, requires_grad=True)
    weight = torch.randn(32, 32 // groups, 3, 3, requires_grad=True)
    logits = conv2d(images, weight, padding=1, groups=groups).square().sum()
    (slopes,) = torch.autograd.grad(logits, images, create_graph=True)
    with profile() as found:
        torch.autograd.grad(slopes.square().sum(), weight)
    return sum(event.count for event in found.key_averages() if event.key in ("aten::convolution", "aten::convolution_backward"))


counts = {groups: convolutions(groups) for groups in (1, 8, 32)}
print(f"torch {torch.__version__}: convolutions by number of groups {counts}")
assert counts == {1: 3, 8: 10, 32: 34}, "the rule has changed"
PYTHON

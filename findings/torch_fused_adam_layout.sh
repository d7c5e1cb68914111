#!/bin/sh
# PyTorch's fused Adam pairs parameters and moments by their place in memory, not by index.
#
# Seen with: torch 2.15.0, Linux x86_64, on the CPU.
# Expected:  an optimizer's state is loaded by value: a moment with the right shape and values goes on where it stopped.
# Seen:      a moment that was saved contiguous (as safetensors asks for) and is loaded beside a channels-last parameter keeps its own
#            strides. Adam(fused=False) takes the right step; Adam(fused=True) takes the moments of other elements, without a word.
# Way out:   after load_state_dict lay each moment out as its parameter: torch.empty_like(parameter).copy_(moment).
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0
"$dir/venv/bin/python" -W ignore - <<'PYTHON'
import torch


def step(fused: bool, layout: torch.memory_format) -> torch.Tensor:
    """The step after a resume, with first moments 1, 2, 3, ... by index, saved in a layout."""
    start = torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last)
    parameter = torch.nn.Parameter(start.clone())
    first = torch.optim.Adam([parameter], lr=1.0, fused=fused)
    parameter.grad = torch.zeros_like(parameter)
    first.step()
    state = first.state_dict()
    state["state"][0]["exp_avg"] = (torch.arange(24.0) + 1).view(2, 3, 2, 2).contiguous(memory_format=layout)
    state["state"][0]["exp_avg_sq"] = torch.ones(2, 3, 2, 2).contiguous(memory_format=layout)
    resumed = torch.optim.Adam([parameter], lr=1.0, fused=fused)
    resumed.load_state_dict(state)
    parameter.grad = torch.zeros_like(parameter)
    before = parameter.detach().clone()
    resumed.step()
    return parameter.detach() - before


print("torch", torch.__version__)
steps = {(fused, layout): step(fused, layout) for fused in (False, True) for layout in (torch.contiguous_format, torch.channels_last)}
plain = (steps[False, torch.contiguous_format] - steps[False, torch.channels_last]).abs().max().item()
fused = (steps[True, torch.contiguous_format] - steps[True, torch.channels_last]).abs().max().item()
largest = steps[False, torch.channels_last].abs().max().item()
print(f"difference between a contiguous and a channels-last moment: plain {plain}, fused {fused:.3f}, of steps up to {largest:.3f}")
assert plain == 0, "the plain optimizer depends on the layout now"
assert fused > 0.1 * largest, "the fused optimizer no longer depends on the layout"
PYTHON

#!/bin/sh
# A parametrization turns a buffer that no state dict holds into one that every state dict holds.
#
# Seen with: torch 2.15.0, Python 3.11, Linux x86_64.
# Expected:  a buffer registered with persistent=False stays out of the state dict when register_parametrization is put on it, as
#            it is the same tensor under another name; and is as before once the parametrization is removed.
# Seen:      [] before, ['parametrizations.weight.original'] with the parametrization, ['weight'] after its removal: frozen
#            weights that were kept out of checkpoints on purpose are in all of them from then on.
# Way out:   add "original" to the parametrization list's _non_persistent_buffers_set, which is torch's own but private.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0
cat > "$dir/program.py" <<'PYTHON'
import torch
from torch import nn
from torch.nn.utils import parametrize


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


module = nn.Module()
module.register_buffer("weight", torch.ones(2), persistent=False)
seen = [list(module.state_dict())]
parametrize.register_parametrization(module, "weight", Doubled())
seen.append(list(module.state_dict()))
parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
seen.append(list(module.state_dict()))
print(torch.__version__, *seen)
assert seen == [[], ["parametrizations.weight.original"], ["weight"]], "the behavior has changed"
PYTHON
"$dir/venv/bin/python" "$dir/program.py"

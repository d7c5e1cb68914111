#!/bin/sh
# An optimizer's first step keeps torch's process group, and its threads, alive past destroy_process_group.
#
# Seen with: torch 2.15.0, Python 3.11, Linux x86_64.
# Expected:  destroy_process_group ends the group and joins Gloo's threads, whatever was trained in between.
# Seen:      with Adam used after init_process_group three threads of Gloo live on, also after a garbage collection: the
#            optimizer imports torch._dynamo, that imports torch.distributed.nn.functional, and functions there have `group.WORLD`
#            as a default argument, which is evaluated at import: the living group. Threads that are still at work when the
#            interpreter ends can abort a process that has done its work.
# Way out:   import torch.distributed.nn.functional before init_process_group, when that default is None.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0
cat > "$dir/program.py" <<'PYTHON'
import gc
import os
import sys
from pathlib import Path

import torch
from torch import distributed

if sys.argv[2] == "imported":
    import torch.distributed.nn.functional
distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=0, world_size=1)
weight = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.Adam([weight])
weight.sum().backward()
optimizer.step()
distributed.destroy_process_group()
gc.collect()
print(sum("gloo" in (task / "comm").read_text() for task in Path("/proc/self/task").iterdir()), flush=True)
os._exit(0)
PYTHON
"$dir/venv/bin/python" -W ignore -c 'import torch; print("torch", torch.__version__)'
plain=$("$dir/venv/bin/python" -W ignore "$dir/program.py" "$dir/a" plain)
imported=$("$dir/venv/bin/python" -W ignore "$dir/program.py" "$dir/b" imported)
echo "threads of Gloo after destroy_process_group: $plain, and $imported where the module was imported before"
[ "$plain" -gt 0 ] || { echo "the group no longer lives on"; exit 1; }
[ "$imported" -eq 0 ] || { echo "the import is no longer the way out"; exit 1; }

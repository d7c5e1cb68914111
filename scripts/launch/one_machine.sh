#!/bin/sh
# Several GPUs of one machine: ./scripts/launch/one_machine.sh 4 configs/large_256.yaml --collection C --run R
# The `--` keeps torchrun from reading artgan's own options. The same command goes on where it stopped; what happened stands in
# status.json of the run, since torchrun exits with 1 after a signal even where all was saved.
set -eu
processes="${1:?usage: $0 PROCESSES [CONFIG] --collection C --run R}"
shift
exec torchrun --standalone --nproc-per-node "$processes" -m -- artgan train "$@"

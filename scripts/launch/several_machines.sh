#!/bin/sh
# Several machines that share a file system. On each of them, with the same HEAD (name or address of one of them):
#   NODES=2 GPUS=8 HEAD=node0:29400 ./scripts/launch/several_machines.sh configs/large_256.yaml --collection C --run R
# TORCH_DISABLE_SHARE_RDZV_TCP_STORE keeps restarted processes from reading what dead ones left in torchrun's store (pytorch
# issue 135712); --max-restarts 0 leaves restarting to whoever started this, since the run folder is the only state.
set -eu
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
exec torchrun --nnodes "${NODES:?}" --nproc-per-node "${GPUS:?}" --rdzv-backend c10d --rdzv-endpoint "${HEAD:?}" \
    --rdzv-id "${RUN_ID:-artgan}" --max-restarts 0 -m -- artgan train "$@"

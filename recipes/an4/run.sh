#!/usr/bin/env bash
# AN4 from the published folder (or an4_sphere.tar.gz) to a word error rate.
#
#   recipes/an4/run.sh path/to/an4 [MODEL] [flags of `asrattn train`]
#
# MODEL:                lstm, transformer, conformer
# One GPU or none:      recipes/an4/run.sh path/to/an4 conformer
# Four GPUs:            recipes/an4/run.sh path/to/an4 conformer --devices 4
# Torchrun and SLURM:   docs/guides/cluster.md
# Go on after a stop:   the same command again
set -euo pipefail
source_folder=${1:?name the folder of AN4 as published, or an4_sphere.tar.gz}
model=${2:-lstm}
shift $(($# < 2 ? $# : 2))
recipe=$(dirname "$0")/$model.py
data=data/an4
out=runs/an4-$model
read -ra launch <<<"${LAUNCH:-}" # srun or torchrun, where there are several processes

[ -e "$data/train.jsonl" ] || python -m data_prep an4 "$source_folder" "$data"
! compgen -G "$out/last*.ckpt" >/dev/null || set -- "$@" --resume
"${launch[@]}" asrattn train "$recipe" --data "$data" --out "$out" "$@"
asrattn evaluate "$out/model.safetensors" "$data/dev.jsonl" "$data/test.jsonl" --out "$out/evaluation"

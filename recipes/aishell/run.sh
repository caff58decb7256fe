#!/usr/bin/env bash
# AISHELL-1 from the published folder to a character error rate.
#
#   recipes/aishell/run.sh path/to/data_aishell [MODEL] [flags of `asrattn train`]
#
# One GPU or none:      recipes/aishell/run.sh path/to/data_aishell conformer
# Four GPUs:            recipes/aishell/run.sh path/to/data_aishell conformer --devices 4
# Torchrun and SLURM:   docs/guides/cluster.md
# Go on after a stop:   the same command again
set -euo pipefail
source_folder=${1:?name the folder data_aishell/ as published}
model=${2:-conformer}
shift $(($# < 2 ? $# : 2))
recipe=$(dirname "$0")/$model.py
data=data/aishell
out=runs/aishell-$model
read -ra launch <<<"${LAUNCH:-}" # srun or torchrun, where there are several processes

[ -e "$data/train.jsonl" ] || python -m data_prep aishell "$source_folder" "$data"
! compgen -G "$out/last*.ckpt" >/dev/null || set -- "$@" --resume
"${launch[@]}" asrattn train "$recipe" --data "$data" --out "$out" "$@"
asrattn evaluate "$out/model.safetensors" "$data/dev.jsonl" "$data/test.jsonl" --out "$out/evaluation"

#!/usr/bin/env bash
# speechocean762 from the published folder to a word error rate.
#
#   recipes/speechocean762/run.sh path/to/speechocean762 [MODEL] [flags of `asrattn train`]
#
# MODEL:                conformer, lstm
# One GPU or none:      recipes/speechocean762/run.sh path/to/speechocean762 conformer
# Four GPUs:            recipes/speechocean762/run.sh path/to/speechocean762 conformer --devices 4
# Torchrun and SLURM:   docs/guides/cluster.md
# Go on after a stop:   the same command again
set -euo pipefail
source_folder=${1:?name the folder speechocean762/ as published}
model=${2:-conformer}
shift $(($# < 2 ? $# : 2))
recipe=$(dirname "$0")/$model.py
data=data/speechocean762
out=runs/speechocean762-$model
read -ra launch <<<"${LAUNCH:-}" # srun or torchrun, where there are several processes

[ -e "$data/train.jsonl" ] || python -m data_prep speechocean762 "$source_folder" "$data"
! compgen -G "$out/last*.ckpt" >/dev/null || set -- "$@" --resume
"${launch[@]}" asrattn train "$recipe" --data "$data" --out "$out" "$@"
asrattn evaluate "$out/model.safetensors" "$data/dev.jsonl" "$data/test.jsonl" --out "$out/evaluation"

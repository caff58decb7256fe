#!/usr/bin/env bash
# One language of Common Voice from the published folder to a word error rate.
#
#   recipes/commonvoice/run.sh path/to/cv-corpus/en [MODEL] [flags of `asrattn train`]
#
# MODEL:                conformer, small
# One GPU or none:      recipes/commonvoice/run.sh path/to/cv-corpus/en conformer
# Four GPUs:            recipes/commonvoice/run.sh path/to/cv-corpus/en conformer --devices 4
# Torchrun and SLURM:   docs/guides/cluster.md
# Go on after a stop:   the same command again
set -euo pipefail
source_folder=${1:?name the folder of one language, with clips/ in it}
model=${2:-conformer}
shift $(($# < 2 ? $# : 2))
recipe=$(dirname "$0")/$model.py
data=data/commonvoice-$(basename "$source_folder")
out=runs/commonvoice-$model
read -ra launch <<<"${LAUNCH:-}" # srun or torchrun, where there are several processes

[ -e "$data/train.jsonl" ] || python -m data_prep commonvoice "$source_folder" "$data" --lower --strip-punctuation
! compgen -G "$out/last*.ckpt" >/dev/null || set -- "$@" --resume
"${launch[@]}" asrattn train "$recipe" --data "$data" --out "$out" "$@"
asrattn evaluate "$out/model.safetensors" "$data/dev.jsonl" "$data/test.jsonl" --out "$out/evaluation"

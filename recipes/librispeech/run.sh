#!/usr/bin/env bash
# LibriSpeech from the published folder to a word error rate.
#
#   recipes/librispeech/run.sh path/to/LibriSpeech [MODEL] [flags of `asrattn train`]
#
# MODEL:                conformer100, transformer100, lstm100 (100 hours), conformer960, transformer960, lstm960
# One GPU or none:      recipes/librispeech/run.sh path/to/LibriSpeech conformer960
# Four GPUs:            recipes/librispeech/run.sh path/to/LibriSpeech conformer960 --devices 4
# Torchrun and SLURM:   docs/guides/cluster.md
# Go on after a stop:   the same command again
set -euo pipefail
source_folder=${1:?name the folder LibriSpeech/ as published}
model=${2:-conformer100}
shift $(($# < 2 ? $# : 2))
recipe=$(dirname "$0")/$model.py
data=data/librispeech-${model//[!0-9]/}
out=runs/librispeech-$model
read -ra launch <<<"${LAUNCH:-}" # srun or torchrun, where there are several processes

parts=()
[[ $model != *100 ]] || parts=(--train train-clean-100)
[ -e "$data/train.jsonl" ] || python -m data_prep librispeech "$source_folder" "$data" "${parts[@]}"
! compgen -G "$out/last*.ckpt" >/dev/null || set -- "$@" --resume
"${launch[@]}" asrattn train "$recipe" --data "$data" --out "$out" "$@"
asrattn evaluate "$out/model.safetensors" "$data"/{dev,test}-{clean,other}.jsonl --out "$out/evaluation"

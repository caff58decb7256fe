#!/usr/bin/env bash
# AN4 from the published folder (or an4_sphere.tar.gz) to a word error rate.
#
#   recipes/an4/run.sh path/to/an4 [lstm|transformer|conformer] [flags of `asrattn train`]
#
# One GPU or none:   recipes/an4/run.sh path/to/an4 conformer
# Four GPUs:         recipes/an4/run.sh path/to/an4 conformer --devices 4
# Go on after a stop: recipes/an4/run.sh path/to/an4 conformer --resume
set -euo pipefail
source_folder=${1:?name the folder of AN4 as published, or an4_sphere.tar.gz}
model=${2:-lstm}
shift $(($# < 2 ? $# : 2))
here=$(dirname "$0")
data=data/an4
out=runs/an4-$model

[ -f $data/train.jsonl ] || python -m data_prep an4 "$source_folder" $data
asrattn train "$here/$model.py" --data $data --out "$out" "$@"
asrattn evaluate "$out/model.safetensors" $data/dev.jsonl $data/test.jsonl --out "$out/evaluation"

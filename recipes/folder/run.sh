#!/usr/bin/env bash
# Own recordings (audio files next to .txt files of the same name) to a word error rate.
#
#   recipes/folder/run.sh RECORDINGS [NAME] [flags of `asrattn train`]
#
# From Whisper:         asrattn import openai/whisper-tiny.en --out whisper.safetensors
#                       recipes/folder/run.sh ~/recordings mine --init whisper.safetensors
# One GPU or none:      recipes/folder/run.sh ~/recordings mine
# Two GPUs:             recipes/folder/run.sh ~/recordings mine --devices 2
# Torchrun and SLURM:   docs/guides/cluster.md
# Go on after a stop:   the same command again
set -euo pipefail
recordings=${1:?name the folder of recordings}
name=${2:-mine}
shift $(($# < 2 ? $# : 2))
data=data/$name
out=runs/$name
read -ra launch <<<"${LAUNCH:-}" # srun or torchrun, where there are several processes

[ -f "$data/train.jsonl" ] || python -m data_prep folder "$recordings" "$data"
! compgen -G "$out/last*.ckpt" >/dev/null || set -- "$@" --resume
recipe=$(dirname "$0")/lstm.py
for flag in "$@"; do
  case $flag in --init | --init=*) recipe=$(dirname "$0")/../whisper/finetune.py ;; esac
done
"${launch[@]}" asrattn train "$recipe" --data "$data" --out "$out" "$@"
asrattn evaluate "$out/model.safetensors" "$data/test.jsonl" --out "$out/evaluation"

#!/usr/bin/env bash
# The main job, start to finish, on speech made offline: corpus, training, transcription, word error rate, a page.
#
#   recipes/demo/run.sh [OUT]
set -euo pipefail
here=$(dirname "$0")
out=${1:-runs/demo}
say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

say "1. A corpus of spoken words: speakers of train, dev and test are different"
python -m data_prep demo "$out/data"
say "2. Training: a bidirectional LSTM encoder, location-aware attention, an LSTM decoder"
rm -rf "$out/model"
asrattn train "$here/lstm.py" --data "$out/data" --out "$out/model"
say "3. A recording that was in no split, by an unseen voice"
asrattn transcribe "$out/model/model.safetensors" "$out/data/unseen.wav"
printf 'it was: %s\n' "$(cat "$out/data/unseen.txt")" >&2
say "4. The word error rate on unseen voices, with its 95 % interval"
asrattn evaluate "$out/model/model.safetensors" "$out/data/test.jsonl" --out "$out/evaluation"
say "Open:   $out/evaluation/report.html"
cat >&2 <<END
Next, your own recordings (audio files, each next to a .txt of the same name):
  source .venv/bin/activate
  python -m data_prep folder RECORDINGS data/mine
  asrattn train recipes/folder/lstm.py --data data/mine --out runs/mine
  asrattn transcribe runs/mine/model.safetensors new.wav
  asrattn evaluate runs/mine/model.safetensors data/mine/test.jsonl --out runs/mine/evaluation
END

#!/usr/bin/env bash
# All that is to be measured on a GPU, in one command of at most nine minutes, on a machine without a network:
#
#   benchmarks/gpu.sh [--out DIR] [--wheels DIR] [--commit HASH] [--device cuda|cpu] [--small]
#
# Tables for the ledger go to stdout and into DIR (default: gpu-results), progress and errors to stderr and into DIR.
# A part that fails or takes too long is named at the end, and the others are done all the same; the status is 1 then.
# --device cpu --small tries everything on a CPU, in sizes that say nothing about speed.
#
# The machine needs Python ($PYTHON, python3) with torch, torchaudio, Lightning, numpy, scipy, safetensors, sentencepiece,
# matplotlib, tensorboard, tqdm, pytest and hypothesis. What it lacks of the project's dependencies comes from a folder
# of wheels (5 MB), filled on a machine with a network:
#
#   python -m pip download --no-deps --only-binary=:all: --constraint constraints.txt --dest WHEELS \
#     --python-version 3.12 --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 \
#     soundfile cffi pycparser soxr jiwer rapidfuzz click
#
# (librosa is not needed here.) They are installed into a folder that is removed at the end.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
out=gpu-results wheels="" device=cuda small=()
export BENCHMARK_COMMIT=${BENCHMARK_COMMIT:-} BENCHMARK_COMMAND="benchmarks/gpu.sh $*"
while (($#)); do
  case $1 in
    --out | --wheels | --commit | --device)
      (($# > 1)) || { echo "$0: $1 needs a value" >&2; exit 2; } ;;&
    --out) out=$2; shift 2 ;;
    --wheels) wheels=$2; shift 2 ;;
    --commit) BENCHMARK_COMMIT=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    --small) small=(--small); shift ;;
    *) echo "$0: $1 is unknown; known are --out, --wheels, --commit, --device and --small" >&2; exit 2 ;;
  esac
done

# Seconds for each part, and for all together.
parts=(tests steps features decoding resume)
declare -A budget=([tests]=130 [steps]=190 [features]=40 [decoding]=75 [resume]=75)
whole=525
if [[ $device == cpu ]]; then # whose speed is not the matter
  export OMP_NUM_THREADS=1
  for part in "${parts[@]}"; do budget[$part]=$((5 * budget[$part])); done
  whole=$((5 * whole))
fi

export PYTHONPATH=$root PYTHONUNBUFFERED=1
if [[ $wheels ]]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install --quiet --no-index --find-links "$wheels" --no-deps --target "$site" "$wheels"/*.whl || exit 1
  export PYTHONPATH=$root:$site
fi
"$python" -m benchmarks.gpu check --device "$device" || exit 1
mkdir -p "$out" && out=$(cd "$out" && pwd) && cd "$root" || exit 1

summary="" status=0
for part in "${parts[@]}"; do
  left=$((whole - SECONDS)) limit=${budget[$part]}
  ((limit < left)) || limit=$left
  start=$SECONDS outcome="done"
  if ((limit < 10)); then
    outcome="not begun: out of time" status=1
  else
    echo "$part: at most $limit s" >&2
    timeout --kill-after 5 "$limit" "$python" -m benchmarks.gpu "$part" --device "$device" \
      --seconds $((limit - 30)) "${small[@]}" 2> >(tee "$out/$part.log" >&2) | tee "$out/$part.md"
    case ${PIPESTATUS[0]} in
      0) ;;
      124 | 137) outcome="stopped after $limit s" status=1 ;;
      *) outcome="failed, see $part.log" status=1 ;;
    esac
  fi
  summary+="| $part | $outcome | $((SECONDS - start)) |"$'\n'
done
printf '\n## Parts\n\n| part | outcome | seconds |\n| --- | --- | --- |\n%s' "$summary" | tee "$out/parts.md"
exit "$status"

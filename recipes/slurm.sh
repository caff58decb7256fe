#!/usr/bin/env bash
# A training on a SLURM cluster, which comes back by itself after a time limit or a pre-emption.
#
#   sbatch --nodes 2 recipes/slurm.sh recipes/librispeech/run.sh path/to/LibriSpeech conformer960
#
#SBATCH --job-name=asrattn
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=9
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

come_back() { # $1: a signal to pass on, or none, where SLURM has told the processes itself
    trap '' USR1 TERM
    [ -z "$1" ] || kill -"$1" -- "-$job" # the whole group: run.sh, and srun, which tells the processes of every node
    while kill -0 -- "-$job" 2>/dev/null; do sleep 1; done
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}

export LAUNCH="srun --kill-on-bad-exit=1"
set -m # run.sh and all it starts are a group of their own
"$@" --devices "$SLURM_NTASKS_PER_NODE" --nodes "$SLURM_JOB_NUM_NODES" &
job=$!
trap 'come_back TERM' USR1
trap 'come_back ""' TERM
wait "$job"

#!/usr/bin/env bash
# Runs one config on a SLURM node:   sbatch experiments/cluster/slurm.sh CONFIG [key=value ...]
# Resources are sbatch's own options (they override the lines below); the rest are environment variables:
#   PDEJAX_VENV   virtual environment to use           (default: .venv in the checkout)
#SBATCH --job-name=pdejax
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-task=1
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --signal=INT@120
#SBATCH --output=%x-%j.log
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "slurm.sh wants a config file: sbatch experiments/cluster/slurm.sh configs/quickstart.yaml [key=value ...]" >&2
    exit 2
fi

# SLURM runs a copy of this script from its spool folder, so the checkout is where sbatch was called.
cd "${SLURM_SUBMIT_DIR:-$PWD}"
venv=${PDEJAX_VENV:-.venv}

if [ ! -x "$venv/bin/pdejax" ]; then
    echo "no pdejax in $venv: install it there, or point PDEJAX_VENV to the environment that has it" >&2
    exit 2
fi

# --signal above sends INT two minutes before the time limit, as Ctrl-C does: the run stops resumable.
launch=()
if command -v srun >/dev/null; then launch=(srun); fi
exec "${launch[@]}" "$venv/bin/pdejax" run "$@"

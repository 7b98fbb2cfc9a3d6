#!/usr/bin/env bash
# Runs one config on a TPU VM, from a checkout on that machine:   experiments/cluster/tpu_vm.sh CONFIG [key=value ...]
# Environment variables:
#   PDEJAX_VENV   virtual environment, made on first use (default: .venv in the checkout)
#   PDEJAX_JAX    what to install for the accelerator    (default: jax[tpu])
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "tpu_vm.sh wants a config file: experiments/cluster/tpu_vm.sh configs/quickstart.yaml [key=value ...]" >&2
    exit 2
fi

cd "$(dirname "$0")/../.."
venv=${PDEJAX_VENV:-.venv}

if [ ! -x "$venv/bin/pdejax" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -e . "${PDEJAX_JAX:-jax[tpu]}"
fi

exec "$venv/bin/pdejax" run "$@"

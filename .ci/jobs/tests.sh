#!/usr/bin/env bash
source .ci/lib/common.sh
oldest
python -c 'import jax, sys; print("Python", sys.version.split()[0], "JAX", jax.__version__)'
pytest -n 2 -q -m 'not (slow or gpu or network or browser)' \
  --cov --cov-report=term:skip-covered --cov-fail-under=90

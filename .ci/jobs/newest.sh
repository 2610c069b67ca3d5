#!/usr/bin/env bash
source .ci/lib/common.sh
newest=
for candidate in python3.14 python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
    newest=$candidate
    break
  fi
done
if [ -z "$newest" ] && [ "${THEORYLAB_CI_NEWEST:-}" = skip ]; then
  echo "The newest JAX is not tested: there is no Python 3.12 or newer, and THEORYLAB_CI_NEWEST=skip."
  exit 0
fi
if [ -z "$newest" ]; then
  echo "The newest JAX needs Python 3.12 or newer and there is none here: install one, or say that" \
    "it is not to be tested by THEORYLAB_CI_NEWEST=skip" >&2
  exit 1
fi
environment newest "$newest" dev
python -c 'import jax, sys; print("Python", sys.version.split()[0], "JAX", jax.__version__)'
step "the core at full optimisation, as users run it"
XLA_FLAGS='' pytest -n 2 -q tests/ntk
chosen=()
in_turn 2 < <(find tests -name 'test_*.py' -not -path 'tests/ntk/*' | sort)
step "${#chosen[@]} other files by the README's command"
pytest -n 2 -q "${chosen[@]}"

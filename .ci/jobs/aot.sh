#!/usr/bin/env bash
# A few kernels a time, compiled for accelerators that are not here. The compilers are 1.2 GB.
source .ci/lib/common.sh
newest=
for candidate in python3.14 python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
    newest=$candidate
    break
  fi
done
if [ -z "$newest" ]; then
  echo "SKIPPED: nothing is compiled for accelerators: the compilers need Python 3.12 or newer."
  exit 0
fi
set +e # a failure to install is told, and is none of the kernels'
(set -e; environment aot "$newest" dev,aot) 2>"$work/aot.said"
installed=$?
set -e
if [ "$installed" != 0 ]; then
  echo "SKIPPED: nothing is compiled for accelerators: the extra 'aot' could not be installed:" \
    "$(grep -i error "$work/aot.said" | tail -n 1)"
  exit 0
fi
environment aot "$newest" dev,aot
step "kernels for an H100 and a TPU v5e"
THEORYLAB_AOT=${THEORYLAB_AOT:-rota} pytest -q -m aot tests/aot

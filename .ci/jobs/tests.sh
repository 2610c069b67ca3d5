#!/usr/bin/env bash
source .ci/lib/common.sh
oldest
python -c 'import jax, sys; print("Python", sys.version.split()[0], "JAX", jax.__version__)'

# The longer checks in turn: all of them run within four runs.
mapfile -t every < <(grep -rlE 'mark\.long' tests --include='*.py' | sort)
case ${THEORYLAB_CI_LONG:-rota} in
  rota)
    turn=$(git rev-list --count HEAD)
    chosen=()
    for i in "${!every[@]}"; do
      if [ $(((i + turn) % 4)) = 0 ]; then chosen+=("${every[i]}"); fi
    done
    ;;
  all) chosen=("${every[@]}") ;;
  none) chosen=() ;;
  *) read -ra chosen <<<"$THEORYLAB_CI_LONG" ;;
esac
if [ "${#chosen[@]}" -gt 0 ]; then
  step "longer checks: ${#chosen[@]} of ${#every[@]} files"
  pytest -n 2 -q -m 'long and not (slow or gpu or network or browser)' --cov --cov-report= \
    "${chosen[@]}"
fi
step "the README's command"
pytest -n 2 -q --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=90

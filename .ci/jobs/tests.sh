#!/usr/bin/env bash
source .ci/lib/common.sh
oldest
python -c 'import jax, sys; print("Python", sys.version.split()[0], "JAX", jax.__version__)'

chosen=()
least=85 # percent of the lines; all longer checks together reach 90
if [ "${THEORYLAB_CI_LONG:-}" = all ]; then least=90; fi
case ${THEORYLAB_CI_LONG:-rota} in
  rota) in_turn 4 < <(grep -rlE 'mark\.long' tests --include='*.py' | sort) ;;
  all) chosen=(tests) ;;
  none) ;;
  *) read -ra chosen <<<"$THEORYLAB_CI_LONG" ;;
esac
if [ "${#chosen[@]}" -gt 0 ]; then
  step "longer checks of ${chosen[*]}"
  pytest -n 2 -q -m 'long and not (slow or gpu or network or browser)' --cov --cov-report= \
    "${chosen[@]}"
fi
step "the README's command"
pytest -n 2 -q --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=$least

#!/usr/bin/env bash
source .ci/lib/common.sh
oldest
python -c 'import jax, sys; print("Python", sys.version.split()[0], "JAX", jax.__version__)'

chosen=()
case ${THEORYLAB_CI_LONG:-rota} in
  rota) in_turn 4 < <(grep -rlE 'mark\.long' tests --include='*.py' | sort) ;;
  all) chosen=(tests) ;;
  none) ;;
  *) read -ra chosen <<<"$THEORYLAB_CI_LONG" ;;
esac
step "smoke run of every paper, whose lines count too"
smoke_runs
export COVERAGE_FILE=$work/lines/.coverage
rm -rf "$work/lines"
mkdir "$work/lines"
coverage combine -q --keep "$work/smoke/lines"
if [ "${#chosen[@]}" -gt 0 ]; then
  step "longer checks of ${chosen[*]}"
  pytest -n 2 -q -m 'long and not (slow or gpu or network or browser)' --cov --cov-append \
    --cov-report= "${chosen[@]}"
fi
step "the README's command"
pytest -n 2 -q --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=90

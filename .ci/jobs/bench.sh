#!/usr/bin/env bash
# Benchmarks run by hand rot: two of them a time at the smallest sizes, whose times say nothing.
source .ci/lib/common.sh
oldest
mapfile -t every < <(theorylab bench | sed -n 's/^\([a-z_]*\): .*/\1/p')
case ${THEORYLAB_CI_BENCH:-rota} in
  rota)
    turn=$(git rev-list --count HEAD)
    chosen=("${every[turn * 2 % ${#every[@]}]}" "${every[(turn * 2 + 1) % ${#every[@]}]}")
    ;;
  all) chosen=("${every[@]}") ;;
  none) exit 0 ;;
  *) read -ra chosen <<<"$THEORYLAB_CI_BENCH" ;;
esac
step "benchmarks: ${chosen[*]}"
XLA_FLAGS=$(quick_compilation) timeout 600 \
  theorylab bench "${chosen[@]}" --preset smoke --out "$work/bench" --against benchmarks/results

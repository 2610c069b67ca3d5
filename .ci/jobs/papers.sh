#!/usr/bin/env bash
source .ci/lib/common.sh
oldest
theorylab doctor
step "smoke run of every paper"
smoke_runs
step "claims"
rooms | XLA_FLAGS=$(quick_compilation) xargs -P 2 -I{} theorylab verify {} --preset smoke

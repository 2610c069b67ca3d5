#!/usr/bin/env bash
source .ci/lib/common.sh
oldest
theorylab doctor
step "smoke run and claims of every paper"
smoke_runs

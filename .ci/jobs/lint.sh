#!/usr/bin/env bash
source .ci/lib/common.sh
oldest
step "style"
ruff check .
ruff format --check .
step "import layers"
lint-imports
step "types"
mypy
if command -v shellcheck >/dev/null; then
  step "shell scripts"
  shellcheck -x .ci/run .ci/lib/*.sh .ci/jobs/*.sh
fi

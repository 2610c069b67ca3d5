#!/usr/bin/env bash
source .ci/lib/common.sh
oldest
if ! command -v chromium-headless-shell >/dev/null && ! command -v chromium >/dev/null; then
  step "Chromium"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium-headless-shell
  else
    playwright install chromium  # where there is no Debian, or no right to install
  fi >/dev/null
fi
step "what the report shows"
smoke_runs
step "the report"
theorylab report --out "$work/site" --preset smoke --store "$work/smoke/store" --figures "$work/smoke/figures"
step "its tests"
THEORYLAB_BROWSER=required THEORYLAB_SITE="$work/site" pytest -q -m browser tests/browser

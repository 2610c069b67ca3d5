# What the jobs share. A job is run from the root of the repository, alone or side by side with others.
# shellcheck shell=bash
set -euo pipefail

if [ -z "${THEORYLAB_CI_WORK:-}" ]; then  # a job that is run by hand
  THEORYLAB_CI_WORK=$(mktemp -d)
  trap 'rm -rf "$THEORYLAB_CI_WORK"' EXIT
fi
work=$THEORYLAB_CI_WORK
export THEORYLAB_STORE="$work/store" THEORYLAB_DATA="${THEORYLAB_DATA:-$work/data}"

step() { printf '\n-- %s (%s s)\n' "$1" "$SECONDS"; }

# Makes an environment, once: the first job that needs it makes it and the others wait.
#   environment NAME PYTHON EXTRAS
environment() {
  local folder="$work/$1" state
  state="$PWD $2 $3 $(cksum <pyproject.toml)"
  exec 9>"$folder.lock"
  flock 9
  if [ "$(cat "$folder/made" 2>/dev/null)" != "$state" ]; then
    rm -rf "$folder"
    "$2" -m venv "$folder"
    "$folder/bin/pip" install -q --disable-pip-version-check -e ".[$3]"
    printf '%s\n' "$state" >"$folder/made"
  fi
  exec 9>&-
  export PATH="$folder/bin:$PATH"
}

# The oldest JAX is what installs with the oldest Python.
oldest() {
  local python=python3
  if python3.11 --version >/dev/null 2>&1; then python=python3.11; fi
  environment oldest "$python" dev,docs,browser
}

# Most of a smoke run is compilation: compile quickly, as tests/conftest.py does.
quick_compilation() {
  local flags="--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
  flags+=" --xla_cpu_parallel_codegen_split_count=1"
  case $(python -c 'import jaxlib; print(jaxlib.__version__)') in
    0.10.*) flags+=" --xla_cpu_use_fusion_emitters=false" ;;
  esac
  printf '%s' "$flags"
}

# Puts every Nth line of the input into `chosen`, with another start after every commit: N runs in a
# row take them all.
#   in_turn N
in_turn() {
  local every i turn
  turn=$(git rev-list --count HEAD)
  mapfile -t every
  for i in "${!every[@]}"; do
    if [ $(((i + turn) % $1)) = 0 ]; then chosen+=("${every[i]}"); fi
  done
}

# The rooms, or those of THEORYLAB_CI_ROOMS.
rooms() {
  local room
  if [ -n "${THEORYLAB_CI_ROOMS:-}" ]; then
    xargs -n 1 <<<"$THEORYLAB_CI_ROOMS"
    return
  fi
  for room in theorylab/papers/*/__init__.py; do basename "$(dirname "$room")"; done
}

# The smoke run of every paper and its claims, once, in a store of its own, so that all is computed.
# The lines that run are kept too: the tests add them to their own.
smoke_runs() {
  local flags
  flags=$(quick_compilation)
  exec 8>"$work/smoke.lock"
  flock 8
  if [ ! -f "$work/smoke/made" ]; then
    rm -rf "$work/smoke"
    mkdir -p "$work/smoke/lines"
    rooms | XLA_FLAGS=$flags THEORYLAB_STORE=$work/smoke/store xargs -P 2 -I{} bash -c '
      set -e
      counted=(coverage run "--data-file=$2/lines/.coverage" -m theorylab)
      "${counted[@]}" reproduce "$1" --preset smoke --out "$2/figures"
      "${counted[@]}" verify "$1" --preset smoke --out "$2/figures"
    ' smoke {} "$work/smoke"
    touch "$work/smoke/made"
  fi
  exec 8>&-
}

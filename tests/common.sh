# shellcheck shell=bash
# Shared by the shell tests. A test exits 0 (passed), 77 (skipped: `skip REASON`) or anything else (`fail WHAT`).
# Gives: $program, $scratch (gone afterwards), `ranks N PROGRAM ...`, `synth FILE COUNT`, `expect_code`.
set -u
source_root=${LANGRUN_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
build=${LANGRUN_BUILD:-$source_root/build}
program=${LANGRUN_PROGRAM:-$build/langrun}
export LANGRUN_SHARED=${LANGRUN_SHARED:-$source_root/../shared}
export OMP_NUM_THREADS=1
# The page at the end of a run takes longer than a small run itself. Tests of pages switch it on.
export LANGRUN_REPORT=off
# shellcheck source=../launch/mpi
. "$source_root/launch/mpi"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
skip() {
  echo "SKIPPED: $*"
  exit 77
}

[[ -x $program ]] || fail "no program at $program: build first"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/langrun-test.XXXXXX") || fail "no scratch folder"
trap 'rm -rf "$scratch"' EXIT

# need PROGRAM...: skips the test where one is not installed.
need() {
  local name
  for name in "$@"; do command -v "$name" >/dev/null || skip "there is no $name here"; done
}

# synth FILE COUNT [SIZE]: a store of built-in images.
synth() {
  "$program" data synth "$1" --count "$2" --size "${3:-32}" --seed 7 >"$scratch/synth.out" 2>&1 ||
    fail "data synth: $(tail -n 1 "$scratch/synth.out")"
}

# expect_code CODE COMMAND...: output goes to $scratch/out and $scratch/err.
expect_code() {
  local wanted=$1 code
  shift
  "$@" >"$scratch/out" 2>"$scratch/err"
  code=$?
  [[ $code = "$wanted" ]] || fail "exit $code where $wanted was expected: $* ($(tail -n 1 "$scratch/err"))"
}

# one_rank RANK PREPARATION: makes $scratch/one_rank, the program, before which that rank alone does what PREPARATION says.
one_rank() {
  # shellcheck disable=SC2016  # for the script that is written
  printf '#!/bin/bash\nif [[ ${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}} = %s ]]; then %s; fi\nexec "%s" "$@"\n' "$1" "$2" "$program" >"$scratch/one_rank"
  chmod +x "$scratch/one_rank"
}

# error_lines FILE: how many error lines of langrun's own it holds.
error_lines() { grep -c '^langrun: error: ' "$1"; }

# train RUN RANKS OPTIONS...: a shortrun of a second or so on the store $data, into $scratch/RUN; what it prints goes to
# RUN.out and RUN.err beside it, or LOG.out and LOG.err where $log names another place.
train() {
  local run=$scratch/$1 n=$2 out=${log:-$scratch/$1}
  shift 2
  ranks "$n" "$program" shortrun --data "$data" --run "$run" --energy.network light --energy.width 4 \
    --generator.network sngan32 --generator.width 4 --generator.latent 8 --batch 16 --bank.size 60 --langevin.steps 3 \
    --seed 11 "$@" >"$out.out" 2>"$out.err"
}

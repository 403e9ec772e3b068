#!/bin/bash
# The quickstart in a clean clone: a stranger's first call, short. Shares the LibTorch and the compilers of this build;
# the compiler cache makes its build a matter of a minute. Then a second call: nothing set up again, nothing overwritten.
. "$(dirname "$0")/../common.sh"
export LANGRUN_REPORT=on
need git mpirun
git -C "$source_root" rev-parse HEAD >/dev/null 2>&1 || skip "$source_root is not a git checkout, so there is nothing to clone"

cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
clone=$scratch/clone
git clone -q "$source_root" "$clone" || fail "git clone"
cd "$clone" || fail "no clone"
export LANGRUN_TORCH=${LANGRUN_TORCH:-$(cached LANGRUN_TORCH)} LANGRUN_BUILD=$clone/build
# At the same place within the clone as within the source: paths are what the compiler cache goes by.
if [[ $LANGRUN_TORCH = "$source_root"/.venv/* ]]; then
  ln -s "$source_root/.venv" .venv
  LANGRUN_TORCH=$clone/${LANGRUN_TORCH#"$source_root"/}
fi
if [[ $(cached LANGRUN_CUDA) = OFF ]]; then
  export LANGRUN_CPU_ONLY=1
else
  LANGRUN_NVCC=$(cached CMAKE_CUDA_COMPILER)
  export LANGRUN_NVCC
fi

quickstart() { # quickstart NUMBER
  local out=$scratch/quickstart-$1.out run=$clone/runs/quickstart-$1 picture report
  launch/quickstart --steps 6 --langevin.steps 3 --bank.size 128 >"$out" 2>&1 ||
    fail "quickstart $1: exit $?: $(tail -n 5 "$out")"
  # The run names its report too; the two last lines are the quickstart's.
  picture=$(tail -n 2 "$out" | sed -n 's/^samples: *//p')
  report=$(tail -n 2 "$out" | sed -n 's/^report: *//p')
  [[ $picture = "$run"/samples/*.png ]] || fail "quickstart $1 names no picture of its run: '$picture'"
  [[ $(head -c 4 "$picture" | tail -c 3) = PNG ]] || fail "$picture is not a PNG"
  [[ $report = "$run/report.html" ]] || fail "quickstart $1 names no report of its run: '$report'"
  grep -qi '<html' "$report" || fail "$report is not a page"
  [[ $(wc -l <"$run/metrics.jsonl") = 6 ]] || fail "$run/metrics.jsonl does not hold 6 steps"
  head -n 1 "$run/metrics.jsonl" | grep -q '"step": *1[,}]' || fail "the first line of metrics is not step 1"
  "$build/langrun" run verify "$run" >"$scratch/verify" 2>&1 || fail "run verify: $(tail -n 1 "$scratch/verify")"
}

quickstart 1
(cd runs/quickstart-1 && find . -type f -exec cksum {} + | sort) >"$scratch/before"
quickstart 2
(cd runs/quickstart-1 && find . -type f -exec cksum {} + | sort) >"$scratch/after"
cmp -s "$scratch/before" "$scratch/after" || fail "the second quickstart changed the first one's folder"
grep -q 'configuring\|installing' "$scratch/quickstart-2.out" && fail "the second quickstart set up again"
[[ -z $(git status --porcelain) ]] || fail "the quickstart left files that git sees: $(git status --porcelain | head -n 3)"
grep '^setup: ready' "$scratch"/quickstart-?.out | sed 's/.*setup: /setup: /; s/: \/.*//'

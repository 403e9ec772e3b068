#!/bin/bash
# A short run of the fuzzers of our own readers: no finding, and every target has run.
. "$(dirname "$0")/../common.sh"
LANGRUN_BUILD=$build "$source_root/tests/fuzz/run" --seconds 2 >"$scratch/out" 2>"$scratch/err"
code=$?
[[ $code != 77 ]] || skip "$(tail -n 1 "$scratch/out")"
[[ $code = 0 ]] || fail "tests/fuzz/run ends with $code: $(cat "$scratch/err" "$scratch/out")"
for source in "$source_root"/tests/fuzz/targets/*.cpp; do
  target=$(basename "$source" .cpp)
  grep -qE "^$target: [1-9][0-9]* executions" "$scratch/out" || fail "$target has not run: $(cat "$scratch/out")"
  [[ -n $(find "$source_root/tests/fuzz/corpus/$target" -type f -print -quit) ]] || fail "$target has no seeds"
done
tail -n 1 "$scratch/out"

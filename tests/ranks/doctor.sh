#!/bin/bash
# doctor: nothing is broken here on 1, 2 and 4 ranks; what is broken on purpose is named, with the exit code that fits; it
# leaves nothing behind.
. "$(dirname "$0")/../common.sh"
python=${LANGRUN_PYTHON:-python3}
need "$python"
data=$scratch/data.h5
synth "$data" 256
small=(--link-megabytes 1 --folder-megabytes 4)

# line NAME VERDICT: the check's line has this verdict.
line() {
  grep -qE "^$2 +$1 " "$scratch/out" || fail "$1 is not $2: $(grep " $1 " "$scratch/out"; cat "$scratch/err")"
}

mkdir "$scratch/run"
for n in 1 2 4; do
  expect_code 0 ranks "$n" "$program" doctor --run "$scratch/run" --data "$data" --device cpu "${small[@]}" --json "$scratch/$n.json"
  grep -q '^broken' "$scratch/out" && fail "$n ranks: $(grep '^broken' "$scratch/out")"
  for check in versions processors memory GPUs clocks 'free space' data; do line "$check" ok; done
  [[ $(grep -cE '^(ok|slow) +links ' "$scratch/out") = 1 ]] || fail "links on $n ranks: $(cat "$scratch/out")"
  [[ -z $(ls -A "$scratch/run") ]] || fail "left in the folder: $(ls -A "$scratch/run")"
  "$python" -c 'import json,sys; d=json.load(open(sys.argv[1])); sys.exit(d["exit"] != 0 or len(d["checks"]) < 10)' "$scratch/$n.json" ||
    fail "JSON of $n ranks"
done
grep -qE '^[a-z]+ +links +6 of 6 pairs; within hosts: ' "$scratch/out" || fail "pairs of 4 ranks: $(grep links "$scratch/out")"
# Fewer rounds see fewer pairs.
expect_code 0 ranks 4 "$program" doctor --rounds 1 "${small[@]}"
grep -qE 'links +2 of 6 pairs' "$scratch/out" || fail "one round: $(grep links "$scratch/out")"

# A folder that is not there yet is not there afterwards, nor are those above it.
expect_code 0 ranks 2 "$program" doctor --run "$scratch/new/deep" "${small[@]}"
[[ ! -e $scratch/new ]] || fail "the folder stays"

# Broken on purpose.
expect_code 6 ranks 2 "$program" doctor --run "$data/below-a-file" "${small[@]}"
line 'run folder' broken
expect_code 3 ranks 2 "$program" doctor --data "$scratch/missing.h5" "${small[@]}"
line data broken
head -c 100000 "$data" >"$scratch/cut.h5"
expect_code 3 ranks 2 "$program" doctor --data "$scratch/cut.h5" "${small[@]}"
line data broken
expect_code 6 ranks 2 "$program" doctor --run "$scratch/run" --free 1000000 "${small[@]}"
line 'free space' broken
expect_code 2 ranks 2 "$program" doctor --memory 1000000 "${small[@]}"
line memory broken
# One rank alone sees another store, and another program has few files: the rank is named.
one_rank 1 'ulimit -n 60'
expect_code 2 ranks 2 "$scratch/one_rank" doctor "${small[@]}"
line limits broken
grep -q 'limits .*rank 1 on ' "$scratch/out" || fail "rank 1 is not named: $(cat "$scratch/out")"
[[ $(grep -c '^broken' "$scratch/out") = 1 ]] || fail "more is broken: $(cat "$scratch/out")"

# More threads than cores.
cores=$(nproc)
expect_code 0 ranks 2 "$program" doctor --threads "$((cores + 1))" "${small[@]}"
line threads slow
grep -q ' -> ' <(grep threads "$scratch/out") || fail "no advice: $(grep threads "$scratch/out")"

# Needs from a plan; of another number of ranks it is none.
"$program" plan shortrun --preset cifar10-small --ranks 2 --throughput 1000 --json "$scratch/plan.json" >/dev/null 2>"$scratch/err" ||
  fail "plan: $(cat "$scratch/err")"
expect_code 0 ranks 2 "$program" doctor --plan "$scratch/plan.json" --run "$scratch/run" "${small[@]}"
grep -qE 'memory .* needed' "$scratch/out" || fail "the plan's memory: $(cat "$scratch/out")"
grep -qE 'free space .* needed' "$scratch/out" || fail "the plan's space: $(cat "$scratch/out")"
# Rates that no place has: it is slow, and not broken.
"$python" - "$scratch/plan.json" "$scratch/fast.json" <<'PY' || fail "the plan has no such rates"
import json, sys
plan = json.load(open(sys.argv[1]))
for rate in "disk_read_bytes_a_second", "disk_notice_bytes_a_second":
    assert plan["needed"][rate] > 0
    plan["needed"][rate] = 1e15
json.dump(plan, open(sys.argv[2], "w"))
PY
expect_code 0 ranks 2 "$program" doctor --plan "$scratch/fast.json" --run "$scratch/run" --data "$data" "${small[@]}"
for check in data disk; do
  line "$check" slow
  grep -E "^slow +$check .* wanted .* -> " "$scratch/out" >/dev/null || fail "no need, no advice: $(grep "$check" "$scratch/out")"
done
expect_code 2 ranks 1 "$program" doctor --plan "$scratch/plan.json"
echo '{}' >"$scratch/no.json"
expect_code 3 ranks 1 "$program" doctor --plan "$scratch/no.json"

# A full disk, where a small one can be made.
mkdir "$scratch/small"
if mount -t tmpfs -o size=2m langrun-doctor "$scratch/small" 2>/dev/null; then
  trap 'umount "$scratch/small"; rm -rf "$scratch"' EXIT
  expect_code 6 ranks 2 "$program" doctor --run "$scratch/small" "${small[@]}"
  line 'run folder' broken
  [[ -z $(ls -A "$scratch/small") ]] || fail "left on the full disk: $(ls -A "$scratch/small")"
else
  echo "no tmpfs can be mounted here: the full disk is left out"
fi

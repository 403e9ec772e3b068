#!/bin/bash
# The distance of two stores has the same bits on 1, 2 and 4 ranks, and weights are imported once under mpirun.
. "$(dirname "$0")/../common.sh"
weights=$LANGRUN_SHARED/data/resnet20-cifar10.th
[[ -f $weights ]] || skip "no $weights"
synth "$scratch/a.h5" 730
"$program" data synth "$scratch/b.h5" --count 700 --size 32 --seed 8 >"$scratch/out" 2>&1 || fail "data synth: $(tail -n 1 "$scratch/out")"
ranks 2 "$program" weights import "$weights" "$scratch/w.h5" --network resnet20 >"$scratch/out" 2>&1 || fail "weights import: $(tail -n 1 "$scratch/out")"
for n in 1 2 4; do
  ranks $n "$program" score "$scratch/a.h5" "$scratch/b.h5" --features "$scratch/w.h5" --block 100 --json "$scratch/$n.json" \
    >"$scratch/out" 2>&1 || fail "score on $n ranks: $(tail -n 1 "$scratch/out")"
  grep '"distance"' "$scratch/$n.json"
  [[ $(grep '"distance"' "$scratch/$n.json") = $(grep '"distance"' "$scratch/1.json") ]] || fail "$n ranks give another distance"
done
expect_code 2 ranks 2 "$program" score "$scratch/a.h5" "$scratch/b.h5" --features "$scratch/w.h5" --count 64
[[ $(error_lines "$scratch/err") = 1 ]] || fail "expected one error line"
expect_code 3 "$program" score "$scratch/a.h5" "$scratch/none.h5" --features "$scratch/w.h5"
expect_code 2 "$program" weights import "$weights" "$scratch/w.h5" --network resnet20
expect_code 3 "$program" weights import "$weights" "$scratch/v.h5" --network resnet56
[[ ! -e $scratch/v.h5 ]] || fail "a refused import left a file behind"

# The net is looked at before samples of a run are drawn; a folder stands for the weights of its newest checkpoint.
data=$scratch/a.h5
train run 1 --steps 1 || fail "a run: $(tail -n 1 "$scratch/run.err")"
expect_code 3 "$program" score "$scratch/run" "$scratch/a.h5" --features "$scratch/none.pt" --features.range -1:1 --count 80
[[ -z $(find "$scratch/run/samples" -name '*.h5') ]] || fail "samples were drawn for a net that is not there"
expect_code 3 "$program" score "$scratch/a.h5" "$scratch/b.h5" --features "$scratch/run"
grep -q classifier "$scratch/err" || fail "a run without a classifier: $(cat "$scratch/err")"
ranks 2 "$program" classify --data "$scratch/a.h5" --run "$scratch/classes" --classifier.network resnet20 --batch 8 --steps 1 \
  >"$scratch/out" 2>"$scratch/err" || fail "a classifier: $(cat "$scratch/err")"
for net in "$scratch/classes" "$scratch/classes/checkpoint/latest/weights.h5"; do
  ranks 2 "$program" score "$scratch/a.h5" "$scratch/b.h5" --features "$net" --json "$scratch/$(basename "$net").json" \
    >"$scratch/out" 2>"$scratch/err" || fail "score by $net: $(cat "$scratch/err")"
done
[[ $(grep '"distance"' "$scratch/classes.json") = $(grep '"distance"' "$scratch/weights.h5.json") ]] || fail "a run's net is not its weights"

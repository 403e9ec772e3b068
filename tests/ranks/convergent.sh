#!/bin/bash
# convergent: the same bits on 1, 2 and 4 ranks and over a stop and a resume, across the switch from Adam to SGD; and
# divergence: named, or rolled back to a checkpoint on all ranks alike, over stops and resumes too.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 64

# convergent RUN RANKS OPTIONS...
convergent() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" convergent --data "$data" --run "$run" --energy.network light --energy.width 4 --batch 16 \
    --langevin.steps 3 --seed 5 "$@" >"$run.out" 2>"$run.err"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

switch=(--steps 12 --sgd.from 6 --langevin.temperature 5e-5 --energy.momentum 0.5)
for n in 1 2 4; do convergent "sgd-$n" "$n" "${switch[@]}" || fail "on $n ranks: $(tail -n 1 "$scratch/sgd-$n.err")"; done
same sgd-1 sgd-2
same sgd-1 sgd-4
python3 - "$scratch/sgd-1/metrics.jsonl" <<'PYTHON' || exit 1
import json, sys

rates = [json.loads(line)["learning_rate"] for line in open(sys.argv[1])]
sys.exit(0 if rates == [1e-4] * 6 + [5e-5 * 5e-5] * 6 else f"FAILED: learning rates {rates}")
PYTHON
convergent cut 4 "${switch[@]}" --stop-at 5
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
convergent cut 1 --resume --stop-at 8
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
convergent cut 2 --resume || fail "resume: $(tail -n 1 "$scratch/cut.err")"
same sgd-1 cut
convergent adam 2 --steps 12 --langevin.temperature 5e-5 || fail "Adam alone: $(tail -n 1 "$scratch/adam.err")"

# A learning rate that is far too high, on purpose.
wild=(--steps 16 --energy.learning-rate 3e-4 --langevin.temperature 1e-4 --checkpoint.every 2 --divergence.bound 500
  --divergence.steps 3)
convergent stopped 2 "${wild[@]}"
[[ $? = 4 ]] || fail "a run that diverges does not exit 4: $(tail -n 1 "$scratch/stopped.err")"
[[ $(error_lines "$scratch/stopped.err") = 1 ]] || fail "not one error line: $(cat "$scratch/stopped.err")"
grep -q '^langrun: error: diverged: the energy difference .* at step' "$scratch/stopped.err" ||
  fail "step and quantity are not named: $(cat "$scratch/stopped.err")"
back=("${wild[@]}" --divergence.action rollback --divergence.rate 1e-3)
for n in 1 2 4; do convergent "back-$n" "$n" "${back[@]}" || fail "rollback on $n ranks: $(cat "$scratch/back-$n.err")"; done
same back-1 back-2
same back-1 back-4
# Samples of another attempt are others, and are not taken for those of the same step before.
weights=$LANGRUN_SHARED/data/resnet20-cifar10.th
if [[ -f $weights ]]; then
  "$program" weights import "$weights" "$scratch/w.h5" --network resnet20 >/dev/null 2>"$scratch/err" || fail "$(cat "$scratch/err")"
  synth "$scratch/many.h5" 80
  "$program" score "$scratch/back-1" "$scratch/many.h5" --features "$scratch/w.h5" --count 80 >/dev/null 2>"$scratch/err" || fail "score: $(cat "$scratch/err")"
  compgen -G "$scratch/back-1/samples/00000016-attempt*-n80-*.h5" >/dev/null || fail "the attempt is not named: $(ls "$scratch/back-1/samples")"
fi
grep -q '"attempt": 1' "$scratch/back-1/metrics.jsonl" || fail "no attempt 1 in the metrics"
[[ -s $scratch/back-1/diverged-1.jsonl ]] || fail "what diverged is not kept"
grep -q 'back to step 8, attempt 1' "$scratch/back-1.out" || fail "the rollback is not told: $(cat "$scratch/back-1.out")"
# Cut before the divergence is seen, and after the rollback.
for stop in 3 11 14; do
  convergent "back-cut-$stop" 2 "${back[@]}" --stop-at "$stop"
  [[ $? = 75 ]] || fail "--stop-at $stop does not exit 75: $(tail -n 1 "$scratch/back-cut-$stop.err")"
  convergent "back-cut-$stop" 4 --resume || fail "resume after $stop: $(cat "$scratch/back-cut-$stop.err")"
  cmp <(grep -o '"energy_difference": [^,]*' "$scratch/back-1/metrics.jsonl") \
    <(grep -o '"energy_difference": [^,]*' "$scratch/back-cut-$stop/metrics.jsonl") || fail "another course after a stop at $stop"
done
# A run that was stopped by its divergence can be sent on.
convergent stopped 1 --resume --divergence.action rollback --divergence.rate 1e-3 || fail "resume: $(cat "$scratch/stopped.err")"
convergent limited 2 "${wild[@]}" --divergence.action rollback --divergence.rate 1 --divergence.limit 1
[[ $? = 4 ]] || fail "rolled back without end"
grep -q 'rolled back 1 times before' "$scratch/limited.err" || fail "$(cat "$scratch/limited.err")"
convergent early 2 "${wild[@]}" --checkpoint.every 0 --divergence.action rollback
[[ $? = 4 ]] || fail "rolled back to nothing"
grep -q 'no checkpoint to go back to' "$scratch/early.err" || fail "$(cat "$scratch/early.err")"

#!/bin/bash
# Starts that are cut off (here: stopped) at the moments where the least is certain: in their set-up, as they put a file into the
# run folder, as they read a checkpoint, as they end. The newer start goes on, the older one ends with 6 and leaves nothing;
# who is waited for in vain is named within the limit.
. "$(dirname "$0")/../common.sh"
stopper=$build/tests/libstop_at.so
[[ -e $stopper ]] || fail "no $stopper: build first"
data=$scratch/data.h5
synth "$data" 256
# stopped_at ENDING LOG: waits until somebody has stopped as he opened such a file.
stopped_at() {
  for _ in {1..600}; do grep -qs "^stopped at .*$1" "$2" && return; sleep 0.05; done
  fail "nobody stopped at $1: $(cat "$2")"
}
# overtaken JOB LOG: the older start, awake again, says so and ends with 6.
overtaken() {
  wait "$1"
  local code=$?
  [[ $code = 6 && $(error_lines "$2") = 1 ]] || fail "the older start ended with $code: $(cat "$2")"
  grep -q 'overtaken by a newer start' "$2" || fail "the older start said: $(cat "$2")"
}

# cut_off ENDING NAME COMMAND...: begins the command with output in NAME.out and NAME.err, to be stopped there; sets $older.
cut_off() {
  local ending=$1 name=$2
  shift 2
  LD_PRELOAD=$stopper STOP_AT_OPEN=$ending "$program" "$@" >"$scratch/$name.out" 2>"$scratch/$name.err" & older=$!
  stopped_at "$ending" "$scratch/$name.err"
}
# newer COMMAND...: to its end.
newer() { "$program" "$@" >"$scratch/newer.out" 2>"$scratch/newer.err" || fail "the newer start ended with $?: $(cat "$scratch/newer.err")"; }
small=(shortrun --data "$data" --energy.network light --energy.width 4 --generator.network sngan32 --generator.width 4
  --generator.latent 8 --batch 16 --bank.size 60 --langevin.steps 3 --seed 11 --checkpoint.every 3)

# In its set-up, which lasts until the newer start is under way: of a new run, and of one that is resumed.
"$program" "${small[@]}" --run "$scratch/whole" --steps 40 >"$scratch/out" 2>"$scratch/err" || fail "undisturbed: $(cat "$scratch/err")"
for kind in new resumed; do
  run=$scratch/$kind
  if [[ $kind = resumed ]]; then expect_code 75 "$program" "${small[@]}" --run "$run" --steps 40 --stop-at 4; fi
  cut_off /data.h5 older "${small[@]}" --run "$run" --steps 40 --resume
  newer "${small[@]}" --run "$run" --steps 40 --resume & beside=$!
  for _ in {1..600}; do (($(wc -l 2>/dev/null <"$run/metrics.jsonl" || echo 0) > 6)) && break; sleep 0.05; done
  kill -CONT $older
  wait $beside || fail "$kind: the newer start did not end well"
  overtaken $older "$scratch/older.err"
  "$program" run diff "$scratch/whole" "$run" >"$scratch/diff" || fail "$kind: $(cat "$scratch/diff")"
done
# Where no other start has come meanwhile, one that was held up goes on.
cut_off /data.h5 later "${small[@]}" --run "$scratch/late" --steps 6 --resume
kill -CONT $older
wait $older || fail "alone: $(cat "$scratch/later.err")"

# As it puts its configuration into the run: it comes to nothing.
cut_off /run.cfg.partial older "${small[@]}" --run "$scratch/cfg" --steps 20 --seed 3
newer "${small[@]}" --run "$scratch/cfg" --steps 6
kill -CONT $older
overtaken $older "$scratch/older.err"
grep -q '^seed = 11$' "$scratch/cfg/run.cfg" || fail "the older start's configuration is in the run"
newer shortrun --run "$scratch/cfg" --resume
[[ $(wc -l <"$scratch/cfg/metrics.jsonl") = 6 ]] || fail "a resume went on to another step: $(tail -n 1 "$scratch/cfg/metrics.jsonl")"

# A sampling's energy: the older start had read another.
cp -r "$scratch/late" "$scratch/source"
sampling=(sample --energy "$scratch/source" --source noise --count 8 --call 4 --steps-list 5,10 --seed 1 --langevin.eta 0.01)
cut_off /run.cfg.partial older "${sampling[@]}" --run "$scratch/chains"
newer shortrun --run "$scratch/source" --resume --steps 12
newer "${sampling[@]}" --run "$scratch/chains-whole"
expect_code 75 "$program" "${sampling[@]}" --run "$scratch/chains" --resume --stop-at 5
kill -CONT $older
overtaken $older "$scratch/older.err"
newer "${sampling[@]}" --run "$scratch/chains" --resume
"$program" run diff "$scratch/chains-whole" "$scratch/chains" >"$scratch/diff" || fail "sampling: $(cat "$scratch/diff")"

# A rank that stops as a checkpoint is read, before the run has begun; as MPI ends.
waited_for() { # waited_for VARIABLE WHAT RANK OPTIONS...
  local variable=$1 what=$2 number=$3
  shift 3
  expect_code 5 ranks 2 env LD_PRELOAD="$stopper" STOP_RANK="$number" "$variable" "$program" "$@" --watchdog.limit 2
  # At the end of MPI who was stopped may say the same: the launcher wakes it before it ends it.
  [[ $what = MPI* || $(error_lines "$scratch/err") = 1 ]] || fail "$what: $(cat "$scratch/err")"
  grep -q "^langrun: error: .*$what" "$scratch/err" || fail "$what: $(cat "$scratch/err")"
}
waited_for STOP_AT_OPEN=/weights.h5 "'look into the run folder'.*missing: rank 0" 0 shortrun --run "$scratch/whole" --resume --steps 50
waited_for STOP_AT_FINALIZE=1 'MPI has not ended within 2 s on rank 0' 1 shortrun --run "$scratch/whole" --resume --steps 41

# Ranks that were given different options.
expect_code 2 ranks 1 "$program" "${small[@]}" --run "$scratch/unequal" --steps 2 : -n 1 "$program" "${small[@]}" --run "$scratch/unequal" --steps 2 --seed 12
grep -q "rank 1 has '--seed 12', and rank 0 '--seed 11'" "$scratch/err" || fail "unequal ranks: $(cat "$scratch/err")"
[[ ! -e $scratch/unequal ]] || fail "unequal ranks left a folder"

# A home of checkpoints that is gone as a whole.
rm -r "$scratch"/cfg/checkpoint.*
expect_code 6 "$program" shortrun --run "$scratch/cfg" --resume
grep -q 'no good checkpoint left' "$scratch/err" || fail "a lost home: $(cat "$scratch/err")"
[[ $(wc -l <"$scratch/cfg/metrics.jsonl") = 6 ]] || fail "metrics were cut"

#!/bin/bash
# Several starts of one run alive at once: older ones that were cut off (here: stopped) wake up while a newer one runs, or
# after it. Nothing that they write shows; each says that it was overtaken, and ends with 6.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256
rounds=${ROUNDS:-3}

# rank_processes RUN: the ranks of all starts of a run, without their launchers.
rank_processes() {
  pgrep -f -- "--run $scratch/$1 " | while read -r p; do [[ $(cat "/proc/$p/comm" 2>/dev/null) = langrun ]] && echo "$p"; done
}
# signal NAME PROCESS...
signal() {
  local name=$1
  shift
  kill "-$name" "$@" 2>/dev/null
}
begin_run() { # begin_run NAME RANKS: a start of the run, of a new one the first time
  log=$scratch/start.$1 train run "$2" --steps 60 --checkpoint.every 3 --checkpoint.keep 1 --resume
}
progress() { wc -l 2>/dev/null <"$1" || echo 0; }

train whole 1 --steps 60 --checkpoint.every 3 --checkpoint.keep 1 || fail "the undisturbed run: $(tail -n 1 "$scratch/whole.err")"

# Each start but the last is stopped somewhere amid its steps and checkpoints, and the next one takes the run over.
jobs=() sleeping=()
for ((round = 1; round <= rounds; ++round)); do
  before=$(progress "$scratch/run/metrics.jsonl")
  begin_run "$round" $((round % 2 + 1)) & jobs+=($!)
  for _ in {1..400}; do (($(progress "$scratch/run/metrics.jsonl") >= before + 4)) && break; sleep 0.05; done
  sleep "0.$((RANDOM % 10))"
  mapfile -t awake < <(rank_processes run | grep -vxF "$(printf '%s\n' "${sleeping[@]}" .)")
  signal STOP "${awake[@]}"
  sleeping+=("${awake[@]}")
done
((${#sleeping[@]} >= rounds)) || fail "no start was caught while it ran"
begin_run last 2 & last=$!
for _ in {1..400}; do (($(progress "$scratch/run/metrics.jsonl") >= 30)) && break; sleep 0.05; done
# They wake up in the middle of the last start, except the newest of them, which sleeps until all is done.
half=$((${#sleeping[@]} / 2))
signal CONT "${sleeping[@]:0:half}"
wait $last || fail "the last start ended with $?: $(tail -n 1 "$scratch/start.last.err")"
signal CONT "${sleeping[@]:half}"
overtaken=0
for round in "${!jobs[@]}"; do
  wait "${jobs[round]}"
  code=$?
  said=$(cat "$scratch/start.$((round + 1)).err")
  # One that was stopped as it ended has nothing more to do.
  [[ $code = 6 || $code = 0 ]] || fail "a start that was overtaken ended with $code"
  [[ $code = 0 ]] && continue
  [[ $said = *overtaken* && $(grep -c '^langrun: error: ' <<<"$said") = 1 ]] || fail "an overtaken start said: $said"
  overtaken=$((overtaken + 1))
done
((overtaken > 0)) || fail "no start was overtaken"
"$program" run verify "$scratch/run" >"$scratch/verify" || fail "verify: $(cat "$scratch/verify")"
"$program" run diff "$scratch/whole" "$scratch/run" >"$scratch/diff" || fail "$(cat "$scratch/diff")"
homes=("$scratch"/run/checkpoint.*)
((${#homes[@]} == 1)) || fail "more than one home of checkpoints: ${homes[*]}"

# One that is wide awake: it publishes and retires checkpoints while the next start sets itself up.
long=(--steps 240 --checkpoint.every 3 --checkpoint.keep 1 --resume)
log=$scratch/start.awake train both 2 "${long[@]}" & first=$!
for _ in {1..400}; do (($(progress "$scratch/both/metrics.jsonl") >= 7)) && break; sleep 0.05; done
log=$scratch/start.after train both 2 "${long[@]}" || fail "a start beside another: $(tail -n 1 "$scratch/start.after.err")"
wait $first
code=$?
[[ $code = 6 || $code = 0 ]] || fail "the start that was awake ended with $code: $(tail -n 1 "$scratch/start.awake.err")"
log=$scratch/start.alone train alone 1 "${long[@]}" || fail "alone: $(tail -n 1 "$scratch/start.alone.err")"
"$program" run diff "$scratch/alone" "$scratch/both" >"$scratch/diff" || fail "beside another: $(cat "$scratch/diff")"

# Checkpoints that are gone are said to be: the run does not begin anew over its metrics.
kept=$(progress "$scratch/both/metrics.jsonl")
rm -r "$scratch"/both/checkpoint.*/00000240
expect_code 6 "$program" shortrun --run "$scratch/both" --resume
grep -q 'no good checkpoint left in .* which is gone' "$scratch/err" || fail "lost checkpoints: $(cat "$scratch/err")"
(($(progress "$scratch/both/metrics.jsonl") == kept)) || fail "metrics were cut"
[[ $(readlink "$scratch/run/checkpoint/latest") = 00000060 ]] || fail "latest is $(readlink "$scratch/run/checkpoint/latest")"
echo "$overtaken of $rounds starts overtaken, same bits"

# An evaluation: the older start sleeps on records that the newer one makes again.
demo=$source_root/share/demo
evaluation=(defend --data "$demo/images.h5" --classifier "$demo/classifier.h5" --energy "$demo/energy.h5" --images 0:24
  --langevin.eta 1e-2 --langevin.temperature 5e-5 --langevin.steps 16 --attack.kind bpda-eot --attack.eps 2 --attack.alpha 1
  --attack.steps 2 --attack.replicates 2 --defense.replicates 4 --engine.call 8 --engine.images 2)
ranks 2 "$program" "${evaluation[@]}" --run "$scratch/defense" >"$scratch/out" 2>"$scratch/err" ||
  fail "the undisturbed evaluation: $(tail -n 1 "$scratch/err")"
journal=$scratch/twice/state/images.journal
ranks 2 "$program" "${evaluation[@]}" --run "$scratch/twice" >"$scratch/older.out" 2>"$scratch/older.err" & older=$!
for _ in {1..600}; do [[ $(stat -L -c %s "$journal" 2>/dev/null || echo 0) -gt 4000 ]] && break; sleep 0.02; done
mapfile -t awake < <(rank_processes twice)
signal STOP "${awake[@]}"
ranks 1 "$program" "${evaluation[@]}" --run "$scratch/twice" --resume >"$scratch/newer.out" 2>"$scratch/newer.err" & newer=$!
sleep 1
signal CONT "${awake[@]}"
wait $newer || fail "the newer evaluation ended with $?: $(tail -n 1 "$scratch/newer.err")"
wait $older
code=$?
[[ $code = 6 ]] && { grep -q overtaken "$scratch/older.err" || fail "an overtaken evaluation said: $(cat "$scratch/older.err")"; }
[[ $code = 6 || $code = 0 ]] || fail "the older evaluation ended with $code: $(tail -n 1 "$scratch/older.err")"
"$program" run diff "$scratch/defense" "$scratch/twice" >"$scratch/diff" || fail "evaluations: $(cat "$scratch/diff")"

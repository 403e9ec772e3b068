#!/bin/bash
# Stops that all ranks agree on: a signal to one rank alone, a signal to mpirun, a non-finite value, a newer start
# of the same run, a rank that no longer answers.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256

started() { # started RUN: until its first metrics line is there
  local i
  for _ in {1..300}; do [[ -s $scratch/$1/metrics.jsonl ]] && return; sleep 0.1; done
  fail "$1 does not start: $(tail -n 1 "$scratch/$1.err")"
}
ended_with() { # ended_with CODE PID WHAT
  wait "$2"
  local code=$?
  [[ $code = "$1" ]] || fail "$3 ended with $code, expected $1"
}

train one 2 --steps 100000 & job=$!
started one
kill -USR1 "$(pgrep -f -- "shortrun --data $data --run $scratch/one " | xargs -n 1 | while read -r p; do [[ $(cat "/proc/$p/comm") = langrun ]] && echo "$p"; done | head -n 1)"
ended_with 75 $job "USR1 to one rank"

train all 2 --steps 100000 & job=$!
started all
kill -USR1 "$(pgrep -f -- "mpirun.*--run $scratch/all " | head -n 1)"
ended_with 75 $job "USR1 to mpirun"
"$program" run verify "$scratch/all" >"$scratch/verify" || fail "the checkpoint of a stopped run is damaged"

train wild 2 --steps 50 --energy.learning-rate 900 --langevin.eta 100 --langevin.temperature 1e-20
code=$?
[[ $code = 4 ]] || fail "a diverging run ends with $code, expected 4: $(tail -n 1 "$scratch/wild.err")"
[[ $(error_lines "$scratch/wild.err") = 1 ]] || fail "more than one error line: $(cat "$scratch/wild.err")"

# Whoever starts a run again takes it over: the older start sees that before its next checkpoint and writes no more.
train twice 2 --steps 100000 --checkpoint.every 20 & job=$!
started twice
for _ in {1..300}; do [[ -e $scratch/twice/checkpoint/latest ]] && break; sleep 0.1; done
"$program" shortrun --run "$scratch/twice" --resume --stop-after 4 >"$scratch/second.out" 2>"$scratch/second.err" & second=$!
ended_with 6 $job "a start that was overtaken"
grep -q 'overtaken' "$scratch/twice.err" || fail "not said to be overtaken: $(cat "$scratch/twice.err")"
ended_with 75 $second "the start that took over"
"$program" run verify "$scratch/twice" >"$scratch/verify" || fail "two starts damaged a checkpoint"

# A rank that stands still: the others name it, in one line.
train still 4 --steps 100000 --watchdog.limit 3 & job=$!
started still
stuck=$(pgrep -f -- "shortrun --data $data --run $scratch/still " | while read -r p; do [[ $(cat "/proc/$p/comm") = langrun ]] && echo "$p"; done | sed -n 3p)
number=$(tr '\0' '\n' <"/proc/$stuck/environ" | sed -n 's/^\(OMPI_COMM_WORLD_RANK\|PMIX_RANK\|PMI_RANK\)=//p' | head -n 1)
[[ $number = [0-3] ]] || fail "process $stuck has no rank in its environment"
kill -STOP "$stuck"
wait $job
code=$?
kill -KILL "$stuck" 2>/dev/null
[[ $code = 5 ]] || fail "a rank that stands still: exit $code, expected 5: $(tail -n 3 "$scratch/still.err")"
[[ $(error_lines "$scratch/still.err") = 1 ]] || fail "not one error line: $(cat "$scratch/still.err")"
grep -q "missing: rank $number on " "$scratch/still.err" || fail "rank $number is not named: $(cat "$scratch/still.err")"

# A rank that fails alone: what it says is not buried under what the others, or the launcher, make of it.
# shellcheck disable=SC2016  # for the script that is written
one_rank 2 'set -- "$@" --langevin.stepz 3'
program=$scratch/one_rank train alone 4 --steps 5
code=$?
[[ $code = 2 ]] || fail "a rank that fails alone: exit $code, expected 2: $(tail -n 3 "$scratch/alone.err")"
[[ $(error_lines "$scratch/alone.err") = 1 ]] || fail "not one error line: $(cat "$scratch/alone.err")"
grep -q "^langrun: error: .*langevin.stepz.* \[on rank 2 of 4, " "$scratch/alone.err" || fail "what it says: $(cat "$scratch/alone.err")"

# A start that has nothing left to do before it is to stop.
train at 2 --steps 20 --stop-at 10; train at 2 --steps 20 --stop-at 10 --resume
[[ $? = 75 && $(wc -l <"$scratch/at/metrics.jsonl") = 10 ]] || fail "--stop-at 10 went on after step 10"

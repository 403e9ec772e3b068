#!/bin/bash
# Stops that all ranks agree on: a signal to one rank alone, a signal to mpirun, a non-finite value on one rank's data.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256

started() { # started RUN: until its first metrics line is there
  local i
  for i in {1..300}; do [[ -s $scratch/$1/metrics.jsonl ]] && return; sleep 0.1; done
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

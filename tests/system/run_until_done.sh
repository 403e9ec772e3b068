#!/bin/bash
# launch/run-until-done: starts a run again to the same bits, hands signals on, tells codes that another start may mend from
# those that it would not, and gives up where nothing comes of it.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256
small=(shortrun --data "$data" --energy.network light --energy.width 4 --generator.network sngan32 --generator.width 4
  --generator.latent 8 --batch 16 --bank.size 60 --langevin.steps 3 --seed 11)

again() { # again RUN WORDS...: to its end, output beside the run; options of run-until-done come first
  local run=$scratch/$1
  shift
  "$source_root/launch/run-until-done" --pause 0 "$@" --run "$run" >"$run.out" 2>"$run.err"
}
starts() { grep -c "$(printf '\tstart\t')" "$scratch/$1.restarts"; }
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }
wait_lines() { # wait_lines RUN COUNT
  for _ in {1..600}; do
    [[ -f $scratch/$1/metrics.jsonl ]] && (($(wc -l <"$scratch/$1/metrics.jsonl") >= $2)) && return
    sleep 0.1
  done
  fail "$1 does not come to step $2: $(tail -n 1 "$scratch/$1.err")"
}

# A step a start, more of them than the guard lets pass without one.
again chain --ranks 2 "${small[@]}" --steps 4 --stop-after 0.001 || fail "a chain: $? ($(tail -n 1 "$scratch/chain.err"))"
[[ $(starts chain) = 4 ]] || fail "not a start for each step: $(cat "$scratch/chain.restarts")"
train whole 1 --steps 4 || fail "undisturbed: $(tail -n 1 "$scratch/whole.err")"
same whole chain

# A rank that is killed, then a signal, then the same line to the end, which a file of settings moves.
echo 'steps = 100000' >"$scratch/steps.cfg"
long=("${small[@]}" --checkpoint.every 5 --config "$scratch/steps.cfg")
# Not by `again`, whose shell would get the signal.
"$source_root/launch/run-until-done" --pause 0 --ranks 2 "${long[@]}" --run "$scratch/hurt" >"$scratch/hurt.out" 2>"$scratch/hurt.err" & job=$!
trap 'kill $job 2>/dev/null; wait; rm -rf "$scratch"' EXIT
wait_lines hurt 12
for pid in $(pgrep -f -- "--run $scratch/hurt "); do [[ $(cat "/proc/$pid/comm") = langrun ]] && victim=$pid; done
kill -KILL "${victim:?no rank is there to kill}"
for _ in {1..600}; do [[ $(starts hurt) = 2 ]] && break; sleep 0.1; done
[[ $(starts hurt) = 2 ]] || fail "a killed rank is no reason to start again: $(cat "$scratch/hurt.err")"
grep -q "$(printf '\tend\t137')" "$scratch/hurt.restarts" || fail "the end by 137 is not noted: $(cat "$scratch/hurt.restarts")"
kill -TERM $job
wait $job
code=$?
[[ $code = 75 ]] || fail "asked to stop it ends with $code: $(tail -n 3 "$scratch/hurt.err")"
steps=$((10#$(readlink "$scratch/hurt/checkpoint/latest") + 5))
echo "steps = $steps" >"$scratch/steps.cfg"
again hurt "${long[@]}" || fail "the same line does not go on: $(tail -n 2 "$scratch/hurt.err")"
train hurt-whole 2 --steps $steps || fail "undisturbed: $(tail -n 1 "$scratch/hurt-whole.err")"
same hurt-whole hurt

# Codes, of a stand-in that answers questions as the program does and then ends as it is told.
cat >"$scratch/stand-in" <<STANDIN
#!/bin/bash
case " \$* " in *" --help "* | " run status "*) exec "$program" "\$@" ;; esac
exit \$(cat "$scratch/code")
STANDIN
chmod +x "$scratch/stand-in"
ends() { # ends CODE EXPECTED STARTS OPTIONS...: a run whose every start ends with CODE
  local run=code-$1 wanted=$2 count=$3 code
  echo "$1" >"$scratch/code"
  shift 3
  rm -f "$scratch/$run.restarts"
  LANGRUN_PROGRAM=$scratch/stand-in again "$run" "$@" shortrun
  code=$?
  [[ $code = "$wanted" && $(starts "$run") = "$count" ]] ||
    fail "$run: exit $code after $(starts "$run") starts, expected $wanted after $count: $(cat "$scratch/$run.err")"
}
ends 0 0 1
for code in 2 3 4 6 126 127; do ends $code $code 1; done
for code in 1 5 134 137 143 205; do ends $code $code 3; done
ends 5 5 2 --restarts 1
ends 137 137 1 --restarts 0
ends 5 5 3 --restarts 08
ends 75 1 3
grep -q 'have finished no step and no image' "$scratch/code-75.err" || fail "not said why: $(cat "$scratch/code-75.err")"

# A history that cannot be written: without it nothing would count the starts.
mkdir "$scratch/lost.restarts"
LANGRUN_PROGRAM=$scratch/stand-in expect_code 6 "$source_root/launch/run-until-done" shortrun --run "$scratch/lost"
grep -q 'lost.restarts cannot be written' "$scratch/err" || fail "not said why: $(cat "$scratch/err")"

# What could never go on is refused before the first start.
refused() { # refused WHAT WORDS...
  local what=$1
  shift
  expect_code 2 "$source_root/launch/run-until-done" "$@"
  grep -q -- "$what" "$scratch/err" || fail "not told of $what: $(cat "$scratch/err")"
}
refused 'no command'
refused '--ranks none' --ranks none shortrun --run "$scratch/x"
refused '--run is missing' shortrun --steps 3
refused '--stop-at' shortrun --run "$scratch/x" --stop-at 3
refused 'no --resume' score --run "$scratch/x"
refused 'shortrum' shortrum --run "$scratch/x"
[[ ! -e $scratch/x.restarts ]] || fail "a refused call left a history"
"$source_root/launch/run-until-done" --help | grep -q -- '--restarts N' || fail "no help"

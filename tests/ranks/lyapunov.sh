#!/bin/bash
# lyapunov: the same bits on 1, 2 and 4 ranks, a result that Python reads, a plot; what it refuses.
. "$(dirname "$0")/../common.sh"
mkdir "$scratch/run"
printf 'job = convergent\nseed = 1\n[energy]\nnetwork = light\nwidth = 4\n[langevin]\neta = 0.01\ntemperature = 5e-5\n' >"$scratch/run/run.cfg"
measure=(--energy "$scratch/run" --weights initial --etas "0.1,1,2" --chains 5 --call 2 --steps 12 --burn-in 4)
for n in 1 2 4; do
  ranks $n "$program" lyapunov "${measure[@]}" --run "$scratch/$n" >"$scratch/out" 2>"$scratch/err" || fail "$n ranks: $(cat "$scratch/err")"
  cmp "$scratch/1/lyapunov.h5" "$scratch/$n/lyapunov.h5" || fail "$n ranks give other values"
  [[ ! -e $scratch/$n.flight ]] || fail "$n ranks left their flight recorders"
  cmp "$scratch/1/result.json" "$scratch/$n/result.json" || fail "$n ranks give another result"
  "$program" run diff "$scratch/1" "$scratch/$n" >"$scratch/diff" || fail "run diff: $(cat "$scratch/diff")"
done
# Without a word a rank that hangs ends it.
grep -A3 '^\[watchdog\]' "$scratch/1/run.cfg" | grep -q '^limit = 1800$' || fail "no limit on waiting: $(cat "$scratch/1/run.cfg")"
[[ $(grep -c '"exponent":' "$scratch/1/result.json") = 9 ]] || fail "not three separations at three scales"
if [[ -n ${LANGRUN_PYTHON:-} ]] && "$LANGRUN_PYTHON" -c 'import matplotlib' 2>/dev/null; then
  [[ $(head -c 4 "$scratch/1/lyapunov.png" | tail -c 3) = PNG ]] || fail "no plot: $(cat "$scratch/err")"
fi
# Without a Python the figures are there all the same.
LANGRUN_PYTHON=$scratch/none "$program" lyapunov "${measure[@]}" --etas 1 --run "$scratch/bare" >"$scratch/out" 2>"$scratch/err" || fail "without Python: $(cat "$scratch/err")"
grep -q '^langrun: warning: no plot' "$scratch/err" || fail "no warning: $(cat "$scratch/err")"
[[ -s $scratch/bare/result.json ]] || fail "no result without a plot"

refuse() { # refuse CODE WORD OPTIONS...
  local code=$1 word=$2
  shift 2
  expect_code "$code" ranks 2 "$program" lyapunov "${measure[@]}" --run "$scratch/refused" "$@"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/err"))"
  grep -A1 '^langrun: error: ' "$scratch/err" | grep -qF -- "$word" || fail "no word of '$word': $(cat "$scratch/err")"
  [[ ! -e $scratch/refused && ! -e $scratch/refused.flight ]] || fail "a refused call left its folder: $*"
}
refuse 2 'does not rise' --etas 1,1
refuse 2 "'0'" --deltas 0,1
refuse 2 'in use' --run "$scratch/1"
refuse 3 'does not exist' --energy "$scratch/none"
refuse 3 'no checkpoint' --weights best
refuse 4 'apart' --deltas 1e-11 --etas 1
# On one rank alone, while the other goes on as far as they meet again.
refuse 4 'apart' --chains 2 --etas 1,1e12
refuse 2 '--source data' --source data

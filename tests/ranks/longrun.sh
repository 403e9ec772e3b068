#!/bin/bash
# longrun: the same bits on 1, 2 and 4 ranks, with a prior energy and chains from a shortrun's generator, retirement
# included; after stops and resumes on other numbers of ranks, with prior and generator gone; what it refuses.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256
train short 2 --steps 2 || fail "shortrun: $(tail -n 1 "$scratch/short.err")"
small=(--energy.network light --energy.width 4 --batch 16 --langevin.steps 3 --seed 5)
from=(--source.generator "$scratch/short")
ranks 2 "$program" midrun --prior --data "$data" --run "$scratch/prior" "${small[@]}" --bank.size 60 --bank.rejuvenation 0.2 \
  --steps 3 "${from[@]}" >"$scratch/prior.out" 2>"$scratch/prior.err" || fail "prior: $(tail -n 1 "$scratch/prior.err")"

# longrun RUN RANKS OPTIONS...
longrun() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" longrun --data "$data" --run "$run" "${small[@]}" --bank.size 60 --burn-in.size 44 --burn-in.rounds 5 \
    --steps 12 "$@" >"$run.out" 2>"$run.err"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

with=("${from[@]}" --prior.energy "$scratch/prior" --evaluation.joint-temperature 1.005)
for n in 1 2 4; do longrun "long-$n" "$n" "${with[@]}" || fail "on $n ranks: $(tail -n 1 "$scratch/long-$n.err")"; done
same long-1 long-2
same long-1 long-4
cmp "$scratch/long-1/samples/00000012.png" "$scratch/long-4/samples/00000012.png" || fail "pictures differ"
grep -q '"retired": [1-9]' "$scratch/long-1/metrics.jsonl" || fail "no chain retired"
longrun plain 2 || fail "from data, without a prior: $(tail -n 1 "$scratch/plain.err")"
"$program" run diff "$scratch/plain" "$scratch/long-1" >"$scratch/diff" 2>&1 && fail "prior and generator change nothing"

longrun cut 4 "${with[@]}" --stop-at 4
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
mv "$scratch/short" "$scratch/gone-short"
mv "$scratch/prior" "$scratch/gone-prior"
longrun cut 1 --resume --stop-at 9
[[ $? = 75 ]] || fail "resume without prior and generator: $(tail -n 1 "$scratch/cut.err")"
# Back, but not as they were: nobody looks.
mv "$scratch/gone-prior" "$scratch/prior"
mkdir "$scratch/short"
echo damaged >"$(find "$scratch/prior/checkpoint/" -name weights.h5 | tail -n 1)"
longrun cut 2 --resume || fail "second resume: $(tail -n 1 "$scratch/cut.err")"
same long-1 cut
rmdir "$scratch/short"
mv "$scratch/gone-short" "$scratch/short"

refuse() { # refuse CODE WORD OPTIONS...
  local code=$1 word=$2
  shift 2
  longrun refused 2 "$@"
  [[ $? = "$code" ]] || fail "not exit $code: $* ($(cat "$scratch/refused.err"))"
  [[ $(error_lines "$scratch/refused.err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/refused.err"))"
  grep -q "^langrun: error: .*$word" "$scratch/refused.err" || fail "no word of '$word': $(cat "$scratch/refused.err")"
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $*"
}
refuse 3 'does not exist' --prior.energy "$scratch/none"
refuse 3 'not a file of weights' --prior.energy "$scratch/short.out"
refuse 2 'prior.temperature' --prior.temperature 1e-4
refuse 2 'burn-in.rounds' --burn-in.rounds 0
refuse 2 'a bank of 8' --burn-in.size 8
synth "$scratch/large.h5" 64 64
ranks 1 "$program" midrun --prior --data "$scratch/large.h5" --run "$scratch/large" --energy.network sngan64 --energy.width 16 \
  --batch 8 --bank.size 8 --langevin.steps 1 --steps 1 >"$scratch/large.out" 2>"$scratch/large.err" ||
  fail "64x64: $(tail -n 1 "$scratch/large.err")"
refuse 3 'prior energy .* takes 3x64x64' --prior.energy "$scratch/large"

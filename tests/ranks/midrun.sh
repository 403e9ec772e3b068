#!/bin/bash
# midrun: the same bits on 1, 2 and 4 ranks, from data and from a shortrun's generator; after a stop and a resume on another
# number of ranks, with the generator's run gone; samples of it; what it refuses.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256
train short 2 --steps 2 || fail "shortrun: $(tail -n 1 "$scratch/short.err")"

# midrun RUN RANKS OPTIONS...
midrun() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" midrun --data "$data" --run "$run" --energy.network light --energy.width 4 --batch 16 --bank.size 60 \
    --langevin.steps 3 --seed 5 "$@" >"$run.out" 2>"$run.err"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

from=(--source.generator "$scratch/short" --bank.rejuvenation 0.3)
for n in 1 2 4; do
  midrun "data-$n" "$n" --steps 6 --bank.defense-steps 12 || fail "from data: $(tail -n 1 "$scratch/data-$n.err")"
  midrun "gen-$n" "$n" --steps 10 "${from[@]}" || fail "from a generator: $(tail -n 1 "$scratch/gen-$n.err")"
done
for n in 2 4; do
  same data-1 "data-$n"
  same gen-1 "gen-$n"
done
cmp "$scratch/gen-1/samples/00000010.png" "$scratch/gen-4/samples/00000010.png" || fail "pictures differ"
grep -q '"rejuvenated": [1-9]' "$scratch/gen-1/metrics.jsonl" || fail "no chain began anew"

midrun cut 4 --steps 10 --stop-at 5 "${from[@]}"
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
mv "$scratch/short" "$scratch/gone"
midrun cut 2 --resume || fail "resume without the generator's run: $(tail -n 1 "$scratch/cut.err")"
same gen-1 cut
"$program" sample --energy "$scratch/cut" --count 8 --call 4 --out "$scratch/s1.h5" >/dev/null 2>"$scratch/err" ||
  fail "sample: $(cat "$scratch/err")"
ranks 2 "$program" sample --energy "$scratch/cut" --count 8 --call 4 --out "$scratch/s2.h5" >/dev/null 2>"$scratch/err" ||
  fail "sample on two ranks: $(cat "$scratch/err")"
cmp "$scratch/s1.h5" "$scratch/s2.h5" || fail "samples differ between rank counts"
mv "$scratch/gone" "$scratch/short"

# Weights of another training to begin from: what the two would be at the same step differs, and ranks do not.
for n in 1 2; do
  midrun "on-$n" "$n" --steps 3 --energy.start "$scratch/data-1" --bank.defense-steps 12 || fail "--energy.start: $(tail -n 1 "$scratch/on-$n.err")"
done
same on-1 on-2
"$program" run diff "$scratch/on-1" "$scratch/data-1" >/dev/null && fail "--energy.start changes nothing"
"$program" weights export "$scratch/data-1" "$scratch/start.pth" --part energy_average >"$scratch/out" 2>"$scratch/err" ||
  fail "weights export: $(cat "$scratch/err")"
"$program" weights import "$scratch/start.pth" "$scratch/start.h5" --network light --width 4 >"$scratch/out" 2>"$scratch/err" ||
  fail "weights import: $(cat "$scratch/err")"
midrun on-file 2 --steps 3 --energy.start "$scratch/start.h5" --bank.defense-steps 12 || fail "from a file: $(tail -n 1 "$scratch/on-file.err")"
cmp "$scratch/on-1/samples/00000003.png" "$scratch/on-file/samples/00000003.png" || fail "a run and its exported weights begin other trainings"
midrun cut-on 2 --steps 3 --energy.start "$scratch/start.h5" --bank.defense-steps 12 --stop-at 1
rm "$scratch/start.h5"
midrun cut-on 1 --resume || fail "a resume asks for the weights that training began from: $(tail -n 1 "$scratch/cut-on.err")"
same on-file cut-on

# Who draws pictures may take longer than a collective may.
midrun slow 2 --steps 1 --evaluation.steps 3000 --watchdog.limit 1 || fail "slow pictures: $(tail -n 1 "$scratch/slow.err")"

# A start that died before its run.cfg left nothing that stands in the way, with --resume or without.
mkdir -p "$scratch/early/checkpoint"
cp "$scratch/gen-1/provenance.json" "$scratch/early/"
midrun early 2 --steps 10 "${from[@]}" --resume || fail "after an early death: $(tail -n 1 "$scratch/early.err")"
same gen-1 early

refuse() { # refuse CODE WORD OPTIONS...
  local code=$1 word=$2
  shift 2
  midrun refused 2 --steps 2 "$@"
  [[ $? = "$code" ]] || fail "not exit $code: $* ($(cat "$scratch/refused.err"))"
  [[ $(error_lines "$scratch/refused.err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/refused.err"))"
  grep -q "^langrun: error: .*$word" "$scratch/refused.err" || fail "no word of '$word': $(cat "$scratch/refused.err")"
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $*"
}
refuse 2 'bank.rejuvenation' --bank.rejuvenation 1.5
refuse 2 'defense-steps 2' --bank.defense-steps 2
refuse 2 'both' --bank.defense-steps 30 "${from[@]}"
refuse 2 'source.latent' --source.latent 8
refuse 2 'source.latent' "${from[@]}" --source.latent 8
refuse 3 'does not exist' --energy.start "$scratch/none"
refuse 3 'do not fit' --energy.start "$scratch/data-1" --energy.width 8
refuse 3 'does not exist' --source.generator "$scratch/none"
refuse 3 'no checkpoint' --source.generator "$scratch"
refuse 3 "no weights 'generator'" --source.generator "$scratch/data-1"
printf 'no module' >"$scratch/text.pt"
refuse 3 'neither' --source.generator "$scratch/text.pt" --source.latent 8

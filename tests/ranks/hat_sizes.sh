#!/bin/bash
# hat above 32x32: a step of synthesis at 128x128 and of refinement at 64x64, on narrow networks; the same bits on 1 and 2 ranks, and
# what the start table says of a rank's memory.
. "$(dirname "$0")/../common.sh"
"$program" data synth "$scratch/128.h5" --size 128 --count 8 >/dev/null 2>"$scratch/err" || fail "data synth: $(cat "$scratch/err")"
"$program" data synth "$scratch/64.h5" --size 64 --count 8 >/dev/null 2>"$scratch/err" || fail "data synth: $(cat "$scratch/err")"

# hat RUN RANKS SIZE OPTIONS...
hat() {
  local run=$scratch/$1 n=$2 size=$3
  shift 3
  ranks "$n" "$program" hat --data "$scratch/$size.h5" --run "$run" --energy.network "sngan$size" --energy.width 16 --batch 2 --lanes 2 \
    --langevin.steps 1 --evaluation.steps 1 --steps 1 --energy.average 0.9 "$@" >"$run.out" 2>"$run.err" ||
    fail "$run on $n: $(tail -n 1 "$run.err")"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }
# fact RUN NAME: its value in the start table.
fact() { sed -n "s/^ *$2  *//p" "$scratch/$1.out"; }

generator=(--generator.width 16 --generator.latent 8 --bank.size 4)
for n in 1 2; do
  hat "large-$n" "$n" 128 --generator.network sngan128 "${generator[@]}"
  hat "medium-$n" "$n" 64 --generator.network sngan64 "${generator[@]}"
done
same large-1 large-2
same medium-1 medium-2
for n in 1 2; do hat "refine-$n" "$n" 64 --mode refine --source.generator "$scratch/medium-1" --latent.eta 0.01; done
same refine-1 refine-2
grep -q '"residual_size": [0-9.e-]*[1-9]' "$scratch/large-1/metrics.jsonl" || fail "no residual at 128x128"

# 4 float32 images of 3 x 128 x 128 for each of two samples, or of one; without a bank 3 of 3 x 64 x 64, and 3 more of the sample
# whose pair is moving.
[[ $(fact large-1 'images of lanes, a rank') = '1.5 MiB' ]] || fail "memory of lanes: $(grep rank "$scratch/large-1.out")"
[[ $(fact large-2 'images of lanes, a rank') = '768.0 KiB' ]] || fail "memory of lanes on two ranks: $(grep rank "$scratch/large-2.out")"
[[ $(fact refine-1 'images of lanes, a rank') = '432.0 KiB' ]] || fail "memory of lanes without a bank: $(grep rank "$scratch/refine-1.out")"
[[ -n $(fact large-1 'moments and gradients, a rank') ]] || fail "no line for the optimiser: $(grep rank "$scratch/large-1.out")"
echo "hat runs at 64x64 and 128x128"

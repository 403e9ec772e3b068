#!/bin/bash
# Points of the plane: the same store, energy, pictures and samples on 1, 2 and 4 ranks and over a stop; the density of a
# run; who refuses what.
. "$(dirname "$0")/../common.sh"
data=$scratch/ring.h5
expect_code 0 "$program" data synth "$data" --density ring --count 300 --seed 7
ranks 2 "$program" data synth "$scratch/two.h5" --density ring --count 300 --seed 7 >/dev/null 2>"$scratch/err" ||
  fail "data synth on two ranks: $(cat "$scratch/err")"
content() { "$program" data info "$1" --checksum | grep '^content'; }
[[ $(content "$data") = "$(content "$scratch/two.h5")" ]] || fail "the points differ between rank counts"
"$program" data info "$data" | grep -q 'float32' || fail "data info does not say float32"

# plane RUN RANKS OPTIONS...
plane() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" convergent --data "$data" --run "$run" --energy.network mlp2d --energy.width 24 --batch 32 \
    --langevin.steps 4 --langevin.eta 0.03 --langevin.temperature 1 --data.noise 0 --energy.average 0.9 --sgd.from 6 \
    --sgd.learning-rate 1e-3 --seed 5 --steps 12 "$@" >"$run.out" 2>"$run.err"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }
for n in 1 2 4; do plane "on-$n" "$n" || fail "$n ranks: $(tail -n 1 "$scratch/on-$n.err")"; done
same on-1 on-2
same on-1 on-4
cmp "$scratch/on-1/samples/00000012.png" "$scratch/on-4/samples/00000012.png" || fail "pictures differ"
plane cut 4 --stop-at 5
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
plane cut 2 --resume || fail "resume: $(tail -n 1 "$scratch/cut.err")"
same on-1 cut

for n in 1 2; do
  ranks "$n" "$program" sample --energy "$scratch/on-1" --source noise --count 12 --call 4 --langevin.steps 5 \
    --out "$scratch/samples-$n.h5" --picture "$scratch/samples-$n.png" >/dev/null 2>"$scratch/err" || fail "sample: $(cat "$scratch/err")"
done
cmp "$scratch/samples-1.h5" "$scratch/samples-2.h5" || fail "samples differ between rank counts"
"$program" data info "$scratch/samples-1.h5" | grep -q '12 images of 1 x 1 x 2 .*float32' || fail "samples are no points"

expect_code 0 "$program" density "$scratch/on-1" --out "$scratch/density" --cells 64
for name in result.json density.h5; do [[ -s $scratch/density/$name ]] || fail "density left no $name"; done
grep -q '"kl": [0-9]' "$scratch/density/result.json" || fail "no divergence in $(cat "$scratch/density/result.json")"
[[ $(grep -c '"ratio"' "$scratch/density/result.json") = 8 ]] || fail "not eight modes"

refuse() { # refuse CODE WORD COMMAND...
  local code=$1 word=$2
  shift 2
  expect_code "$code" "$program" "$@"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/err"))"
  grep -q "^langrun: error: .*$word" "$scratch/err" || fail "no word of '$word': $(cat "$scratch/err")"
}
refuse 2 'result.json already' density "$scratch/on-1" --out "$scratch/density"
refuse 2 "unknown density 'rign'" density "$scratch/on-1" --out "$scratch/other" --density rign
refuse 3 'not the folder of a run' density "$scratch" --out "$scratch/other"
refuse 2 "unknown density 'spirls'" data synth "$scratch/none.h5" --density spirls
refuse 2 'size' data synth "$scratch/none.h5" --density ring --size 32
refuse 3 'channels' convergent --data "$data" --run "$scratch/none" --energy.network light --steps 1
pictures=$scratch/pictures.h5
synth "$pictures" 16
refuse 3 'channels' convergent --data "$pictures" --run "$scratch/none" --energy.network mlp2d --batch 8 --steps 1
[[ ! -e $scratch/none && ! -e $scratch/none.h5 && ! -e $scratch/other ]] || fail "a refused call left something behind"
ranks 1 "$program" shortrun --data "$pictures" --run "$scratch/light" --energy.network light --energy.width 4 --batch 8 \
  --bank.size 16 --init persistent --langevin.steps 1 --steps 1 >"$scratch/out" 2>"$scratch/err" || fail "shortrun: $(cat "$scratch/err")"
refuse 3 'expected one of points' density "$scratch/light" --out "$scratch/other"
net=$LANGRUN_SHARED/data/resnet20-cifar10.th
[[ ! -e $net ]] || refuse 3 'expected 8-bit pictures' score "$data" "$data" --features "$net:resnet20"

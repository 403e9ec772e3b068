#!/bin/bash
# run relane: the same weights and slots with another number of lanes, of one bank and of a longrun's two; there and back again the
# same checkpoint; a damaged newest one is named; what it refuses.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 128
train eight 2 --steps 4 --checkpoint.every 2 || fail "training: $(tail -n 1 "$scratch/eight.err")"
expect_code 0 "$program" run relane "$scratch/eight" "$scratch/two" --lanes 2
grep -q 'its bits are not those' "$scratch/out" || fail "nothing is said of bits: $(cat "$scratch/out")"
expect_code 0 "$program" run verify "$scratch/two"
expect_code 0 "$program" run relane "$scratch/two" "$scratch/back" --lanes 8
expect_code 0 "$program" run diff "$scratch/eight" "$scratch/back"
# It goes on, on as many ranks as it has lanes, with the same bits on each number of ranks.
cp -a "$scratch/two" "$scratch/one"
ranks 2 "$program" shortrun --run "$scratch/two" --resume --steps 6 >"$scratch/out" 2>"$scratch/err" || fail "two lanes: $(tail -n 1 "$scratch/err")"
ranks 1 "$program" shortrun --run "$scratch/one" --resume --steps 6 >"$scratch/out" 2>"$scratch/err" || fail "one rank: $(tail -n 1 "$scratch/err")"
expect_code 0 "$program" run diff "$scratch/one" "$scratch/two"
[[ $(wc -l <"$scratch/two/metrics.jsonl") = 6 ]] || fail "metrics are not those up to step 6"

before=$(find "$scratch/eight" -type f -exec md5sum {} + | sort | md5sum)
for bad in 0 3 32 8; do expect_code 2 "$program" run relane "$scratch/eight" "$scratch/bad" --lanes $bad; done
expect_code 2 "$program" run relane "$scratch/eight" "$scratch/two" --lanes 4
expect_code 3 "$program" run relane "$scratch" "$scratch/bad" --lanes 4
[[ ! -e $scratch/bad ]] || fail "a refused conversion left something"
[[ $(find "$scratch/eight" -type f -exec md5sum {} + | sort | md5sum) = "$before" ]] || fail "the run that was read has changed"

# Two banks, whose chains meet when those of the one retire into the other.
longrun() { # longrun RUN RANKS OPTIONS...
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" longrun --data "$data" --run "$run" --energy.network light --energy.width 4 --batch 16 --langevin.steps 2 \
    --bank.size 60 --burn-in.size 44 --burn-in.rounds 2 --seed 5 "$@" >"$run.out" 2>"$run.err" || fail "longrun: $(tail -n 1 "$run.err")"
}
longrun old 2 --steps 3
expect_code 0 "$program" run relane "$scratch/old" "$scratch/old-two" --lanes 2
for group in burn_in update; do
  grep -qa "$group" "$scratch/old-two/checkpoint/00000003/bank-1.h5" || fail "no $group bank: $(cat "$scratch/out")"
done
expect_code 0 "$program" run verify "$scratch/old-two"
expect_code 0 "$program" run relane "$scratch/old-two" "$scratch/old-back" --lanes 8
expect_code 0 "$program" run diff "$scratch/old" "$scratch/old-back"
cp -a "$scratch/old-two" "$scratch/old-one"
longrun old-two 2 --resume --steps 5
longrun old-one 1 --resume --steps 5
expect_code 0 "$program" run diff "$scratch/old-one" "$scratch/old-two"

# The newest checkpoint is damaged: it is named, once, and the one before it converted.
cp -a "$scratch/eight" "$scratch/hurt"
printf X | dd of="$scratch/hurt/checkpoint/00000004/bank-3.h5" bs=1 seek=3000 conv=notrunc status=none
expect_code 0 ranks 2 "$program" run relane "$scratch/hurt" "$scratch/older" --lanes 2
[[ $(grep -c '^langrun: warning: damaged checkpoint passed over: .*bank-3.h5' "$scratch/err") = 1 ]] || fail "not one warning: $(cat "$scratch/err")"
grep -q 'goes on from step 2$' "$scratch/out" || fail "not the older checkpoint: $(cat "$scratch/out")"

# A resume with other lanes is refused, and says what to do.
expect_code 2 "$program" shortrun --run "$scratch/eight" --resume --lanes 4
grep -q 'run relane' "$scratch/err" || fail "run relane is not named: $(cat "$scratch/err")"

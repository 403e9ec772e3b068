#!/bin/bash
# run relane: the same weights and slots with another number of lanes; there and back again the same checkpoint; what it refuses.
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
# A resume with other lanes is refused, and says what to do.
expect_code 2 "$program" shortrun --run "$scratch/eight" --resume --lanes 4
grep -q 'run relane' "$scratch/err" || fail "run relane is not named: $(cat "$scratch/err")"

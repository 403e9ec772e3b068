#!/bin/bash
# Damaged HDF5 files of every kind: refused, or taken with the content that they had; never taken with another.
. "$(dirname "$0")/../common.sh"
driver=$build/tests/hdf5_mutations
[[ -x $driver ]] || fail "no program at $driver: build first"
"$driver" --count 4000 --seed 3 >"$scratch/out" 2>"$scratch/err" || fail "$(cat "$scratch/err" "$scratch/out")"
for kind in store shard weights statistics records 'bank in a checkpoint' 'block of chains' 'table of chains'; do
  grep -qE "^$kind +[1-9][0-9]+ refused" "$scratch/out" || fail "no damaged $kind was refused: $(cat "$scratch/out")"
done
# What stands below a seal, which a stranger could make anew: no error but those that say what is wrong with the file.
"$driver" --count 1600 --seed 4 --below-seal >"$scratch/out" 2>"$scratch/err" || fail "$(cat "$scratch/err" "$scratch/out")"
tail -n 1 "$scratch/out"

#!/bin/bash
# The same configuration on 1, 2 and 4 ranks: metrics, weights, optimiser and bank equal bit for bit after 20 steps; so
# too after a stop at 10 and a resume on another rank count. For every way to start chains, with both batch norms.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256

# Pictures, too, must not depend on the ranks.
train_with_pictures() { train "$@" --pictures.every 10; }
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

for n in 1 2 4; do train_with_pictures "plain-$n" "$n" --steps 20 || fail "$n ranks: $(tail -n 1 "$scratch/plain-$n.err")"; done
same plain-1 plain-2
same plain-1 plain-4
cmp "$scratch/plain-1/samples/00000020.png" "$scratch/plain-4/samples/00000020.png" || fail "pictures differ"

train_with_pictures cut 4 --steps 20 --stop-at 10
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
train_with_pictures cut 2 --steps 20 --resume || fail "resume: $(tail -n 1 "$scratch/cut.err")"
same plain-1 cut

for init in persistent coop coop-inference data data-persistent noise; do
  train_with_pictures "$init-1" 1 --steps 4 --init "$init" || fail "$init: $(tail -n 1 "$scratch/$init-1.err")"
  train_with_pictures "$init-2" 2 --steps 4 --init "$init" || fail "$init: $(tail -n 1 "$scratch/$init-2.err")"
  same "$init-1" "$init-2"
done
train_with_pictures off-1 1 --steps 4 --generator.batch-norm off --lanes 4 || fail "batch norm off"
train_with_pictures off-4 4 --steps 4 --generator.batch-norm off --lanes 4 || fail "batch norm off"
same off-1 off-4

#!/bin/bash
# The same configuration on 1, 2 and 4 ranks: metrics, weights, optimiser and bank equal bit for bit after 20 steps; so
# too after a stop at 10 and a resume on another rank count. For every way to start chains, with both batch norms.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256

train() { # train RUN RANKS OPTIONS...
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" shortrun --data "$data" --run "$run" --energy.network light --energy.width 4 \
    --generator.network sngan32 --generator.width 4 --generator.latent 8 --batch 16 --bank.size 60 --langevin.steps 3 \
    --seed 11 --pictures.every 10 "$@" >"$run.out" 2>"$run.err"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

for n in 1 2 4; do train "plain-$n" "$n" --steps 20 || fail "$n ranks: $(tail -n 1 "$scratch/plain-$n.err")"; done
same plain-1 plain-2
same plain-1 plain-4
cmp "$scratch/plain-1/samples/00000020.png" "$scratch/plain-4/samples/00000020.png" || fail "pictures differ"

train cut 4 --steps 20 --stop-at 10
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
train cut 2 --steps 20 --resume || fail "resume: $(tail -n 1 "$scratch/cut.err")"
same plain-1 cut

for init in persistent coop data data-persistent noise; do
  train "$init-1" 1 --steps 4 --init "$init" || fail "$init: $(tail -n 1 "$scratch/$init-1.err")"
  train "$init-2" 2 --steps 4 --init "$init" || fail "$init: $(tail -n 1 "$scratch/$init-2.err")"
  same "$init-1" "$init-2"
done
train off-1 1 --steps 4 --generator.batch-norm off --lanes 4 || fail "batch norm off"
train off-4 4 --steps 4 --generator.batch-norm off --lanes 4 || fail "batch norm off"
same off-1 off-4

#!/bin/bash
# The first 6 steps of tiny runs of hat and autoencoder, against the figures recorded beside this file, as shortrun.sh. They hold
# the constants of a step: weights of the losses, batch norm without statistics, residuals that begin at 0, the generator that
# learns from past pairs. `tests/golden/hat.sh --record` records anew.
. "$(dirname "$0")/../common.sh"
need python3
data=$scratch/data.h5
synth "$data" 256

# golden NAME COMMAND OPTIONS...
golden() {
  local name=$1
  ranks 2 "$program" "$2" --data "$data" --run "$scratch/$name" --batch 16 --steps 6 --seed 11 "${@:3}" >"$scratch/$name.out" 2>&1 ||
    fail "$name: $(tail -n 1 "$scratch/$name.out")"
  python3 "$source_root/tests/golden/compare.py" "$scratch/$name/metrics.jsonl" "$source_root/tests/golden/$name.jsonl" "$record" ||
    fail "$name"
}
record=${1:-}
energy=(--energy.network light --energy.width 4 --energy.learning-rate 1e-3 --langevin.steps 3 --langevin.eta 5e-3)
golden synthesis hat "${energy[@]}" --generator.network sngan32 --generator.width 4 --generator.latent 8 --generator.learning-rate 1e-3 \
  --bank.size 40
golden autoencoder autoencoder --encoder.width 4 --generator.width 4 --autoencoder.learning-rate 1e-3 --latent.noise 0.5
golden retrofit hat --mode retrofit "${energy[@]}" --source.generator "$scratch/autoencoder" --latent.eta 0.01

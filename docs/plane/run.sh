#!/bin/bash
# Makes everything of docs/plane.md anew: docs/plane/run.sh [FOLDER [PICTURES]]
# Runs and figures go to FOLDER (default runs/plane; what is there already is kept, an interrupted run goes on), the page's
# pictures and its table to PICTURES (default FOLDER/pictures). LANGRUN names the program (default build/langrun), RANKS the
# ranks (default 2), LANGRUN_PYTHON a Python with numpy, h5py and matplotlib (default python3).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-runs/plane}
pictures=${2:-$folder/pictures}
program=${LANGRUN:-$root/build/langrun}
. "$root/launch/mpi"
mkdir -p "$folder" "$pictures"
export OMP_NUM_THREADS=1

# synth DENSITY: the points of a density.
synth() { [[ -e $folder/$1.h5 ]] || "$program" data synth "$folder/$1.h5" --density "$1" --count 10000 --seed 1; }

# train NAME JOB PRESET DENSITY OPTIONS...: a run, and its density at every checkpoint.
train() {
  local name=$1 run=$folder/$1 job=$2 preset=$3 data=$folder/$4.h5 step
  shift 4
  ranks "${RANKS:-2}" "$program" "$job" --preset "$preset" --data "$data" --run "$run" --resume --checkpoint.keep 1000 "$@"
  for step in "$run"/checkpoint/0*; do
    step=$((10#$(basename "$step")))
    for weights in average raw; do
      [[ -e $run/density-$weights-$step/result.json ]] ||
        "$program" density "$run" --at "$step" --weights "$weights" --out "$run/density-$weights-$step" >/dev/null
    done
  done
  cp "$run/density-average-$step/density.png" "$pictures/$name.png"
}

synth ring
synth spirals
train convergent convergent ring ring
train adam convergent ring-adam ring
# The control of the control: nor does Adam's rate fall.
train adam-constant convergent ring-adam ring --energy.drops 8000:2e-3
train midrun midrun ring ring
train spirals convergent spirals spirals
"${LANGRUN_PYTHON:-python3}" "$root/docs/plane/curves.py" "$folder" "$pictures"

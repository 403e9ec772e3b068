#!/bin/bash
# How realistic chains stay: the figure of docs/lifecycle.md, from a shortrun of docs/cifar10.md.
#   docs/lifecycle/run.sh SHORTRUN IMAGES FEATURES FOLDER [--KEY VALUE]...
# SHORTRUN: the run folder, whose generator chains begin from. IMAGES: the store of training images. FEATURES: a feature net
# for `langrun score`. FOLDER: trains midrun and convergent there (presets cifar10-small) and samples all three energies;
# what is there already is gone on with. Options go to the two trainings; --precision among them to the sampling too.
set -eu -o pipefail
short=$(realpath "$1") images=$(realpath "$2") features=$(realpath "${3%%:*}")${3#"${3%%:*}"} folder=$4
shift 4
precision=fp32 before=
for word in "$@"; do
  [[ $before = --precision ]] && precision=$word
  before=$word
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
langrun=${LANGRUN_PROGRAM:-$root/build/langrun}
python=${LANGRUN_PYTHON:-python3}
"$python" -c 'import h5py, matplotlib' || exit
# shellcheck source=../../launch/mpi
. "$root/launch/mpi"
export OMP_NUM_THREADS=1
mkdir -p "$folder"
cd "$folder"

ranks 2 "$langrun" midrun --preset cifar10-small --data "$images" --source.generator "$short" --run midrun --resume \
  --checkpoint.keep 100 "$@"
ranks 2 "$langrun" convergent --preset cifar10-small --data "$images" --run convergent --resume --checkpoint.keep 100 "$@"

# chains NAME ENERGY COUNT SOURCE...: chains at rising steps, and their distance from as many training images.
chains() {
  local name=$1 energy=$2 count=$3 store json
  shift 3
  ranks 2 "$langrun" sample --energy "$energy" "$@" --count "$count" --steps-list 0,10,30,100,300,1000,2000 --precision "$precision" \
    --run "$name" --resume
  for store in "$name"/step-*.h5; do
    json=$name/score-$(basename "$store" .h5).json
    [[ -e $json ]] || ranks 2 "$langrun" score "$store" "$images" --features "$features" --count "$count" --choice random --json "$json"
  done
}
for energy in "$short" midrun convergent; do
  name=$(basename "$energy")
  [[ $energy = "$short" ]] && name=shortrun
  chains "$name-generator" "$energy" 2000 --source generator --source.generator "$short"
  chains "$name-data" "$energy" 500 --source data --data "$images"
done
"$python" "$here/figure.py" . lifecycle.png

#!/bin/bash
# The CIFAR-10 run of docs/cifar10.md: import, at most an hour of training on two ranks, a Frechet distance every
# 1000 steps and for the untrained generator, a curve and a picture.
#   docs/cifar10/run.sh IMAGES WEIGHTS FOLDER [--KEY VALUE]...
# IMAGES: CIFAR-10's training images (a tar or folder of class folders, or the binary files). WEIGHTS: ResNet-20 for
# CIFAR-10 as a PyTorch file. FOLDER must not exist. Options go to the run.
set -eu -o pipefail
images=$(realpath "$1") weights=$(realpath "$2") folder=$3
shift 3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
langrun=${LANGRUN_PROGRAM:-$root/build/langrun}
# shellcheck source=../../launch/mpi
. "$root/launch/mpi"
export OMP_NUM_THREADS=1
mkdir "$folder"
cd "$folder"

"$langrun" data import "$images" train.h5
"$langrun" weights import "$weights" resnet20.h5 --network resnet20
ranks 2 "$langrun" shortrun --preset cifar10-small --data train.h5 --run run --checkpoint.keep 100 "$@"

# 5000 samples against 5000 training images drawn at random; one JSON file each.
score() {
  local name=$1
  shift
  ranks 2 "$langrun" score run train.h5 --features resnet20.h5 --count 5000 --choice random --json "score-$name.json" "$@"
}
score initial --weights initial --langevin.steps 0
for checkpoint in run/checkpoint/*000; do
  score "$(basename "$checkpoint")" --at "$((10#$(basename "$checkpoint")))"
done
"$langrun" sample --energy run --picture samples.png
"${LANGRUN_PYTHON:-python3}" "$here/curve.py" . curve.png

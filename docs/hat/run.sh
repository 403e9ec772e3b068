#!/bin/bash
# The hat study of docs/hat.md on CIFAR-10: synthesis from nothing, refinement of a shortrun's generator and the baseline DDLS over it,
# retrofit of an autoencoder's decoder, each within 90 minutes on two ranks; Frechet distances before and after, pictures, AUROC tables.
#   [AGAINST=imagenet-sample-jpeg.tar] docs/hat/run.sh IMAGES TEST WEIGHTS FOLDER [--KEY VALUE]...
# IMAGES, TEST: stores of CIFAR-10's training and test images, as `langrun data import` makes them of its tars. WEIGHTS: ResNet-20 for
# CIFAR-10 as a PyTorch file. Options go to the trainings of energies. What is in FOLDER already is gone on with. AGAINST names further
# images for the AUROC tables, with commas between: stores, folders or tars, such as a sample of ImageNet.
set -eu -o pipefail
images=$(realpath "$1") test=$(realpath "$2") weights=$(realpath "$3") folder=$4
shift 4
against=
IFS=, read -ra named <<<"${AGAINST:-}"
for set in "${named[@]}"; do against+=${against:+,}$(realpath "$set"); done
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
langrun=${LANGRUN_PROGRAM:-$root/build/langrun}
# shellcheck source=../../launch/mpi
. "$root/launch/mpi"
export OMP_NUM_THREADS=1
mkdir -p "$folder"
cd "$folder"

[[ -e resnet20.h5 ]] || "$langrun" weights import "$weights" resnet20.h5 --network resnet20
ranks 2 "$langrun" hat --preset cifar10-small --data "$images" --run synthesis --resume "$@"
ranks 2 "$langrun" shortrun --preset cifar10-small --data "$images" --run shortrun --resume "$@"
ranks 2 "$langrun" hat --preset cifar10-refine-small --data "$images" --source.generator shortrun --run refine --resume "$@"
ranks 2 "$langrun" hat --preset cifar10-ddls-small --data "$images" --source.generator shortrun --run ddls --resume
ranks 2 "$langrun" autoencoder --preset cifar10-small --data "$images" --run autoencoder --resume
ranks 2 "$langrun" hat --preset cifar10-retrofit-small --data "$images" --source.generator autoencoder --run retrofit --resume "$@"

# 5000 samples against 5000 training images drawn at random; one JSON file each.
score() {
  local name=$1 run=$2
  shift 2
  [[ -e score-$name.json ]] ||
    ranks 2 "$langrun" score "$run" "$images" --features resnet20.h5 --count 5000 --choice random --json "score-$name.json" "$@"
}
score untrained synthesis --weights initial --langevin.steps 0
score synthesis-generator synthesis --langevin.steps 0
score shortrun shortrun
for run in refine ddls retrofit; do score $run-generator $run --langevin.steps 0; done
for run in synthesis refine ddls retrofit; do score $run $run; done

picture() { [[ -e $1.png ]] || "$langrun" sample --energy "$2" --picture "$1.png" "${@:3}"; }
for run in synthesis refine retrofit; do
  picture $run-sum $run
  picture $run-generated $run --view generated
  picture $run-residual $run --view residual
  picture $run-arc $run --interpolation 8
done
for run in synthesis refine retrofit shortrun; do
  [[ -e ood-$run ]] ||
    ranks 2 "$langrun" ood --energy $run --data "$test" --against "$against" --resize --run ood-$run
done

#!/bin/bash
# The hat study of docs/hat.md on CIFAR-10: synthesis from nothing, refinement of a shortrun's generator and the baseline DDLS over it,
# retrofit of an autoencoder's decoder, each within 90 minutes on two ranks; Frechet distances before and after, pictures, AUROC tables.
#   [AGAINST=imagenet-sample-jpeg.tar] [SHORT=1] docs/hat/run.sh IMAGES TEST WEIGHTS FOLDER [--KEY VALUE]...
# IMAGES, TEST: stores of CIFAR-10's training and test images, as `langrun data import` makes them of its tars. WEIGHTS: ResNet-20 for
# CIFAR-10 as a PyTorch file. Options go to the trainings of energies. What is in FOLDER already is gone on with. AGAINST names further
# images for the AUROC tables, with commas between: stores, folders or tars, such as a sample of ImageNet. SHORT trains
# each for a tenth to a third of its steps.
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

# train COMMAND RUN STEPS OPTION...: by the command's small preset, or STEPS steps of it where SHORT is set, with falls of the rates at 0.6
# and 0.84 of them. Of 0 steps: all of them in either case.
train() {
  local command=$1 run=$2 steps=$3 first=$(($3 * 60 / 100)) second=$(($3 * 84 / 100)) short=()
  shift 3
  if [[ -n ${SHORT:-} && $steps -gt 0 ]]; then
    short=(--steps "$steps")
    [[ $command = autoencoder ]] || short+=(--energy.drops "$first:1e-4,$second:3e-5")
    case $run in
      autoencoder) short+=(--autoencoder.drops "$first:3e-4,$second:1e-4") ;;
      synthesis | shortrun) short+=(--generator.drops "$first:5e-4,$second:2e-4") ;;
    esac
  fi
  ranks 2 "$langrun" "$command" --data "$images" --run "$run" --resume "$@" "${short[@]}"
}
# 5000 samples against 5000 training images drawn at random; one JSON file each.
score() {
  local name=$1 run=$2
  shift 2
  [[ -e score-$name.json ]] ||
    ranks 2 "$langrun" score "$run" "$images" --features resnet20.h5 --count 5000 --choice random --json "score-$name.json" "$@"
}
train hat synthesis 2500 --preset cifar10-small "$@"
score untrained synthesis --weights initial --langevin.steps 0
score synthesis-generator synthesis --langevin.steps 0
score synthesis synthesis
train shortrun shortrun 2000 --preset cifar10-small "$@"
score shortrun shortrun
train hat refine 0 --preset cifar10-refine-small --source.generator shortrun "$@"
train autoencoder autoencoder 1200 --preset cifar10-small
train hat retrofit 0 --preset cifar10-retrofit-small --source.generator autoencoder "$@"
train hat ddls 1500 --preset cifar10-ddls-small --source.generator shortrun
for run in refine retrofit ddls; do
  score $run-generator $run --langevin.steps 0
  score $run $run
done

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

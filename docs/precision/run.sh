#!/bin/bash
# What bf16 changes beside fp32 (docs/performance.md, "What bf16 changes"): the same 500 training steps in both, the Frechet
# distance of 2000 samples of each, and gradients under the energy that fp32 learned.
#   docs/precision/run.sh IMAGES WEIGHTS FOLDER [--KEY VALUE]...
# IMAGES: CIFAR-10's training images (a tar or folder of class folders, the binary files, or a store of langrun's). WEIGHTS:
# ResNet-20 for CIFAR-10 as a PyTorch file. FOLDER must not exist. Options go to both runs.
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

if [[ $images == *.h5 ]]; then ln -s "$images" train.h5; else "$langrun" data import "$images" train.h5; fi
"$langrun" weights import "$weights" resnet20.h5 --network resnet20
for precision in fp32 bf16; do
  ranks 2 "$langrun" shortrun --preset cifar10-small --data train.h5 --run "$precision" --precision "$precision" \
    --steps 500 --pictures.every 0 --checkpoint.every 500 "$@"
  ranks 2 "$langrun" score "$precision" train.h5 --features resnet20.h5 --count 2000 --choice random \
    --json "score-$precision.json"
done
"$langrun" bench precision --checkpoint "$(echo fp32/checkpoint/0*)" --batch 64 --json precision.json
"${LANGRUN_PYTHON:-python3}" "$here/compare.py" . compare.png

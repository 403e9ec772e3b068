#!/bin/bash
# What bf16 changes beside fp32 (docs/performance.md, "What bf16 changes"): the same 500 training steps in both, the Frechet
# distance of 2000 samples of each, and gradients under the energy that fp32 learned.
#   docs/precision/run.sh IMAGES WEIGHTS FOLDER [--KEY VALUE]...
# IMAGES: CIFAR-10's training images (a tar or folder of class folders, the binary files, or a store of langrun's). WEIGHTS:
# ResNet-20 for CIFAR-10 as a PyTorch file. FOLDER must not exist. Options go to both runs.
# LANGRUN_PROGRAM names another program than build/langrun, LANGRUN_PYTHON another Python than that of the set-up.
set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${LANGRUN_BUILD:-$root/build}
langrun=${LANGRUN_PROGRAM:-$build/langrun}
# shellcheck source=../../launch/mpi
. "$root/launch/mpi"

die() {
  echo "run.sh: error: $1" >&2
  exit "${2:-2}"
}
draws() { command -v "$1" >/dev/null && "$1" -c 'import matplotlib' 2>/dev/null; }

# What is wanted only at the end is looked at now, before anything is trained.
(($# >= 3)) || die "usage: docs/precision/run.sh IMAGES WEIGHTS FOLDER [--KEY VALUE]..."
for file in "$1" "$2"; do [[ -e $file ]] || die "there is no $file" 3; done
images=$(realpath "$1") weights=$(realpath "$2") folder=$3
shift 3
[[ ! -e $folder ]] || die "$folder exists already; name a new folder"
langrun=$(realpath -m -- "$(command -v "$langrun" || echo "$langrun")")
[[ -f $langrun && -x $langrun ]] || die "there is no program $langrun: run launch/setup, or set LANGRUN_PROGRAM"
command -v mpirun >/dev/null || die "there is no mpirun: install Open MPI, or load your site's MPI module"

# The Python asked for; else the one that the set-up found, the one it made, the system's.
if [[ -n ${LANGRUN_PYTHON:-} ]]; then
  draws "$LANGRUN_PYTHON" || die "LANGRUN_PYTHON=$LANGRUN_PYTHON is no Python with matplotlib"
  python=$(realpath -s -- "$(command -v "$LANGRUN_PYTHON")")
else
  found=$(cut -d ' ' -f 2- "$build/setup/python" 2>/dev/null || true)
  for python in "$found" "$root/.venv/bin/python" python3 ''; do
    [[ -z $python ]] || ! draws "$python" || break
  done
  [[ -n $python ]] || die "there is no Python with matplotlib: run launch/setup, or set LANGRUN_PYTHON"
fi

export OMP_NUM_THREADS=1
mkdir -- "$folder" 2>/dev/null || die "the folder $folder cannot be made" 6
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
"$python" "$here/compare.py" . compare.png

#!/bin/bash
# What an import stores does not depend on how many ranks made it, and errors are one line from all of them.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

# content FILE: a checksum of its images and labels, and what it says of itself, without where it lies.
content() {
  "$program" data info "$1" --checksum >"$scratch/info" 2>"$scratch/err" || fail "data info $1: $(tail -n 1 "$scratch/err")"
  sed -e '1s/^.*: \([0-9]* images\)/\1/; 1s/, in [0-9]* shards//' "$scratch/info"
}

# same NAME COMMAND...: COMMAND with an OUT appended gives the same content on 1, 2 and 4 ranks.
same() {
  local name=$1 n one
  shift
  for n in 1 2 4; do
    ranks "$n" "$program" "$@" "$scratch/$name-$n.h5" >"$scratch/out" 2>"$scratch/err" ||
      fail "$name on $n ranks: $(tail -n 2 "$scratch/err")"
    content "$scratch/$name-$n.h5" >"$scratch/$name-$n.txt"
    [[ -s $scratch/$name-$n.txt ]] || fail "$name on $n ranks: nothing described"
  done
  "$program" "$@" "$scratch/$name-0.h5" >/dev/null 2>"$scratch/err" || fail "$name without a launcher: $(tail -n 1 "$scratch/err")"
  content "$scratch/$name-0.h5" >"$scratch/$name-0.txt"
  one=$(cat "$scratch/$name-1.txt")
  for n in 0 2 4; do
    [[ $(cat "$scratch/$name-$n.txt") = "$one" ]] || fail "$name: $n ranks differ from 1: $(diff "$scratch/$name-1.txt" "$scratch/$name-$n.txt")"
  done
  echo "$name: the same on 1, 2 and 4 ranks"
}

# A made-up set of 45 pictures: CIFAR's binary form needs no encoder.
mkdir -p "$scratch/set"
for part in data_batch_1 data_batch_2 test_batch; do
  for record in $(seq 15); do
    # shellcheck disable=SC2059  # the format is the byte
    printf "\\x0$((record % 10))"
    head -c 3072 /dev/urandom
  done >"$scratch/set/$part.bin"
done
same synth data synth --count 33 --size 16 --seed 5
same cifar data import "$scratch/set"
same crops data import "$scratch/set" --size 24 --crop random --crop-copies 3 --seed 4
tar -czf "$scratch/set.tar.gz" -C "$scratch" set
same packed data import "$scratch/set.tar.gz"
mkdir "$scratch/few"
head -c 9219 "$scratch/set/test_batch.bin" >"$scratch/few/test_batch.bin"
same few data import "$scratch/few"

# MNIST's form, with one file of each kind packed: 60 grey pictures of 6 x 5.
mkdir "$scratch/idx"
{ printf '\000\000\010\003\000\000\000\074\000\000\000\006\000\000\000\005'; head -c 1800 /dev/urandom; } >"$scratch/idx/train-images-idx3-ubyte"
{ printf '\000\000\010\001\000\000\000\074'; printf '\003\001\002%.0s' {1..20}; } >"$scratch/idx/train-labels-idx1-ubyte"
same idx data import "$scratch/idx"
gzip "$scratch/idx/"*
same idx-packed data import "$scratch/idx"
diff <(grep content "$scratch/idx-1.txt") <(grep content "$scratch/idx-packed-1.txt") || fail "packed IDX files give another store"

imagenet=$LANGRUN_SHARED/data/imagenet-sample-jpeg.tar
if [[ -r $imagenet ]]; then
  same photographs data import "$imagenet" --class-from name --size 32 --crop random
  same scaled data import "$imagenet" --class-from name --size 200 --crop random --scaled-decoding
  grep -q 'largest difference from full decoding [1-9]' "$scratch/scaled-1.txt" || fail "scaled decoding is not recorded"
  for kind in photographs scaled; do
    options=(--size 32)
    [[ $kind = photographs ]] || options=(--size 200 --scaled-decoding)
    for threads in 1 3; do
      ranks 2 "$program" data import "$imagenet" --class-from name --crop random "${options[@]}" --threads $threads \
        "$scratch/$kind-t$threads.h5" >/dev/null 2>"$scratch/err" || fail "$kind, $threads threads: $(tail -n 2 "$scratch/err")"
      content "$scratch/$kind-t$threads.h5" >"$scratch/$kind-t$threads.txt"
      diff "$scratch/$kind-1.txt" "$scratch/$kind-t$threads.txt" || fail "$kind: 2 ranks of $threads threads differ from 1 rank"
    done
  done
  echo "photographs: the same with 1 and 3 threads a rank"
fi

# Errors: one line, the right code, nothing left behind.
mkdir -p "$scratch/bad/a" "$scratch/bad/b" "$scratch/target"
echo hello >"$scratch/bad/b/x.jpg"
cp "$scratch/set/test_batch.bin" "$scratch/bad/a/x.png"
for n in 1 2 3; do
  expect_code 3 ranks "$n" "$program" data import "$scratch/bad" "$scratch/target/o.h5"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "$n ranks, not an image: $(cat "$scratch/err")"
  expect_code 3 ranks "$n" "$program" data import "$scratch/none" "$scratch/target/o.h5"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "$n ranks, missing source: $(cat "$scratch/err")"
  expect_code 2 ranks "$n" "$program" data import "$scratch/set" "$scratch/cifar-1.h5"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "$n ranks, existing output: $(cat "$scratch/err")"
  expect_code 6 ranks "$n" "$program" data import "$scratch/set" "$scratch/nowhere/o.h5"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "$n ranks, no folder: $(cat "$scratch/err")"
done
[[ -z $(ls -A "$scratch/target") ]] || fail "left behind: $(ls -A "$scratch/target")"

# Read by another program, from another folder, as one file.
if [[ -n ${LANGRUN_PYTHON:-} ]] && "$LANGRUN_PYTHON" -c "import h5py" 2>/dev/null; then
  (cd / && "$LANGRUN_PYTHON" - "$scratch/crops-1.h5" "$scratch/crops-4.h5") <<'PYTHON' || fail "h5py reads another store"
import sys
import h5py
one, four = (h5py.File(name, "r") for name in sys.argv[1:])
for name, kind in (("images", "uint8"), ("labels", "int64")):
    assert one[name].dtype == kind and (one[name][:] == four[name][:]).all(), name
assert one["images"].shape == (135, 24, 24, 3) and four["images"].is_virtual
assert list(one.attrs["classes"]) == list(four.attrs["classes"]) == list("0123456789")
assert four["images"][:].std() > 20  # shards that are not found would be black
PYTHON
  echo "h5py reads the shards as one file"
fi
echo "imports do not depend on the ranks"

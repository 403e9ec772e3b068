#!/bin/bash
# A disk that fills up: exit 6, the last good checkpoint intact, and a resume once there is space again.
. "$(dirname "$0")/../common.sh"
[[ $(id -u) = 0 ]] || skip "mounting a small tmpfs needs root"
disk=$scratch/disk
mkdir "$disk"
mount -t tmpfs -o size=6m tmpfs "$disk" 2>/dev/null || skip "tmpfs cannot be mounted here"
trap 'umount "$disk"; rm -rf "$scratch"' EXIT
data=$scratch/data.h5
synth "$data" 64
train() {
  ranks 2 "$program" shortrun --data "$data" --run "$1" --energy.network light --energy.width 4 --generator.network sngan32 \
    --generator.width 4 --generator.latent 8 --batch 16 --bank.size 128 --langevin.steps 1 --steps 8 --pictures.every 0 \
    --checkpoint.every 2 "${@:2}" >"$scratch/out" 2>"$scratch/err"
}
train "$scratch/whole" || fail "the undisturbed run: $(tail -n 1 "$scratch/err")"
train "$disk/run" --checkpoint.keep 9
code=$?
[[ $code = 6 ]] || fail "a full disk ends with $code: $(cat "$scratch/err")"
[[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $(cat "$scratch/err")"
"$program" run verify "$disk/run" >/dev/null || fail "what was durable is damaged"
# A write in the background that fails is told at the next step, on all ranks: nothing was trained for nothing.
newest=$(readlink "$disk/run/checkpoint/latest")
(($(wc -l <"$disk/run/metrics.jsonl") <= 10#$newest + 4)) || fail "$(wc -l <"$disk/run/metrics.jsonl") steps, the newest checkpoint is $newest"
mount -o remount,size=60m "$disk"
train "$disk/run" --checkpoint.keep 9 --resume || fail "resume: $(tail -n 1 "$scratch/err")"
"$program" run diff "$scratch/whole" "$disk/run" >"$scratch/diff" || fail "$(cat "$scratch/diff")"

# With one checkpoint kept the old one goes only once the new one is durable.
rm -rf "$disk/run"
mount -o remount,size=6m "$disk"
dd if=/dev/zero of="$disk/ballast" bs=1k count=1 status=none
train "$disk/one" --checkpoint.keep 1 --stop-at 2
[[ $? = 75 ]] || fail "the first checkpoint does not fit: $(cat "$scratch/err")"
dd if=/dev/zero of="$disk/ballast" bs=64k status=none 2>/dev/null
train "$disk/one" --checkpoint.keep 1 --resume
[[ $? = 6 ]] || fail "a full disk with one checkpoint kept: $(cat "$scratch/err")"
# The start may not have come so far as to point the link `checkpoint` at its home.
latest=$(readlink "$disk"/one/checkpoint.*/latest)
[[ $latest = 00000002 ]] || fail "latest is '$latest'"
"$program" run verify "$disk/one" >/dev/null || fail "the only checkpoint is damaged"
rm "$disk/ballast"
mount -o remount,size=60m "$disk"
train "$disk/one" --checkpoint.keep 1 --resume || fail "resume: $(tail -n 1 "$scratch/err")"
"$program" run diff "$scratch/whole" "$disk/one" >"$scratch/diff" || fail "$(cat "$scratch/diff")"

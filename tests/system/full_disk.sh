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
mount -o remount,size=60m "$disk"
train "$disk/run" --checkpoint.keep 9 --resume || fail "resume: $(tail -n 1 "$scratch/err")"
"$program" run diff "$scratch/whole" "$disk/run" >"$scratch/diff" || fail "$(cat "$scratch/diff")"

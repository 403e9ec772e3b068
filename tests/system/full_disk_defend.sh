#!/bin/bash
# A disk that fills up in the middle of an evaluation: exit 6, finished images kept, and a resume once there is space again.
. "$(dirname "$0")/../common.sh"
[[ $(id -u) = 0 ]] || skip "mounting a small tmpfs needs root"
need python3
disk=$scratch/disk
mkdir "$disk"
mount -t tmpfs -o size=1200k tmpfs "$disk" 2>/dev/null || skip "tmpfs cannot be mounted here"
trap 'umount "$disk"; rm -rf "$scratch"' EXIT
data=$scratch/data.h5
synth "$data" 64
quiet() { "$@" >"$scratch/out" 2>"$scratch/err" || fail "$1 ${*:4:2}: $(tail -n 1 "$scratch/err")"; }
quiet ranks 2 "$program" classify --data "$data" --run "$scratch/classifier" --classifier.width 4 --batch 16 --lanes 4 --steps 30
quiet ranks 2 "$program" midrun --data "$data" --run "$scratch/energy" --energy.network light --energy.width 4 --batch 16 \
  --bank.size 60 --bank.rejuvenation 0.1 --langevin.steps 3 --langevin.temperature 5e-5 --steps 2

defend() { # defend FOLDER OPTIONS...
  ranks 2 "$program" defend --data "$data" --run "$1" --classifier "$scratch/classifier" --energy "$scratch/energy" \
    --langevin.steps 5 --attack.steps 4 --attack.restarts 2 --attack.replicates 8 --defense.replicates 100 --attack.eps 4 --gallery 8 \
    --protocols verified_any_step,any_step,final_step,resubmission,null_control --defense.resubmissions 20 --engine.images 4 \
    "${@:2}" >"$scratch/out" 2>"$scratch/err"
}
defend "$scratch/whole" || fail "the undisturbed evaluation: $(tail -n 1 "$scratch/err")"
defend "$disk/run"
code=$?
[[ $code = 6 ]] || fail "a full disk ends with $code: $(cat "$scratch/err"), $(du -sh "$scratch/whole")"
[[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $(cat "$scratch/err")"
grep -q 'No space left' "$scratch/err" || fail "the reason is not said: $(cat "$scratch/err")"
[[ ! -e $disk/run/result.json ]] || fail "a result of an evaluation that was not finished"
mount -o remount,size=100m "$disk"
defend "$disk/run" --resume || fail "resume: $(tail -n 1 "$scratch/err")"
"$program" run diff "$scratch/whole" "$disk/run" >"$scratch/diff" || fail "$(cat "$scratch/diff")"
# The start that went on evaluated some of the 64 images: those before were kept.
python3 -c 'import json, sys
later = json.load(open(sys.argv[1]))["starts"][-1]["images"]
print(f"{64 - later} of 64 images were kept")
sys.exit(not 0 < later < 64)' "$disk/run/cost.json" || fail "not some of the images: $(cat "$disk/run/cost.json")"

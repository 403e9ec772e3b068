#!/bin/bash
# One clear error line and the right code, on one rank and on two; what was there stays as it was.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 64
common=(shortrun --data "$data" --energy.network light --energy.width 4 --generator.network sngan32 --generator.width 4
  --generator.latent 8 --batch 16 --bank.size 60 --langevin.steps 1 --steps 2)
refuse() { # refuse CODE WORD COMMAND...: the error line names WORD
  local code=$1 word=$2
  shift 2
  expect_code "$code" "$@"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/err"))"
  grep -A1 '^langrun: error: ' "$scratch/err" | grep -qF -- "$word" || fail "no word of '$word': $(cat "$scratch/err")"
}

"$program" "${common[@]}" --run "$scratch/run" >/dev/null 2>"$scratch/err" || fail "a good run: $(cat "$scratch/err")"
before=$(find "$scratch/run" -type f -exec md5sum {} + | sort)

refuse 2 "in use" "$program" "${common[@]}" --run "$scratch/run"
refuse 2 "energy.width" "$program" "${common[@]}" --run "$scratch/run" --resume --energy.width 8
refuse 2 "langevin.steps" "$program" "${common[@]}" --run "$scratch/x" --langevin.stpes 3
refuse 2 "energy.width" "$program" "${common[@]}" --run "$scratch/x" --energy.width -1
refuse 2 "light" "$program" "${common[@]}" --run "$scratch/x" --energy.network lihgt
refuse 2 "lanes" "$program" "${common[@]}" --run "$scratch/x" --batch 20
refuse 2 "lanes" ranks 4 "$program" "${common[@]}" --run "$scratch/x" --lanes 2
refuse 2 "bank" "$program" "${common[@]}" --run "$scratch/x" --bank.size 8
refuse 2 "--run" "$program" "${common[@]}"
refuse 2 "reduction" "$program" "${common[@]}" --run "$scratch/x" --reduction nccl
refuse 3 "64x64" "$program" "${common[@]}" --run "$scratch/x" --energy.network sngan64 --generator.network sngan64 --energy.width 16 --generator.width 16
refuse 3 "none.h5" ranks 2 "$program" "${common[@]}" --run "$scratch/x" --data "$scratch/none.h5"
printf 'not HDF5' >"$scratch/text.h5"
refuse 3 "text.h5" "$program" "${common[@]}" --run "$scratch/x" --data "$scratch/text.h5"
refuse 2 "configuration file" "$program" "${common[@]}" --run "$scratch/x" --data "$scratch/a#b.h5"
refuse 2 "configuration file" "$program" "${common[@]}" --run "$scratch/x" --config "$scratch"
refuse 2 "not a folder" "$program" "${common[@]}" --run "$scratch/text.h5"
mkfifo "$scratch/pipe"
refuse 3 "pipe" "$program" data info "$scratch/pipe"
refuse 2 "no command" "$program"
refuse 6 "/proc" "$program" "${common[@]}" --run /proc/langrun
[[ ! -e $scratch/x ]] || fail "a refused call left $scratch/x"

after=$(find "$scratch/run" -type f -exec md5sum {} + | sort)
[[ $before = "$after" ]] || fail "a refused call touched the run"

# A damaged newest checkpoint is named and the one before it used; with none left, exit 6.
"$program" "${common[@]}" --run "$scratch/two" --checkpoint.every 1 >/dev/null 2>&1 || fail "a run of two checkpoints"
printf X | dd of="$scratch/two/checkpoint/00000002/bank-3.h5" bs=1 seek=3000 conv=notrunc status=none
refuse 6 "bank-3.h5" "$program" run verify "$scratch/two"
passed_over() { # passed_over COMMAND...: goes on with the older one, and says so once
  expect_code 0 ranks 2 "$@"
  [[ $(grep -c '^langrun: warning: damaged checkpoint passed over: .*bank-3.h5' "$scratch/err") = 1 ]] ||
    fail "not one warning: $* ($(cat "$scratch/err"))"
}
passed_over "$program" sample --energy "$scratch/two" --count 2 --call 2 --langevin.steps 1 --out "$scratch/samples.h5"
passed_over "$program" weights export "$scratch/two" "$scratch/energy.pth" --part energy
grep -q '00000001/weights.h5$' "$scratch/out" || fail "not of the older one: $(cat "$scratch/out")"
small=(--data "$data" --energy.network light --energy.width 4 --batch 16 --bank.size 60 --langevin.steps 1 --dry-run)
passed_over "$program" midrun "${small[@]}" --source.generator "$scratch/two"
passed_over "$program" longrun "${small[@]}" --burn-in.size 60 --prior.energy "$scratch/two"
passed_over "$program" convergent "${small[@]}" --energy.start "$scratch/two"
expect_code 0 "$program" "${common[@]}" --run "$scratch/two" --resume
grep -q 'warning.*bank-3.h5' "$scratch/err" || fail "the damaged file is not named: $(cat "$scratch/err")"
"$program" run diff "$scratch/run" "$scratch/two" >/dev/null || fail "resumed from the older checkpoint: other bits"
for step in 00000001 00000002; do : >"$scratch/two/checkpoint/$step/weights.h5"; done
refuse 6 "weights.h5" "$program" "${common[@]}" --run "$scratch/two" --resume --steps 3
# Half a checkpoint has no different bits: it is no comparison.
refuse 6 "weights.h5" "$program" run diff "$scratch/run" "$scratch/two"

# A run.cfg that says something else than the checkpoint's configuration.
cp -r "$scratch/run" "$scratch/edited"
sed -i 's/^seed = .*/seed = 99/' "$scratch/edited/run.cfg"
refuse 2 "seed" "$program" shortrun --run "$scratch/edited" --resume --steps 3

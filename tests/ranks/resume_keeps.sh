#!/bin/bash
# What a resume keeps, and what it refuses or names: other images at the old path, fewer steps than are done, a run of another
# job, a copy with its links followed, lost lines of metrics; run verify and run status of the same.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 128
train whole 2 --steps 6 --checkpoint.every 3 || fail "a run: $(tail -n 1 "$scratch/whole.err")"

copy() { rm -rf "${scratch:?}/$1"; cp -a "$scratch/whole" "$scratch/$1"; }
all_of() { (cd "$1" && find . -printf '%p %T@ %l\n' && find . -type f -exec md5sum {} +) | sort; }
refuse() { # refuse CODE WORD RUN OPTIONS...: on two ranks; nothing in the run changes
  local code=$1 word=$2 run=$scratch/$3 before got
  shift 3
  before=$(all_of "$run")
  ranks 2 timeout 60 "$program" "${job:-shortrun}" --run "$run" --resume "$@" >"$scratch/out" 2>"$scratch/err"
  got=$?
  [[ $got = "$code" ]] || fail "exit $got, not $code: $* ($(cat "$scratch/err"))"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/err"))"
  grep -A1 '^langrun: error: ' "$scratch/err" | grep -qF -- "$word" || fail "no word of '$word': $(cat "$scratch/err")"
  [[ $before = "$(all_of "$run")" ]] || fail "a refused resume changed the run: $*"
}
bad() { # bad RUN WORD: run verify names it
  expect_code 6 "$program" run verify "$scratch/$1"
  grep -qF -- "$2" "$scratch/err" || fail "no word of '$2': $(cat "$scratch/err")"
}
expect_code 0 "$program" run verify "$scratch/whole"

# Another set of images under the same name is refused; the same, moved and behind a link, is taken.
mv "$data" "$scratch/first.h5"
"$program" data synth "$data" --count 128 --size 32 --seed 8 >"$scratch/out" 2>&1 || fail "another set: $(cat "$scratch/out")"
refuse 2 'other images' whole --steps 8
rm "$data"
ln -s first.h5 "$data"
copy linked
ranks 2 "$program" shortrun --run "$scratch/linked" --resume --steps 7 >"$scratch/out" 2>"$scratch/err" || fail "a link: $(cat "$scratch/err")"
rm "$data"
mv "$scratch/first.h5" "$data"

# A number of steps that is behind the run is none that it could end at; the same number is.
refuse 2 '--steps 4' whole --steps 4
grep -q '^steps = 6$' "$scratch/whole/run.cfg" || fail "a refused --steps is in run.cfg"
ranks 2 "$program" shortrun --run "$scratch/whole" --resume --steps 6 >"$scratch/out" 2>"$scratch/err" || fail "as many: $(cat "$scratch/err")"
refuse 2 'but for steps, checkpoint.*, divergence.*, watchdog.*' whole --pictures.every 2
job=midrun refuse 2 'langrun shortrun --run' whole

# Copied with its links followed.
copy followed
rm "$scratch/followed/checkpoint"
home=$(cd "$scratch/followed" && echo checkpoint.*)
cp -rL "$scratch/followed/$home" "$scratch/followed/checkpoint"
refuse 6 'followed/checkpoint is a folder, where langrun has a link' followed --steps 8
rm -r "$scratch/followed/checkpoint" "$scratch/followed/$home/latest"
cp -r "$scratch/followed/$home/00000006" "$scratch/followed/$home/latest"
refuse 6 "$home/latest is a folder" followed --steps 8
bad followed 'latest: is a folder'
rm -r "$scratch/followed/$home/latest"
ranks 1 "$program" shortrun --run "$scratch/followed" --resume --steps 8 >"$scratch/out" 2>"$scratch/err" || fail "mended: $(cat "$scratch/err")"
expect_code 0 "$program" run verify "$scratch/followed"

# Lines of the metrics that are gone: named by run verify, by run diff, and by a resume, which goes on.
copy gap
sed -i 2,4d "$scratch/gap/metrics.jsonl"
bad gap 'metrics.jsonl: steps 2 to 4 are missing'
expect_code 1 "$program" run diff "$scratch/whole" "$scratch/gap"
grep -q 'line 2 is step 2 in .*whole, step 5 in .*gap' "$scratch/out" || fail "the step is not named: $(cat "$scratch/out")"
ranks 2 "$program" shortrun --run "$scratch/gap" --resume --steps 7 >"$scratch/out" 2>"$scratch/err" || fail "a gap: $(cat "$scratch/err")"
grep -q 'warning: .*metrics.jsonl: steps 2 to 4 are missing' "$scratch/err" || fail "no warning of the gap: $(cat "$scratch/err")"
copy without
rm "$scratch/without/metrics.jsonl"
bad without 'metrics.jsonl: is missing'

# Records that a resume would refuse.
copy junk
echo junk >"$scratch/junk/provenance.json"
bad junk 'provenance.json is damaged'
copy line
sed -i '3s/.*/{"step"/' "$scratch/line/metrics.jsonl"
bad line 'line 3 is damaged'
copy empty
: >"$scratch/empty/run.cfg"
bad empty 'run.cfg: '
copy edited
sed -i 's/^seed = 11$/seed = 12/' "$scratch/edited/run.cfg"
bad edited 'seed is 12, but the newest checkpoint was made with 11'

# Without a checkpoint a run says so.
copy bare
rm -r "$scratch"/bare/checkpoint.*
expect_code 0 "$program" run status "$scratch/bare"
grep -q 'without a good checkpoint' "$scratch/out" || fail "no word of the lost checkpoints: $(cat "$scratch/out")"
expect_code 0 "$program" run status "$scratch/whole"
grep -q '^state  *done, a resume goes on from step 6$' "$scratch/out" || fail "state of a whole run: $(cat "$scratch/out")"
echo "a resume keeps what it should"

#!/bin/bash
# Damage in the folders of defend and of sample --run: `run verify` names it and touches nothing; a resume of an evaluation warns, keeps the
# damaged journal and ends with the same records; a resume of a sampling refuses finished steps that are damaged.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 64

flip() { # flip FILE OFFSET: a bit of that byte
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  # shellcheck disable=SC2059  # the byte is written in octal
  printf "\\$(printf %o $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
all_of() { (cd "$1" && find . -printf '%p %T@\n' -type f -exec md5sum {} + | sort); }
good() { # good RUN WORD...: verified, with those words in the lines
  local run=$scratch/$1 before
  before=$(all_of "$run")
  shift
  expect_code 0 "$program" run verify "$run"
  for word in "$@"; do grep -qF -- "$word" "$scratch/out" || fail "no '$word': $(cat "$scratch/out")"; done
  grep -q damaged "$scratch/out" && fail "damage in $run: $(cat "$scratch/out")"
  [[ $before = "$(all_of "$run")" ]] || fail "run verify changed $run"
}
bad() { # bad RUN FILE: damage that is named
  local before
  before=$(all_of "$scratch/$1")
  expect_code 6 "$program" run verify "$scratch/$1"
  grep -q "^langrun: error: .*$2" "$scratch/err" || fail "$2 is not named: $(cat "$scratch/err")"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $(cat "$scratch/err")"
  grep -q ' damaged' "$scratch/out" || fail "no line of the damage: $(cat "$scratch/out")"
  [[ $before = "$(all_of "$scratch/$1")" ]] || fail "run verify changed $1"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

# An evaluation by the shipped defense, stopped and through.
tiny=(--preset demo --images 0:6 --langevin.steps 3 --attack.steps 1 --attack.replicates 2 --defense.replicates 2)
defend() { # defend RUN RANKS OPTIONS...
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" defend --run "$run" "${tiny[@]}" "$@" >"$run.out" 2>"$run.err"
}
defend whole 1 || fail "defend: $(cat "$scratch/whole.err")"
good whole 'images.journal  good, 6 finished images' 'records.h5  good, 6 images' 'energy.h5  good'
defend cut 2 --engine.images 1 --stop-at 4
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(cat "$scratch/cut.err")"
good cut 'images.journal  good, ' 'energy.h5  good'
no_warning() { grep -q 'warning: .*images.journal' "$scratch/$1.err" && fail "a warning: $(cat "$scratch/$1.err")"; }
for file in records.h5 energy.h5; do
  cp -r "$scratch/whole" "$scratch/bad-$file"
  flip "$scratch/bad-$file/$file" 900
  bad "bad-$file" "$file"
done

# A record that a kill cut off says nothing; any other damage does, and the records behind it are made again.
cp -r "$scratch/cut" "$scratch/torn"
truncate -s -7 "$scratch/torn/state/images.journal"
good torn 'that a kill cut off'
defend torn 1 --resume || fail "a cut journal: $(cat "$scratch/torn.err")"
no_warning torn
[[ ! -e $scratch/torn/state/images.journal.damaged-1 ]] || fail "a cut journal is kept as a damaged one"
same whole torn
cp -r "$scratch/cut" "$scratch/rotten"
journal=$scratch/rotten/state/images.journal
size=$(stat -c %s "$journal")
flip "$journal" $((size / 2))
cp "$journal" "$scratch/journal"
bad rotten images.journal
defend rotten 2 --resume || fail "a damaged journal: $(cat "$scratch/rotten.err")"
[[ $(grep -c '^langrun: warning: .*images.journal is damaged at byte [0-9]*: [0-9]* bytes ' "$scratch/rotten.err") = 1 ]] ||
  fail "not one warning: $(cat "$scratch/rotten.err")"
cmp "$journal.damaged-1" "$scratch/journal" || fail "the damaged journal is not kept"
same whole rotten
good rotten 'images.journal  good, 6 finished images'
defend rotten 1 --resume || fail "the whole one again: $(cat "$scratch/rotten.err")"
no_warning rotten

# One that is gone, or empty, though images were finished; and one that no start had begun.
for how in rm 'truncate -s 0'; do
  rm -rf "$scratch/lost"
  cp -r "$scratch/cut" "$scratch/lost"
  $how "$scratch/lost/state/images.journal"
  bad lost images.journal
  defend lost 1 --resume || fail "a lost journal: $(cat "$scratch/lost.err")"
  [[ $(grep -c '^langrun: warning: .*images.journal .* images that were finished are lost' "$scratch/lost.err") = 1 ]] ||
    fail "$how: not one warning: $(cat "$scratch/lost.err")"
  same whole lost
done
cp -r "$scratch/cut" "$scratch/early"
rm "$scratch"/early/state/images.journal "$scratch/early/cost.json"
good early 'no image was begun, or all were lost'
defend early 1 --resume || fail "before the first image: $(cat "$scratch/early.err")"
grep -q '^langrun: warning: .*images.journal is missing: either the start before' "$scratch/early.err" || fail "early: $(cat "$scratch/early.err")"
defend new 1 --resume --stop-at 2
no_warning new

# A sampling.
train short 1 --steps 2 || fail "shortrun: $(tail -n 1 "$scratch/short.err")"
walk=(--energy "$scratch/short" --call 4 --count 10 --steps-list "0,3,9")
"$program" sample --run "$scratch/chains" "${walk[@]}" >"$scratch/out" 2>"$scratch/err" || fail "sample: $(cat "$scratch/err")"
good chains 'weights.h5  good' 'chains.h5  good, 3 listed steps of 10 chains' 'step-000000003.h5  good, 10 images' 'good, 3 blocks of chains'
"$program" sample --run "$scratch/begun" "${walk[@]}" --stop-at 5 >"$scratch/out" 2>"$scratch/err"
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(cat "$scratch/err")"
good begun 'step-000000003.h5  good, 10 images'
for file in weights.h5 chains.h5 state/block-000001.h5 step-000000003.h5; do
  cp -r "$scratch/chains" "$scratch/bad"
  flip "$scratch/bad/$file" $(($(stat -c %s "$scratch/bad/$file") / 2))
  bad bad "$(basename "$file")"
  rm -r "$scratch/bad"
done
n=1
for damage in flip truncate empty folder; do
  n=$((3 - n))
  cp -r "$scratch/begun" "$scratch/bad"
  store=$scratch/bad/step-000000003.h5
  case $damage in
    flip) flip "$store" $(($(stat -c %s "$store") / 2)) ;;
    truncate) truncate -s -3000 "$store" ;;
    empty) : >"$store" ;;
    folder) rm "$store" && mkdir "$store" ;;
  esac
  bad bad step-000000003.h5
  before=$(all_of "$scratch/bad")
  expect_code 6 ranks $n "$program" sample --run "$scratch/bad" --resume
  grep -A1 '^langrun: error: ' "$scratch/err" | grep -q 'step-000000003.h5' || fail "$damage: the store is not named: $(cat "$scratch/err")"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "$damage: not one error line: $(cat "$scratch/err")"
  [[ $before = "$(all_of "$scratch/bad")" ]] || fail "$damage: a refused resume touched files"
  rm -r "$scratch/bad"
done
"$program" sample --run "$scratch/begun" --resume >"$scratch/out" 2>"$scratch/err" || fail "an undamaged one: $(cat "$scratch/err")"
same chains begun
echo "damage in evaluations and samplings"

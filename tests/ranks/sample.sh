#!/bin/bash
# sample: chains of every source; listed steps in a folder, the same bytes on 1, 2 and 4 ranks, over stops, signals, a
# kill and resumes on other numbers of ranks; what it refuses.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 64
train short 2 --steps 2 || fail "shortrun: $(tail -n 1 "$scratch/short.err")"

# sample RUN RANKS OPTIONS...: in a folder.
sample() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" sample --run "$run" "$@" >"$run.out" 2>"$run.err"
}
same() { # same A B: every byte of what a sampling is for
  local file
  "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"
  [[ $(cd "$scratch/$1" && echo ./*.h5 samples/*) = $(cd "$scratch/$2" && echo ./*.h5 samples/*) ]] || fail "$1 and $2 hold other files"
  for file in "$scratch/$1"/*.h5 "$scratch/$1"/samples/*; do
    cmp "$file" "$scratch/$2/${file#"$scratch/$1/"}" || fail "$1 against $2"
  done
}
energy=(--energy "$scratch/short" --call 4)
walk=("${energy[@]}" --count 18 --steps-list "0,1,7,20,43")

for n in 1 2 4; do
  sample "whole-$n" "$n" "${walk[@]}" || fail "$n ranks: $(tail -n 1 "$scratch/whole-$n.err")"
done
same whole-1 whole-2
same whole-1 whole-4
"$program" data info "$scratch/whole-1/step-000000020.h5" >"$scratch/info" || fail "a listed step is no image store"
grep -q 18 "$scratch/info" || fail "not 18 chains: $(cat "$scratch/info")"

# The recorded configuration is one that can be given again.
sample again 2 --config "$scratch/whole-1/run.cfg" || fail "run.cfg given again: $(tail -n 1 "$scratch/again.err")"
same whole-1 again

# One store without a folder holds the same images as a listed step.
"$program" sample "${energy[@]}" --count 18 --langevin.steps 20 --out "$scratch/one.h5" >/dev/null 2>"$scratch/err" || fail "--out: $(cat "$scratch/err")"
mkdir "$scratch/x" "$scratch/y"
printf 'job = sample\n' | tee "$scratch/x/run.cfg" >"$scratch/y/run.cfg"
cp "$scratch/one.h5" "$scratch/x/s.h5"
cp "$scratch/whole-1/step-000000020.h5" "$scratch/y/s.h5"
"$program" run diff "$scratch/x" "$scratch/y" >"$scratch/diff" || fail "--out against a listed step: $(cat "$scratch/diff")"

# Stops within a listed step, and at one; each goes on with another number of ranks.
sample cut 4 "${walk[@]}" --stop-at 13
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
[[ -e $scratch/cut/step-000000007.h5 && ! -e $scratch/cut/step-000000020.h5 ]] || fail "not stopped between steps 7 and 20"
sample cut 2 "${walk[@]}" --resume --stop-at 20
[[ $? = 75 && -e $scratch/cut/step-000000020.h5 ]] || fail "not stopped at step 20: $(tail -n 1 "$scratch/cut.err")"
# The run that was sampled is not needed any more.
mv "$scratch/short" "$scratch/gone"
sample cut 1 --resume || fail "resume: $(tail -n 1 "$scratch/cut.err")"
mv "$scratch/gone" "$scratch/short"
same whole-1 cut

# Signals and a kill in the middle of a long walk, wherever they hit; further steps behind those that were listed.
long=("${energy[@]}" --count 18 --checkpoint.every 20 --steps-list)
sample long 1 "${long[@]}" 1,100,1500 || fail "a long walk: $(tail -n 1 "$scratch/long.err")"
begun() { # begun RUN: until chains are on their way
  local i
  for i in {1..300}; do [[ -e $scratch/$1/step-000000001.h5 ]] && return; sleep 0.1; done
  fail "$1 does not start: $(tail -n 1 "$scratch/$1.err")"
}
"$program" sample --run "$scratch/hit" "${long[@]}" 1,100,1000 >"$scratch/hit.out" 2>"$scratch/hit.err" & job=$!
begun hit
kill -USR1 $job
wait $job
code=$?
[[ $code = 75 || $code = 0 ]] || fail "USR1: exit $code: $(tail -n 1 "$scratch/hit.err")"
expect_code 2 "$program" sample --run "$scratch/hit" --resume --steps-list 1,100,1500
grep -q 'step 1000 is missing' "$scratch/err" || fail "a list without step 1000: $(cat "$scratch/err")"
"$program" sample --run "$scratch/kill" "${long[@]}" 1,100,1500 >"$scratch/kill.out" 2>"$scratch/kill.err" & job=$!
begun kill
sleep 0.3
kill -KILL $job
wait $job
sample kill 2 "${long[@]}" 1,100,1500 --resume --stop-after 0.5
code=$?
[[ $code = 75 || $code = 0 ]] || fail "--stop-after: exit $code: $(tail -n 1 "$scratch/kill.err")"
touch "$scratch/kill/step-000001500.h5.4711.partial" "$scratch/kill/state/block-0.h5.4711.partial"
sample kill 4 "${long[@]}" 1,100,1500 --resume || fail "after a kill: $(tail -n 1 "$scratch/kill.err")"
[[ -z $(find "$scratch/kill" -name '*.partial') ]] || fail "half written files stay: $(find "$scratch/kill" -name '*.partial')"
grep -q '"ranks": 4' "$scratch/kill/provenance.json" || fail "provenance: $(cat "$scratch/kill/provenance.json")"
same long kill
sample more 2 "${long[@]}" 1,100 || fail "two steps: $(tail -n 1 "$scratch/more.err")"
sample more 1 --resume --steps-list 1,100,1500 || fail "a further step: $(tail -n 1 "$scratch/more.err")"
same long more

# Every source, on one rank and on two.
weights=$scratch/short/checkpoint/00000002/weights.h5
mkdir "$scratch/pictures"
for i in 1 2 3 4 5; do "$program" sample "${energy[@]}" --count 1 --seed $i --langevin.steps 0 --picture "$scratch/pictures/$i.png" >/dev/null 2>&1 || fail "a picture"; done
every() { # every NAME COUNT OPTIONS...
  local name=$1 count=$2 n
  shift 2
  for n in 1 2; do
    ranks $n "$program" sample "${energy[@]}" --langevin.steps 3 --out "$scratch/$name-$n.h5" "$@" >"$scratch/out" 2>"$scratch/err" || fail "$name: $(cat "$scratch/err")"
    grep -q "^$count samples" "$scratch/out" || fail "$name: not $count samples: $(cat "$scratch/out")"
  done
  cmp "$scratch/$name-1.h5" "$scratch/$name-2.h5" || fail "$name differs between rank counts"
}
every noise 9 --source noise --count 9
every data 64 --source data --data "$data" --count 0
every generator 9 --source generator --source.generator "$scratch/short" --count 9
every bank 60 --source bank --source.bank "$scratch/short" --count 0
every bank-of-step 9 --source bank --source.bank "$scratch/short/checkpoint/00000002" --source.group bank --count 9
every images 5 --source images --source.images "$scratch/pictures" --resize --count 0
every stored 64 --source images --source.images "$data" --count 0
every file 9 --energy "$weights" --langevin.eta 0.01 --langevin.temperature 1e-4 --source noise --count 9
every joint 9 --joint-temperature 1.01 --count 9
ranks 2 "$program" longrun --data "$data" --run "$scratch/long-run" --energy.network light --energy.width 4 --batch 16 \
  --langevin.steps 3 --steps 2 --bank.size 60 --burn-in.size 44 --burn-in.rounds 5 >"$scratch/out" 2>"$scratch/err" || fail "longrun: $(cat "$scratch/err")"
every update 60 --energy "$scratch/long-run" --source bank --source.bank "$scratch/long-run" --count 0
every burn-in 44 --energy "$scratch/long-run" --source bank --source.bank "$scratch/long-run" --source.group burn_in --count 0
cmp -s "$scratch/noise-1.h5" "$scratch/joint-1.h5" && fail "two sources, one result"

# What is refused: one line, the right code, nothing left behind and nothing touched.
other=$scratch/sixtyfour
mkdir "$other"
printf 'job = convergent\n[energy]\nnetwork = sngan64\nwidth = 16\n' >"$other/run.cfg"
broken=$scratch/copy/00000002
mkdir "$scratch/copy"
cp -r "$scratch/short/checkpoint/00000002" "$broken"
printf X | dd of="$broken/bank-3.h5" bs=1 seek=3000 conv=notrunc status=none
before=$(find "$scratch/short" "$scratch/whole-1" -type f -exec md5sum {} + | sort)
n=1
refuse() { # refuse CODE WORD OPTIONS...: on one rank and on two, in turn
  local code=$1 word=$2
  shift 2
  n=$((3 - n))
  sample refused $n "${energy[@]}" "$@"
  [[ $? = "$code" ]] || fail "not exit $code: $* ($(cat "$scratch/refused.err"))"
  [[ $(error_lines "$scratch/refused.err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/refused.err"))"
  grep -A1 '^langrun: error: ' "$scratch/refused.err" | grep -qF -- "$word" || fail "no word of '$word': $(cat "$scratch/refused.err")"
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $*"
}
refuse 2 'does not rise' --steps-list 1,10,10
refuse 2 'does not rise' --steps-list 10,1
refuse 2 "'x'" --steps-list 1,x
refuse 2 'both' --steps-list 1,2 --langevin.steps 3
refuse 2 '--data' --source data
refuse 2 '--source.bank' --source.bank "$scratch/short"
refuse 2 '--count 0' --count 0
refuse 2 '--resize' --resize
refuse 2 '--out' --out "$scratch/o.h5"
refuse 3 'does not exist' --energy "$scratch/none"
refuse 3 'run.cfg' --energy "$scratch/pictures"
refuse 3 'neither a file of weights' --energy "$scratch/err"
refuse 2 'langevin.eta' --energy "$weights" --source noise
refuse 2 'where chains begin' --energy "$weights" --langevin.eta 0.01 --langevin.temperature 1e-4 --langevin.steps 3
refuse 2 'langevin.steps' --energy "$weights" --langevin.eta 0.01 --langevin.temperature 1e-4 --source noise
refuse 3 'does not exist' --source generator --source.generator "$scratch/none"
refuse 3 'takes 64x64' --energy "$other" --weights initial --source data --data "$data"
refuse 3 'takes 3x64x64' --energy "$other" --weights initial --source bank --source.bank "$scratch/short"
refuse 3 '64, 64' --energy "$other" --weights initial --source generator --source.generator "$scratch/short"
refuse 3 '60 chains' --source bank --source.bank "$scratch/short" --count 61
refuse 3 "no group 'update'" --source bank --source.bank "$scratch/short" --source.group update
refuse 3 'bank-3.h5' --source bank --source.bank "$broken"
refuse 3 'no images' --source images --source.images "$broken"
expect_code 3 "$program" sample "${energy[@]}" --source images --source.images "$scratch/pictures" --count 0 --out "$scratch/o.h5"
grep -q -- '--resize' "$scratch/err" || fail "--resize is not the hint: $(cat "$scratch/err")"
[[ ! -e $scratch/o.h5 ]] || fail "a refused call left its store"
for n in 1 2; do
  expect_code 2 ranks $n "$program" sample "${walk[@]}" --run "$scratch/whole-1"
  expect_code 2 ranks $n "$program" sample "${walk[@]}" --run "$scratch/whole-1" --resume --seed 3
  grep -q 'seed' "$scratch/err" || fail "the key is not named: $(cat "$scratch/err")"
  sample wild $n "${energy[@]}" --langevin.temperature 1e-36 --langevin.eta 1e3 --langevin.steps 3000 --count 6
  [[ $? = 4 ]] || fail "chains that blow up do not exit 4: $(cat "$scratch/wild.err")"
  grep -qE '^langrun: error: chain [0-9]+ is not finite after [0-9]+ Langevin steps' "$scratch/wild.err" || fail "no chain and step: $(cat "$scratch/wild.err")"
  [[ $(error_lines "$scratch/wild.err") = 1 ]] || fail "not one error line: $(cat "$scratch/wild.err")"
  rm -r "$scratch/wild"
done
[[ $before = "$(find "$scratch/short" "$scratch/whole-1" -type f -exec md5sum {} + | sort)" ]] || fail "a refused call touched files"

# A block of chains that the disk changed is named.
cp -r "$scratch/cut" "$scratch/rotten"
size=$(stat -c %s "$scratch/rotten/state/block-000001.h5")
printf 'XXXX' | dd of="$scratch/rotten/state/block-000001.h5" bs=1 seek=$((size / 2)) conv=notrunc status=none
sample rotten 2 --resume --steps-list 0,1,7,20,43,50
[[ $? = 6 ]] || fail "a damaged block does not exit 6: $(cat "$scratch/rotten.err")"
grep -q 'block-000001.h5' "$scratch/rotten.err" || fail "it is not named: $(cat "$scratch/rotten.err")"

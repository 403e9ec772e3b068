#!/bin/bash
# What is written in the background while training goes on is what a run that stops at that step writes, byte for byte,
# on 1 and 2 ranks; the newest state is durable at a stop; a checkpoint in flight is kept when the run diverges.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256

# Banks of 49 MB, so that several steps run while one is written, and rows are kept aside.
big() { train "$@" --bank.size 4000 --langevin.steps 1 --pictures.every 0 --checkpoint.keep 99; }
for n in 1 2; do
  big "whole-$n" "$n" --steps 24 --checkpoint.every 6 || fail "$n ranks: $(tail -n 1 "$scratch/whole-$n.err")"
  "$program" run verify "$scratch/whole-$n" >"$scratch/verify" || fail "$n ranks: $(cat "$scratch/verify")"
done
big stop 1 --steps 24 --checkpoint.every 0 --stop-at 6
for step in 6 12 18; do
  folder=checkpoint/$(printf %08d $step)
  for n in 1 2; do
    for file in "$scratch/stop/$folder"/*.h5; do
      cmp "$file" "$scratch/whole-$n/$folder/${file##*/}" || fail "step $step written in the background on $n ranks"
    done
  done
  big stop 2 --steps 24 --checkpoint.every 0 --resume --stop-at $((step + 6))
done

# A checkpoint every step: each waits for the one before.
train every 2 --steps 12 --checkpoint.every 1 --checkpoint.keep 99 || fail "every step: $(tail -n 1 "$scratch/every.err")"
train plain 1 --steps 12 || fail "plain: $(tail -n 1 "$scratch/plain.err")"
"$program" run diff "$scratch/every" "$scratch/plain" >"$scratch/diff" || fail "$(cat "$scratch/diff")"
[[ $(find "$scratch/every/checkpoint/" -maxdepth 1 -name '0*' | wc -l) = 12 ]] || fail "not 12 checkpoints"
[[ -z $(find "$scratch/every/checkpoint/" -name '*.partial') ]] || fail "something was left unfinished"

# Stopped while one is in flight: both are there.
big both 2 --steps 24 --checkpoint.every 5 --stop-at 6
[[ $? = 75 && $(readlink "$scratch/both/checkpoint/latest") = 00000006 && -d $scratch/both/checkpoint/00000005 ]] ||
  fail "stopped at 6 after a checkpoint at 5: $(ls "$scratch/both/checkpoint")"

# Diverged while one is in flight: the last state before it is kept.
big wild 2 --steps 50 --checkpoint.every 1 --energy.drops 5:1e30
[[ $? = 4 ]] || fail "not diverged: $(tail -n 1 "$scratch/wild.err")"
"$program" run verify "$scratch/wild" >"$scratch/verify" || fail "after divergence: $(cat "$scratch/verify")"
newest=$(readlink "$scratch/wild/checkpoint/latest")
[[ $((10#$newest)) -ge $(($(wc -l <"$scratch/wild/metrics.jsonl") - 1)) ]] || fail "diverged, and the newest checkpoint is $newest"
[[ -z $(find "$scratch/wild/checkpoint/" -name '*.partial') ]] || fail "left unfinished at divergence"

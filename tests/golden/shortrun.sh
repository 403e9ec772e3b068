#!/bin/bash
# The first 10 steps of a tiny run, against the figures recorded beside this file: whoever changes the mathematics sees it
# here, and records anew on purpose with `tests/golden/shortrun.sh --record`. Figures agree to rounding between kinds of
# machine, not bit for bit; bitwise claims are the rank tests'.
. "$(dirname "$0")/../common.sh"
need python3
data=$scratch/data.h5
synth "$data" 256
train run 2 --steps 10 || fail "training: $(tail -n 1 "$scratch/run.err")"
python3 "$source_root/tests/golden/compare.py" "$scratch/run/metrics.jsonl" "$source_root/tests/golden/shortrun.jsonl" "${1:-}"

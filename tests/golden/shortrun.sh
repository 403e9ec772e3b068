#!/bin/bash
# The first 10 steps of a tiny run, against the figures recorded beside this file: whoever changes the mathematics sees it
# here, and records anew on purpose with `tests/golden/shortrun.sh --record`. Figures agree to rounding between kinds of
# machine, not bit for bit; bitwise claims are the rank tests'.
. "$(dirname "$0")/../common.sh"
need python3
expected=$source_root/tests/golden/shortrun.jsonl
data=$scratch/data.h5
synth "$data" 256
train run 2 --steps 10 || fail "training: $(tail -n 1 "$scratch/run.err")"
python3 - "$scratch/run/metrics.jsonl" "$expected" "${1:-}" <<'PYTHON' || exit 1
import json, math, sys

given, recorded, flag = sys.argv[1:]
timers = ("seconds_", "image_steps_per_second")
lines = [{k: v for k, v in json.loads(line).items() if not k.startswith(timers)} for line in open(given)]
if flag == "--record":
    with open(recorded, "w") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    sys.exit()
def alike(have, want):
    # null and lists of counts as they are; a rounding error of 1e-7 grows over 10 steps, another formula is far off.
    if not isinstance(want, float):
        return have == want
    return isinstance(have, float) and math.isclose(have, want, rel_tol=1e-3, abs_tol=1e-6)


wanted = [json.loads(line) for line in open(recorded)]
wrong = [] if len(lines) == len(wanted) == 10 else [f"{len(lines)} steps, recorded are {len(wanted)}"]
for have, want in zip(lines, wanted):
    if have.keys() != want.keys():
        wrong.append(f"step {want['step']}: keys {sorted(have.keys() ^ want.keys())}")
        continue
    wrong += [f"step {want['step']}: {key} is {have[key]}, recorded is {want[key]}" for key in want
              if not alike(have[key], want[key])]
for line in wrong[:5]:
    print("FAILED:", line, file=sys.stderr)
sys.exit(bool(wrong))
PYTHON

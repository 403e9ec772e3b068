"""Metrics of a tiny run against the figures recorded for it: compare.py METRICS RECORDED [--record]."""
import json
import math
import sys

given, recorded, flag = [*sys.argv[1:], ""][:3]
timers = ("seconds_", "image_steps_per_second")
lines = [{k: v for k, v in json.loads(line).items() if not k.startswith(timers)} for line in open(given)]
if flag == "--record":
    with open(recorded, "w") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    sys.exit()


def alike(have, want):
    # null and lists of counts as they are; a rounding error of 1e-7 grows over some steps, another formula is far off.
    if not isinstance(want, float):
        return have == want
    return isinstance(have, float) and math.isclose(have, want, rel_tol=1e-3, abs_tol=1e-6)


wanted = [json.loads(line) for line in open(recorded)]
wrong = [] if len(lines) == len(wanted) > 0 else [f"{len(lines)} steps, recorded are {len(wanted)}"]
for have, want in zip(lines, wanted):
    if have.keys() != want.keys():
        wrong.append(f"step {want['step']}: keys {sorted(have.keys() ^ want.keys())}")
        continue
    wrong += [f"step {want['step']}: {key} is {have[key]}, recorded is {want[key]}" for key in want
              if not alike(have[key], want[key])]
for line in wrong[:5]:
    print("FAILED:", line, file=sys.stderr)
sys.exit(bool(wrong))

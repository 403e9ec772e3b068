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


def alike(have, want, room):
    # null and lists of counts as they are; a rounding error of 1e-7 grows over some steps, another formula is far off.
    if not isinstance(want, float):
        return have == want
    return isinstance(have, float) and math.isclose(have, want, rel_tol=1e-3, abs_tol=room)


def wrong_keys(have, want):
    """The figures of one step that differ. An energy counts up to a constant: along the last bias of the network the loss has no
    gradient but the rounding errors of its sums, other ones on another processor, of which Adam makes steps below its rate (its
    epsilon of 1e-7 is above them). So energies are held from that of the data, and that of the data to a quarter of the rate a step."""
    keys = [key for key in want if key not in ("energy_data", "energy_chains", "energy_fresh", "energy_bank")]
    wrong = [key for key in keys if not alike(have[key], want[key], 1e-6)]
    if "energy_data" not in want:
        return wrong
    if not alike(have["energy_data"], want["energy_data"], 1e-6 + want["learning_rate"] * (want["step"] - 1) / 4):
        return [*wrong, "energy_data"]

    def from_data(line, key):
        return line[key] if line[key] is None else line[key] - line["energy_data"]

    return wrong + [key for key in want if key not in keys and not alike(from_data(have, key), from_data(want, key), 1e-6)]


wanted = [json.loads(line) for line in open(recorded)]
wrong = [] if len(lines) == len(wanted) > 0 else [f"{len(lines)} steps, recorded are {len(wanted)}"]
for have, want in zip(lines, wanted):
    if have.keys() != want.keys():
        wrong.append(f"step {want['step']}: keys {sorted(have.keys() ^ want.keys())}")
        continue
    wrong += [f"step {want['step']}: {key} is {have[key]}, recorded is {want[key]}" for key in wrong_keys(have, want)]
for line in wrong[:5]:
    print("FAILED:", line, file=sys.stderr)
sys.exit(bool(wrong))

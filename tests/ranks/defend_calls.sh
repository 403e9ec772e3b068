#!/bin/bash
# What defend computes is counted: network calls per image and chains that wait in a call (padding), on 200 images.
. "$(dirname "$0")/../common.sh"
tar=$LANGRUN_SHARED/data/cifar10-jpeg-test.tar
resnet=$LANGRUN_SHARED/data/resnet20-cifar10.th
[[ -f $tar && -f $resnet ]] || skip "there are no CIFAR-10 images and ResNet-20 weights in $LANGRUN_SHARED"
need python3
"$program" data import "$tar" "$scratch/test.h5" >"$scratch/out" 2>&1 || fail "import: $(cat "$scratch/out")"
ranks 2 "$program" midrun --data "$scratch/test.h5" --run "$scratch/energy" --energy.network light --energy.width 4 --batch 16 \
  --bank.size 60 --bank.rejuvenation 0.1 --langevin.steps 5 --langevin.temperature 5e-5 --steps 3 >"$scratch/out" 2>"$scratch/err" ||
  fail "midrun: $(cat "$scratch/err")"
for c in {0..9}; do for i in {0..19}; do echo $((500 * c + i)); done; done >"$scratch/images"

ranks 2 "$program" defend --run "$scratch/run" --data "$scratch/test.h5" --images-file "$scratch/images" --classifier "$resnet:resnet20" \
  --energy "$scratch/energy" --langevin.steps 10 --attack.steps 3 --attack.eps 2 --attack.alpha 1 --attack.replicates 6 \
  --defense.replicates 12 --gallery 0 >"$scratch/out" 2>"$scratch/err" || fail "defend: $(cat "$scratch/err")"

# Every chain step is one place of an energy call and every end one of a classifier call, so calls are bounded by the
# steps and ends that the records show, over the calls' sizes, and what waits.
python3 - "$scratch/run" <<'CHECK' || fail "more calls, or more waiting, than the records ask for"
import json, sys
run = sys.argv[1]
settings, section = {}, ""
for line in open(run + "/run.cfg"):
    line = line.strip()
    if line.startswith("["):
        section = line[1:-1] + "."
    elif "=" in line:
        key, value = (part.strip() for part in line.split("=", 1))
        settings[section + key] = value
cost = json.load(open(run + "/cost.json"))
starts = cost if isinstance(cost, list) else cost["starts"]
total = {key: sum(start[key] for start in starts) for key in ("energy_calls", "classifier_calls", "chain_steps", "waiting")}
result = json.load(open(run + "/result.json"))
images, steps = result["images"], int(settings["langevin.steps"])
share = total["waiting"] / (total["waiting"] + total["chain_steps"])
print("waiting share", round(share, 4), "of", total, "image steps", result["image_steps"])
assert total["chain_steps"] == result["image_steps"], "steps were made that no record shows"
assert share < 0.03, share
call = int(settings["engine.call"])
fewest = result["image_steps"] / call
assert total["energy_calls"] <= 1.03 * fewest + 2 * steps, (total["energy_calls"], fewest)
ends = result["image_steps"] / steps
judged = ends / int(settings["engine.classifier-call"])
assert total["classifier_calls"] <= 1.25 * judged, (total["classifier_calls"], judged)
CHECK

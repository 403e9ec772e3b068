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

# What the records show was asked for bounds what may be computed; beside it stand the counts of this evaluation as they are,
# which hold on any processor as long as no verdict flips. Whoever lowers one writes it down here.
python3 - "$scratch/run" <<'CHECK' || fail "more calls, or more waiting, than before"
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
starts = json.load(open(run + "/cost.json"))["starts"]
result = json.load(open(run + "/result.json"))
assert len(starts) == 1 and starts[0]["images"] == result["images"] == 200, starts
total, images, steps = starts[0], 200, int(settings["langevin.steps"])
share = total["waiting"] / (total["waiting"] + total["chain_steps"])
print(f"waiting {100 * share:.2f} % of places")
assert share < 0.03, share
assert total["chain_steps"] == result["image_steps"], "steps were made that no record shows"
places = total["energy_calls"] * int(settings["engine.call"])
assert places == total["waiting"] + total["chain_steps"], f"{places} places of energy calls"
# Calls an image. By hand: 200 natural checks, 150 verifications and 149 null controls of 12 chains, 387 + 379 small samples
# of 6: 10584 chains of 10 steps, 52.92 an image.
counted = {"chain_steps": 529.2, "energy_calls": 33.5, "classifier_calls": 7.43, "classifier_gradients": 1.76}
for key, before in counted.items():
    now = total[key] / images
    print(f"{key} {now:.4g} an image, {before} when this was written")
    assert now <= 1.02 * before, (key, now, before)
assert total["curvature_calls"] == 0, "bpda-eot asks for no curvature"
CHECK

# No check is made twice.
if "${LANGRUN_PYTHON:-none}" -c 'import h5py' 2>/dev/null; then
  "$LANGRUN_PYTHON" - "$scratch/run" <<'CHECK' || fail "the records hold a check twice, or not all of them"
import sys
import h5py
with h5py.File(sys.argv[1] + "/records.h5") as file:
    chains = 0
    for group, replicates in ((file["judge"], 12), (file["small"], 6)):
        rows = list(zip(*(group[name][()].tolist() for name in ("image", "purpose", "restart", "step"))))
        assert len(set(rows)) == len(rows), f"{len(rows) - len(set(rows))} rows twice"
        chains += replicates * len(rows)
    assert 10 * chains == file["image_steps"][()].sum(), (chains, file["image_steps"][()].sum())
CHECK
else
  echo "records not read: LANGRUN_PYTHON names no interpreter with h5py"
fi

#!/bin/bash
# plan knows enough of a preset: job, preset and ranks are all that it is given. Here for those that leave something open, less
# what takes long (tests/unit/plan_assumed_test.cpp asks all of them what they leave open); `PRESETS=all` plans every preset.
. "$(dirname "$0")/../common.sh"
python=${LANGRUN_PYTHON:-python3}
need "$python"
plans=$scratch/plans
mkdir "$plans"
jobs=(convergent hat)
[[ ${PRESETS:-some} = some ]] || jobs=(shortrun midrun longrun convergent hat autoencoder classify)

for job in "${jobs[@]}"; do
  presets=$("$program" plan "$job" --presets | cut -d ' ' -f 1)
  [[ -n $presets ]] || fail "no presets of $job"
  for preset in $presets; do
    if [[ ${PRESETS:-some} = some && $job = hat && $preset != *-small && $preset != cifar10-refine ]]; then continue; fi
    "$program" plan "$job" --preset "$preset" --ranks 2 --json "$plans/$job.$preset.json" >"$plans/$job.$preset.txt" \
      2>"$scratch/err" || fail "plan $job --preset $preset: $(tail -n 2 "$scratch/err")"
  done
done

"$python" - "$plans" <<'PY' || fail "plans of presets"
import glob, json, os, sys
bad = False
plans = sorted(glob.glob(os.path.join(sys.argv[1], "*.json")))
for path in plans:
    job, preset = os.path.basename(path).split(".")[:2]
    plan = json.load(open(path))
    numbers = [plan[key] for key in ("weights", "host_bytes", "host_bytes_other_ranks", "exchanged_bytes_a_rank_and_step", "read_bytes_a_step")]
    numbers += [plan["checkpoint"]["bytes"], plan["checkpoint"]["bytes_rank_0"]] + [part["bytes"] for part in plan["memory"]]
    bank = sum(part["bytes"] for part in plan["memory"] if part["part"] == "bank")
    frozen = job == "hat" and any(word in preset for word in ("refine", "retrofit", "ddls"))
    each = {"cifar10-small": 0, "svhn": 73257, "ring": 10000, "ring-adam": 10000, "spirals": 10000}.get(preset, 50000) if job == "convergent" else 0
    said = plan["assumed"]["job"]
    text = open(path[:-4] + "txt").read()
    ok = all(number > 0 for number in numbers) and len(said) == (1 if frozen or each else 0)
    ok = ok and all(f"assumed: {sentence}\n" in text for sentence in said)
    # A slot is an image and two ages; half of them are rank 0's.
    slot = 4 * (2 if preset in ("ring", "ring-adam", "spirals") else 3072) + 16
    if each:
        ok = ok and abs(bank / (each / 2 * slot) - 1) < 0.01
    if frozen:  # nothing of the generator is exchanged, and no pairs are kept
        ok = ok and bank == 0 and "source.generator is not named" in said[0]
    if not ok:
        print(job, preset, said, numbers)
    bad = bad or not ok
print(len(plans), "presets planned")
sys.exit(bad or len(plans) < 12)
PY

# What is said counts, and nothing is assumed then.
"$program" plan convergent --preset svhn --images 1000 >"$scratch/out" 2>"$scratch/err" || fail "--images: $(cat "$scratch/err")"
! grep -q '^assumed' "$scratch/out" || fail "a number of images is assumed beside --images"
expect_code 3 "$program" plan hat --preset cifar10-refine-small --source.generator "$scratch/none"
expect_code 2 "$program" plan hat --preset cifar10-refine-small --generator.network sngan64
grep -q 'generator sngan64 makes 64x64 images' "$scratch/err" || fail "another size: $(cat "$scratch/err")"
expect_code 2 "$program" hat --preset cifar10-refine-small --data "$scratch/none.h5" --run "$scratch/run"
grep -q 'source.generator is missing' "$scratch/err" || fail "the job itself: $(cat "$scratch/err")"

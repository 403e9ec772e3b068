#!/bin/bash
# plan: its memory of a rank against the largest resident size of real runs of a few steps with checkpoints and pictures,
# within 10 %; what it exchanges and writes against what a run does; its outputs; what it refuses.
. "$(dirname "$0")/../common.sh"
python=${LANGRUN_PYTHON:-python3}
need "$python"
data=$scratch/data.h5
synth "$data" 256

# Runs a program and writes its largest resident size, in bytes, into FILE.RANK.
cat >"$scratch/resident.py" <<'PY'
import os, resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
rank = os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("PMI_RANK", "0"))
with open(f"{sys.argv[1]}.{rank}", "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
sys.exit(code)
PY

# compare NAME RANKS JOB OPTIONS...: the plan and a run of a few steps, rank by rank.
compare() {
  local name=$1 n=$2 job=$3
  shift 3
  local options=(--data "$data" --device cpu "$@")
  "$program" plan "$job" "${options[@]}" --ranks "$n" --json "$scratch/$name.json" >"$scratch/$name.plan" 2>"$scratch/err" ||
    fail "plan $name: $(tail -n 2 "$scratch/err")"
  ranks "$n" "$python" "$scratch/resident.py" "$scratch/$name" "$program" "$job" "${options[@]}" --run "$scratch/$name-run" \
    --steps 3 --checkpoint.every 1 >"$scratch/out" 2>"$scratch/err" || fail "$name: $(tail -n 2 "$scratch/err")"
  "$python" - "$scratch/$name" "$n" <<'PY' || fail "$name: the plan's memory is more than 10 % off"
import json, sys
name, ranks = sys.argv[1], int(sys.argv[2])
plan = json.load(open(name + ".json"))
bad = False
for rank in range(ranks):
    expected = plan["host_bytes" if rank == 0 else "host_bytes_other_ranks"]
    resident = int(open(f"{name}.{rank}").read())
    print(f"{name.split('/')[-1]} rank {rank}: planned {expected / 2**20:.0f} MiB, resident {resident / 2**20:.0f} MiB, {100 * (expected / resident - 1):+.1f} %")
    bad = bad or not 0.9 < expected / resident < 1.1
sys.exit(bad)
PY
}

compare light 2 shortrun --preset cifar10-small --langevin.steps 2
compare sngan 1 shortrun --batch 32 --lanes 4 --energy.network sngan32 --energy.width 64 --generator.width 64 --langevin.steps 1 --bank.size 64
compare bank 1 midrun --preset cifar10-small --langevin.steps 2 --bank.size 25000
compare longrun 2 longrun --preset cifar10-small --langevin.steps 2 --bank.size 12000 --burn-in.size 6000
compare convergent 1 convergent --preset cifar10-small --langevin.steps 2 --bank.size 12000
compare hat 1 hat --preset cifar10-small --langevin.steps 2
compare autoencoder 1 autoencoder --preset cifar10-small
compare classify 2 classify --preset cifar10-small

# What was planned of a checkpoint is what lies there, and of the exchange what the start table says.
"$python" - "$scratch/light.json" "$scratch/light-run/checkpoint/00000003" <<'PY' || fail "the size of a checkpoint"
import json, os, sys
plan = json.load(open(sys.argv[1]))
written = sum(os.path.getsize(os.path.join(sys.argv[2], name)) for name in os.listdir(sys.argv[2]))
sys.exit(not 0.97 < plan["checkpoint"]["bytes"] / written < 1.03)
PY

"$program" plan shortrun --preset cifar10-small --ranks 8 --throughput 2000 --network 10 --disk 2 \
  --json "$scratch/timed.json" --plot "$scratch/timed.png" >"$scratch/timed" 2>"$scratch/err" || fail "a timed plan: $(tail -n 2 "$scratch/err")"
[[ -s $scratch/timed.png ]] || fail "no plot"
for word in "weak scaling" "strong scaling" "steps a day" "rates needed"; do
  grep -q "$word" "$scratch/timed" || fail "the plan does not speak of $word"
done
"$python" - "$scratch/timed.json" <<'PY' || fail "the times of a plan do not add up"
import json, sys
plan = json.load(open(sys.argv[1]))
step = plan["step"]
sampling = plan["image_steps_a_step"] / 8 / 2000
ok = abs(step["seconds_sample"] - sampling) < 1e-9 * sampling
ok = ok and abs(step["steps_a_day"] * step["seconds"] - 86400) < 1
ok = ok and plan["weak_scaling"][-1]["ranks"] == plan["strong_scaling"][-1]["ranks"] == 1024
ok = ok and plan["strong_scaling"][0]["batch"] >= 1024
needed = plan["needed"]
ok = ok and abs(needed["disk_notice_bytes_a_second"] * needed["notice_seconds"] - plan["checkpoint"]["bytes"]) < 1
sys.exit(not ok)
PY
# A generator that is not there yet is planned as one that is: the network of the run above is that which is assumed.
"$program" plan hat --preset cifar10-refine-small --ranks 2 --json "$scratch/unnamed.json" >"$scratch/out" 2>"$scratch/err" ||
  fail "no generator: $(cat "$scratch/err")"
"$program" plan hat --preset cifar10-refine-small --ranks 2 --source.generator "$scratch/light-run" --json "$scratch/named.json" \
  >"$scratch/out" 2>"$scratch/err" || fail "a generator: $(cat "$scratch/err")"
"$python" - "$scratch/unnamed.json" "$scratch/named.json" <<'PY' || fail "a generator that is assumed, and the same one named"
import json, sys
unnamed, named = (json.load(open(path)) for path in sys.argv[1:])
def parts(plan):
    own = ("weights", "optimiser", "activations", "checkpoint", "gradients exchanged")
    return {part["part"]: part["bytes"] for part in plan["memory"] if part["part"] in own}
print(parts(unnamed), parts(named))
ok = len(unnamed["assumed"]["job"]) == 1 and named["assumed"]["job"] == []
ok = ok and unnamed["weights"] == named["weights"] and unnamed["checkpoint"]["bytes"] == named["checkpoint"]["bytes"]
ok = ok and all(abs(size / parts(named)[part] - 1) < 0.01 for part, size in parts(unnamed).items())
sys.exit(not ok)
PY
# A rank speaks, on any number of them.
ranks 2 "$program" plan shortrun --preset cifar10-small --ranks 4 >"$scratch/out" 2>"$scratch/err" || fail "under mpirun: $(cat "$scratch/err")"
[[ $(grep -c '^memory of rank 0' "$scratch/out") = 1 ]] || fail "not one plan: $(cat "$scratch/out")"

expect_code 2 "$program" plan
expect_code 2 "$program" plan shortrum --ranks 2
grep -q "did you mean 'shortrun'" "$scratch/err" || fail "no hint: $(cat "$scratch/err")"
expect_code 2 "$program" plan shortrun --preset cifar10-small --ranks 3
expect_code 2 "$program" plan shortrun --preset cifar10-small --ranks 16
expect_code 2 "$program" plan shortrun --preset cifar10-small --langvin.steps 3
expect_code 2 "$program" plan shortrun --preset cifar10-small --plot "$scratch/no.png"
expect_code 2 "$program" plan shortrun --preset cifar10-small --json "$scratch/timed.json"
expect_code 2 "$program" plan convergent --energy.network light --energy.width 4
expect_code 3 "$program" plan midrun --preset cifar10-small --source.generator "$scratch/none"
"$program" plan convergent --energy.network light --energy.width 4 --images 1000 >"$scratch/out" 2>"$scratch/err" || fail "--images: $(cat "$scratch/err")"

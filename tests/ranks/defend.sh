#!/bin/bash
# defend: known figures of a bare classifier; the same records on 1, 2 and 4 ranks, in any order, with any number of images
# in flight, over stops, kills and resumes; every kind of attack; scoring again; sweeps.
. "$(dirname "$0")/../common.sh"
tar=$LANGRUN_SHARED/data/cifar10-jpeg-test.tar
resnet=$LANGRUN_SHARED/data/resnet20-cifar10.th
[[ -f $tar && -f $resnet ]] || skip "there are no CIFAR-10 images and ResNet-20 weights in $LANGRUN_SHARED"
need python3
data=$scratch/test.h5
"$program" data import "$tar" "$data" >"$scratch/out" 2>&1 || fail "import: $(cat "$scratch/out")"
for c in {0..9}; do for i in {0..49}; do echo $((500 * c + i)); done; done >"$scratch/first50"

defend() { # defend RUN RANKS OPTIONS...
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" defend --run "$run" --data "$data" "$@" >"$run.out" 2>"$run.err"
}
must() { defend "$@" || fail "$1: $(grep -m 1 error "$scratch/$1.err")"; }
figure() { # figure RUN PATH...: a number of result.json
  python3 -c 'import json, sys
v = json.load(open(sys.argv[1] + "/result.json"))
for key in sys.argv[2:]: v = v[key]
print(v)' "$scratch/$1" "${@:2}"
}
near() { # near VALUE WANTED TOLERANCE WHAT
  python3 -c 'import sys; sys.exit(abs(float(sys.argv[1]) - float(sys.argv[2])) > float(sys.argv[3]) + 1e-9)' "$1" "$2" "$3" ||
    fail "$4: $1, expected $2 within $3"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

# The bare classifier, against PyTorch and torchattacks on the same files.
bare=(--classifier "$resnet:resnet20" --energy none --images-file "$scratch/first50")
must clean 2 --classifier "$resnet:resnet20" --energy none --attack.kind none
near "$(figure clean natural_accuracy)" 0.8102 0 "clean accuracy of 5000"
for pair in 1:0.190 2:0.088 8:0.058; do
  must "fgsm-${pair%:*}" 2 "${bare[@]}" --attack.kind fgsm --attack.eps "${pair%:*}"
  near "$(figure "fgsm-${pair%:*}" robust_accuracy)" "${pair#*:}" 0.002 "FGSM at ${pair%:*}/255"
done
must pgd-1 2 "${bare[@]}" --attack.kind pgd --attack.eps 1 --attack.alpha 0.25 --attack.steps 20 --protocols final_step
near "$(figure pgd-1 natural_accuracy)" 0.798 0 "clean accuracy of 500"
near "$(figure pgd-1 robust_accuracy)" 0.044 0.01 "PGD-20 at 1/255"
must bare-apgd 2 "${bare[@]}" --attack.kind apgd-ce --attack.eps 1 --attack.steps 50
near "$(figure bare-apgd robust_accuracy)" 0.040 0.01 "Auto-PGD at 1/255"

# A defense: an energy of hardly any training.
ranks 2 "$program" midrun --data "$data" --run "$scratch/energy" --energy.network light --energy.width 4 --batch 16 \
  --bank.size 60 --bank.rejuvenation 0.1 --langevin.steps 5 --langevin.temperature 5e-5 --steps 3 >"$scratch/out" 2>"$scratch/err" ||
  fail "midrun: $(cat "$scratch/err")"
defense=(--classifier "$resnet:resnet20" --energy "$scratch/energy" --attack.replicates 3 --defense.replicates 5)
all=verified_any_step,any_step,final_step,majority_vote,resubmission,null_control
whole=("${defense[@]}" --images 490:520 --langevin.steps 37 --attack.steps 3 --attack.restarts 2 --attack.eps 2 --attack.alpha 1
  --defense.resubmissions 2 --protocols "$all" --engine.call 8)
must one 1 "${whole[@]}"
must two 2 "${whole[@]}" --engine.order shuffled
must four 4 "${whole[@]}" --engine.images 3 --engine.order reverse
same one two
same one four

# Stopped by number, then killed three times wherever it hits.
defend cut 4 "${whole[@]}" --stop-at 8
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
must cut 1 --resume "${whole[@]}"
same one cut
for n in 2 1 2; do
  ranks $n "$program" defend --run "$scratch/kill" --data "$data" "${whole[@]}" --resume >"$scratch/kill.out" 2>"$scratch/kill.err" & job=$!
  sleep "1.$((RANDOM % 10))"
  pkill -KILL -f "defend --run $scratch/kill" 2>/dev/null
  wait $job 2>/dev/null
done
must kill 2 "${whole[@]}" --resume
same one kill

# Every kind; full is bpda-eot on a piecewise linear energy, bit for bit.
short=("${defense[@]}" --images 495:500 --langevin.steps 9 --attack.steps 2)
for kind in none bpda-eot bpda transfer apgd-ce apgd-dlr full full-smooth; do
  own=("${short[@]}")
  [[ $kind = bpda ]] && own+=(--attack.replicates 1)
  must $kind 1 "${own[@]}" --attack.kind $kind
  must "$kind-2" 2 "${own[@]}" --attack.kind $kind
  same $kind "$kind-2"
done
same bpda-eot full
grep -q 'piecewise linear' "$scratch/full.out" || fail "full does not say that it is BPDA here: $(cat "$scratch/full.out")"
"$program" run diff "$scratch/full" "$scratch/full-smooth" >/dev/null && fail "full-smooth is full"
must ball 2 "${short[@]}" --attack.norm l2 --attack.eps 0.5 --attack.alpha 0.2 --attack.average loss --defense.average softmax

# Scoring again gives the figures of the evaluation, and refuses what was not recorded.
expect_code 0 "$program" defend --rescore "$scratch/one" --json "$scratch/again.json"
python3 -c 'import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
sys.exit(any(a[k] != b[k] for k in ("protocols", "natural", "accuracy_by_step", "replicate_agreement")))' "$scratch/one/result.json" "$scratch/again.json" ||
  fail "scored again, other figures"
expect_code 2 "$program" defend --rescore "$scratch/bpda-eot" --protocols final_step
grep -q 'final_step' "$scratch/err" || fail "the rule is not named: $(cat "$scratch/err")"

# A sweep, stopped and gone on with; natural checks are shared.
swept=("${short[@]}" --sweep "attack.eps=2,8 langevin.steps=5,9")
defend sweep 1 "${swept[@]}" --stop-after 0.001
[[ $? = 75 ]] || fail "a sweep does not exit 75: $(tail -n 1 "$scratch/sweep.err")"
must sweep 2 "${swept[@]}" --resume
[[ $(wc -l <"$scratch/sweep/sweep.csv") = 5 ]] || fail "not four points: $(cat "$scratch/sweep/sweep.csv")"
must alone 1 "${short[@]}" --attack.eps 8 --gallery 0
"$program" run diff "$scratch/alone" "$scratch/sweep/points/003" >"$scratch/diff" 2>&1
grep -q 'gallery' "$scratch/diff" || fail "a point of a sweep differs from the same evaluation: $(cat "$scratch/diff")"

# Their pages, where there is an interpreter to draw them.
if "${LANGRUN_PYTHON:-none}" -c 'import h5py, matplotlib, PIL' 2>/dev/null; then
  for page in one sweep; do
    "$LANGRUN_PYTHON" "$source_root/tests/ranks/evaluation_page.py" "$scratch/$page" || fail "page of $page"
  done
else
  echo "pages not checked: LANGRUN_PYTHON names no interpreter with h5py, matplotlib and Pillow"
fi
echo "figures, ranks, stops, kills, attacks, scoring and sweeps of defend"

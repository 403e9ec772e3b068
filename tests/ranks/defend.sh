#!/bin/bash
# defend: the same records on 1, 2 and 4 ranks, in any order, with any number of images in flight, over stops, kills and
# resumes; every kind of attack; scoring again; sweeps. (Figures of a bare classifier: defend_bare.sh.)
. "$(dirname "$0")/../common.sh"
tar=$LANGRUN_SHARED/data/cifar10-jpeg-test.tar
resnet=$LANGRUN_SHARED/data/resnet20-cifar10.th
[[ -f $tar && -f $resnet ]] || skip "there are no CIFAR-10 images and ResNet-20 weights in $LANGRUN_SHARED"
need python3
data=$scratch/test.h5
"$program" data import "$tar" "$data" >"$scratch/out" 2>&1 || fail "import: $(cat "$scratch/out")"

defend() { # defend RUN RANKS OPTIONS...
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" defend --run "$run" --data "$data" "$@" >"$run.out" 2>"$run.err"
}
must() { defend "$@" || fail "$1: $(grep -m 1 error "$scratch/$1.err")"; }
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

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

# Stopped by number; killed three times once another image is through, whole or one rank of two alone.
defend cut 4 "${whole[@]}" --stop-at 8
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
must cut 1 --resume "${whole[@]}"
same one cut
kept() { # bytes of finished images
  local size
  size=$(find "$scratch/kill" -name images.journal -printf '%s\n' 2>/dev/null | sort -n | tail -n 1)
  echo "${size:-0}"
}
whole_size=$(find "$scratch/one" -name images.journal -printf '%s\n' | sort -n | tail -n 1)
kill_after_an_image() { # kill_after_an_image RANKS all|one
  # Few in flight, so that images end one after the other.
  ranks "$1" "$program" defend --run "$scratch/kill" --data "$data" "${whole[@]}" --resume --engine.images 2 >"$scratch/kill.out" 2>"$scratch/kill.err" &
  local job=$! before=0 tries=0 code pids
  # The journal begins with the configuration; a finished image with its pictures takes more than that.
  until grep -q 'images of' "$scratch/kill.out" && [[ -e $scratch/kill/run.cfg ]] || ! kill -0 $job 2>/dev/null; do sleep 0.05; done
  before=$(kept)
  until (($(kept) > before && $(kept) > 5000)) || ! kill -0 $job 2>/dev/null || ((++tries > 2400)); do sleep 0.05; done
  mapfile -t pids < <(pgrep -f "^$program defend --run $scratch/kill ")
  [[ ${#pids[@]} = "$1" ]] || fail "${#pids[@]} ranks of $1 to kill: $(cat "$scratch/kill.err")"
  [[ $2 = all ]] || pids=("${pids[-1]}")
  kill -KILL "${pids[@]}"
  wait $job 2>/dev/null
  code=$?
  # The launcher ends the job by the killed rank's code.
  [[ $code = 137 ]] || fail "a job with a killed rank ends with $code: $(tail -n 3 "$scratch/kill.err")"
  [[ ! -e $scratch/kill/result.json ]] || fail "it was through before the kill hit"
  (($(kept) > before && $(kept) < whole_size)) || fail "$(kept) bytes of $whole_size are kept, $before before"
}
kill_after_an_image 2 all
kill_after_an_image 2 one
kill_after_an_image 4 one
must kill 2 "${whole[@]}" --resume --engine.images 0
same one kill

# Another list or other images than it began with are not mixed in.
seq 490 499 >"$scratch/indices"
cp "$data" "$scratch/copy.h5"
# A store of another program has no checksums of its own.
change_copy() { # change_copy STATEMENT, of an h5py file
  "$LANGRUN_PYTHON" -c 'import sys, h5py
with h5py.File(sys.argv[1], "r+") as file: exec(sys.argv[2])' "$scratch/copy.h5" "$1" || fail "h5py: $1"
}
h5py=$("${LANGRUN_PYTHON:-none}" -c 'import h5py; print("yes")' 2>/dev/null)
[[ -z $h5py ]] || change_copy 'del file["checksums"]; del file.attrs["content"]'
data=$scratch/copy.h5 defend list 1 "${defense[@]}" --images-file "$scratch/indices" --langevin.steps 5 --attack.steps 1 --stop-at 3
[[ $? = 75 ]] || fail "a list of images: $(tail -n 1 "$scratch/list.err")"
seq 490 498 >"$scratch/indices"
expect_code 2 "$program" defend --run "$scratch/list" --resume
grep -q 'images.checksum differs (the list' "$scratch/err" || fail "another list: $(cat "$scratch/err")"
seq 490 499 >"$scratch/indices"
if [[ -n $h5py ]]; then
  change_copy 'file["images"][495, 0, 0, 0] ^= 1'
  expect_code 2 "$program" defend --run "$scratch/list" --resume
  grep -q 'data.checksum differs (the images' "$scratch/err" || fail "another pixel: $(cat "$scratch/err")"
else
  echo "a changed pixel was not tried: LANGRUN_PYTHON names no interpreter with h5py"
fi

# What a run was trained in does not decide what it is evaluated in.
cp -r "$scratch/energy" "$scratch/energy-bf16"
sed -i 's/^precision = .*/precision = bf16/' "$scratch/energy-bf16/run.cfg"
grep -q '^precision = bf16' "$scratch/energy-bf16/run.cfg" || fail "run.cfg of a training without precision"
must fp32 1 --classifier "$resnet:resnet20" --energy "$scratch/energy-bf16" --langevin.steps 5 --attack.kind none --defense.replicates 2 --images 490:492
grep -q '^precision = fp32' "$scratch/fp32/run.cfg" || fail "not in fp32: $(grep precision "$scratch/fp32/run.cfg")"

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
if "${LANGRUN_PYTHON:-none}" -c 'import h5py' 2>/dev/null; then
  "$LANGRUN_PYTHON" - "$scratch" <<'PY' || fail "balls, or energies of natural images"
import shutil, sys, h5py, numpy
scratch = sys.argv[1]
for run, eps, norm in (("ball", 0.5, lambda d: numpy.sqrt((d ** 2).sum((1, 2, 3)))), ("bpda-eot", 8 / 255, lambda d: abs(d).max((1, 2, 3)))):
    with h5py.File(f"{scratch}/{run}/records.h5") as file:
        attacked = (file["gallery/adversarial"][()] + 1) / 2
        natural = file["gallery/natural"][()].transpose(0, 3, 1, 2) / 255
        purpose, first, last = (file["judge"][name][()] for name in ("purpose", "first_energy", "last_energy"))
    made = numpy.isfinite(attacked).all((1, 2, 3))
    far = norm(attacked[made] - natural[made])
    assert made.any() and far.max() < eps + 1e-4 and far.min() > 0.05 * eps, (run, far)
    assert numpy.isfinite(first[purpose == 2]).all() and numpy.isfinite(last[purpose == 2]).all(), run
# An energy with a Gaussian term, for the note of `full`.
shutil.copy(f"{scratch}/full/energy.h5", f"{scratch}/gaussian.h5")
with h5py.File(f"{scratch}/gaussian.h5", "r+") as file:
    del file.attrs["sealed"]
    file["energy"].attrs["tau"] = "0.15"
PY
  must gaussian 1 --classifier "$resnet:resnet20" --energy "$scratch/gaussian.h5" --langevin.eta 0.01 --langevin.steps 5 --images 495:497 \
    --attack.kind full --attack.steps 1 --attack.replicates 2 --defense.replicates 2
  grep -q 'but for its Gaussian term' "$scratch/gaussian.out" || fail "full of a Gaussian term: $(cat "$scratch/gaussian.out")"
else
  echo "balls and energies were not looked at: LANGRUN_PYTHON names no interpreter with h5py"
fi

# Scoring again gives the figures of the evaluation, and refuses what was not recorded.
expect_code 0 "$program" defend --rescore "$scratch/one" --json "$scratch/again.json"
python3 -c 'import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
sys.exit(any(a[k] != b[k] for k in ("protocols", "natural", "accuracy_by_step", "replicate_agreement")))' "$scratch/one/result.json" "$scratch/again.json" ||
  fail "scored again, other figures"
expect_code 2 "$program" defend --rescore "$scratch/bpda-eot" --protocols final_step
grep -q 'final_step' "$scratch/err" || fail "the rule is not named: $(cat "$scratch/err")"
cp -r "$scratch/two" "$scratch/mixed"
cp "$scratch/bpda-eot/records.h5" "$scratch/mixed/records.h5"
expect_code 2 "$program" defend --rescore "$scratch/mixed"
grep -q 'records.h5 was written under another configuration: .* differs' "$scratch/err" || fail "records of another evaluation: $(cat "$scratch/err")"

# A sweep, stopped and gone on with; natural checks and their pictures are shared.
swept=("${short[@]}" --sweep "attack.eps=2,8 langevin.steps=5,9")
defend sweep 1 "${swept[@]}" --stop-after 0.001
[[ $? = 75 ]] || fail "a sweep does not exit 75: $(tail -n 1 "$scratch/sweep.err")"
must sweep 2 "${swept[@]}" --resume
[[ $(wc -l <"$scratch/sweep/sweep.csv") = 5 ]] || fail "not four points: $(cat "$scratch/sweep/sweep.csv")"
must alone 1 "${short[@]}" --attack.eps 8
if "${LANGRUN_PYTHON:-none}" -c 'import h5py' 2>/dev/null; then
  "$LANGRUN_PYTHON" - "$scratch/alone/records.h5" "$scratch/sweep/points/003/records.h5" <<'PY' || fail "a point of a sweep differs from the same evaluation"
import sys, h5py, numpy
one, other = (h5py.File(name) for name in sys.argv[1:])
names = []  # of all datasets
one.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
compared = [name for name in names if name != "image_steps"]
assert {"judge/logits", "judge/votes", "small/loss", "small/cosine", "rules/any_step", "broken_at", "gallery/adversarial", "gallery/purified"} <= set(compared)
for name in compared:
    a, b = one[name][()], other[name][()]
    assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), name
# Natural checks of 5 chains and 9 steps were made once, and are counted where they were made.
assert (one["image_steps"][()] - other["image_steps"][()] == 5 * 9).all(), other["image_steps"][()]
PY
else
  echo "points were not compared: LANGRUN_PYTHON names no interpreter with h5py"
fi

# An energy that is trained on while a sweep stands still: all points keep the weights of the first.
cp -r "$scratch/energy" "$scratch/growing"
grown=(--classifier "$resnet:resnet20" --energy "$scratch/growing" --images 495:498 --langevin.steps 5 --attack.steps 1 --attack.replicates 2
  --defense.replicates 2)
defend grown 1 "${grown[@]}" --sweep attack.eps=2,8 --stop-at 3
[[ $? = 75 && -e $scratch/grown/points/000/result.json && ! -e $scratch/grown/points/001 ]] || fail "not one point: $(tail -n 1 "$scratch/grown.err")"
ranks 2 "$program" midrun --run "$scratch/growing" --resume --steps 5 >"$scratch/out" 2>"$scratch/err" || fail "training on: $(cat "$scratch/err")"
# Its options, and what it sweeps, are in its folder.
ranks 2 "$program" defend --run "$scratch/grown" --resume >"$scratch/out" 2>"$scratch/err" || fail "a sweep without its options: $(cat "$scratch/err")"
grep -qx 'at = 3' "$scratch/grown/points/001/run.cfg" || fail "another checkpoint: $(grep '^at' "$scratch/grown/points/001/run.cfg")"
cmp -s "$scratch"/grown/points/00[01]/energy.h5 || fail "two points of a sweep have different energies"
[[ $(wc -l <"$scratch/grown/sweep.csv") = 3 ]] || fail "not two points: $(cat "$scratch/grown/sweep.csv")"

# Their pages, where there is an interpreter to draw them.
if "${LANGRUN_PYTHON:-none}" -c 'import h5py, matplotlib, PIL' 2>/dev/null; then
  for page in one sweep; do
    "$program" run report "$scratch/$page" >"$scratch/out" 2>"$scratch/err" || fail "no page of $page: $(cat "$scratch/err")"
    "$LANGRUN_PYTHON" "$source_root/tests/ranks/evaluation_page.py" "$scratch/$page" || fail "page of $page"
  done
else
  echo "pages not checked: LANGRUN_PYTHON names no interpreter with h5py, matplotlib and Pillow"
fi
echo "figures, ranks, stops, kills, attacks, scoring and sweeps of defend"

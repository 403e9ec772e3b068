#!/bin/bash
# defend on a bare classifier: the figures of PyTorch and torchattacks on the same files; an attack in the ball of l_2.
. "$(dirname "$0")/../common.sh"
tar=$LANGRUN_SHARED/data/cifar10-jpeg-test.tar
resnet=$LANGRUN_SHARED/data/resnet20-cifar10.th
[[ -f $tar && -f $resnet ]] || skip "there are no CIFAR-10 images and ResNet-20 weights in $LANGRUN_SHARED"
need python3
data=$scratch/test.h5
"$program" data import "$tar" "$data" >"$scratch/out" 2>&1 || fail "import: $(cat "$scratch/out")"
for c in {0..9}; do for i in {0..49}; do echo $((500 * c + i)); done; done >"$scratch/first50"

must() { # must RUN OPTIONS...
  local run=$scratch/$1
  shift
  ranks 2 "$program" defend --run "$run" --data "$data" --classifier "$resnet:resnet20" --energy none "$@" >"$run.out" 2>"$run.err" ||
    fail "$run: $(grep -m 1 error "$run.err")"
}
figure() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1] + "/result.json"))[sys.argv[2]])' "$scratch/$1" "$2"; }
near() { # near RUN FIGURE WANTED TOLERANCE
  local value
  value=$(figure "$1" "$2") || fail "$1 has no $2"
  python3 -c 'import sys; sys.exit(abs(float(sys.argv[1]) - float(sys.argv[2])) > float(sys.argv[3]) + 1e-9)' "$value" "$3" "$4" ||
    fail "$1: $2 is $value, expected $3 within $4"
}

must clean --attack.kind none
near clean natural_accuracy 0.8102 0
bare=(--images-file "$scratch/first50")
for pair in 1:0.190 2:0.088 8:0.058; do
  must "fgsm-${pair%:*}" "${bare[@]}" --attack.kind fgsm --attack.eps "${pair%:*}"
  near "fgsm-${pair%:*}" robust_accuracy "${pair#*:}" 0.002
done
for pair in 1:0.044 2:0.000 8:0.000; do
  must "pgd-${pair%:*}" "${bare[@]}" --attack.kind pgd --attack.eps "${pair%:*}" --attack.steps 20 --protocols final_step
  near "pgd-${pair%:*}" robust_accuracy "${pair#*:}" 0.01
done
near pgd-1 natural_accuracy 0.798 0
grep -q '^alpha = 0.25$' "$scratch/pgd-1/run.cfg" || fail "the step is not a quarter of eps: $(grep alpha "$scratch/pgd-1/run.cfg")"
for kind in apgd-ce apgd-dlr; do
  must $kind "${bare[@]}" --attack.kind $kind --attack.eps 1 --attack.steps 50
  near $kind robust_accuracy 0.040 0.01
done

# In l_2: a tenth of a unit breaks some images, one unit all; nothing leaves the ball or the pixel range.
must l2-small "${bare[@]}" --attack.kind pgd --attack.norm l2 --attack.eps 0.05 --attack.steps 10
must l2-large "${bare[@]}" --attack.kind pgd --attack.norm l2 --attack.eps 1 --attack.steps 10 --gallery 500
near l2-large robust_accuracy 0 0.01
python3 -c 'import sys; small, clean = map(float, sys.argv[1:]); sys.exit(not 0.02 < small < clean - 0.1)' \
  "$(figure l2-small robust_accuracy)" "$(figure pgd-1 natural_accuracy)" || fail "in l_2 of 0.05: $(figure l2-small robust_accuracy)"
if "${LANGRUN_PYTHON:-none}" -c 'import h5py' 2>/dev/null; then
  "$LANGRUN_PYTHON" - "$scratch/l2-large/records.h5" <<'PY' || fail "images outside of the ball"
import sys, h5py, numpy
with h5py.File(sys.argv[1]) as file:
    attacked = (file["gallery/adversarial"][()] + 1) / 2
    natural = file["gallery/natural"][()].transpose(0, 3, 1, 2) / 255
assert len(attacked) == 500 and numpy.isfinite(attacked).all()
far = numpy.sqrt(((attacked - natural) ** 2).sum((1, 2, 3)))
assert far.max() < 1 + 1e-4 and numpy.median(far) > 0.5, (far.min(), numpy.median(far), far.max())
assert attacked.min() > -1e-6 and attacked.max() < 1 + 1e-6
PY
else
  echo "the ball was not looked at: LANGRUN_PYTHON names no interpreter with h5py"
fi
echo "figures of a bare classifier"

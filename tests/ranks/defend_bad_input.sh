#!/bin/bash
# What defend refuses: one error line, the right exit code, no hang, nothing touched.
. "$(dirname "$0")/../common.sh"
resnet=$LANGRUN_SHARED/data/resnet20-cifar10.th
[[ -f $resnet && -f $LANGRUN_SHARED/data/cifar10-jpeg-test.tar ]] || skip "there are no ResNet-20 weights in $LANGRUN_SHARED"
data=$scratch/test.h5
"$program" data import "$LANGRUN_SHARED/data/cifar10-jpeg-test.tar" "$data" >"$scratch/out" 2>&1 || fail "import: $(cat "$scratch/out")"
mkdir "$scratch/two"
tar -C "$scratch/two" -xf "$LANGRUN_SHARED/data/cifar10-jpeg-test.tar" test/cat/0000.jpg test/dog/0000.jpg
"$program" data import "$scratch/two" "$scratch/two.h5" >"$scratch/out" 2>&1 || fail "import: $(cat "$scratch/out")"
synth "$scratch/large.h5" 20 64
train energy 1 --data "$data" --steps 1 || fail "an energy: $(cat "$scratch/energy.err")"
net=(--classifier "$resnet:resnet20")
defense=(--data "$data" "${net[@]}" --energy "$scratch/energy" --langevin.steps 4 --attack.steps 1 --attack.replicates 2 --defense.replicates 2 --images 0:4)
n=1
refuse() { # refuse CODE WORD OPTIONS...: on one rank and on two, in turn
  local code=$1 word=$2
  shift 2
  n=$((3 - n))
  ranks $n timeout 60 "$program" defend --run "$scratch/refused" "$@" >"$scratch/out" 2>"$scratch/err"
  local got=$?
  [[ $got = "$code" ]] || fail "exit $got, not $code: $* ($(cat "$scratch/err"))"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/err"))"
  grep -A1 '^langrun: error: ' "$scratch/err" | grep -qF -- "$word" || fail "no word of '$word': $(cat "$scratch/err")"
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $*"
}
refuse 2 'attack.eps' "${defense[@]}" --attack.eps 0
refuse 2 'attack.eps' "${defense[@]}" --attack.eps -3
refuse 2 'attack.alpha' "${defense[@]}" --attack.alpha -1
refuse 2 'defense.replicates' "${defense[@]}" --defense.replicates 0
refuse 2 'attack.replicates' "${defense[@]}" --attack.replicates 0
refuse 2 'energy none' "${defense[@]}" --attack.kind pgd
refuse 2 'attacks a defense' --data "$data" "${net[@]}" --energy none --attack.kind bpda-eot
refuse 2 'attack.replicates' --data "$data" "${net[@]}" --energy none --attack.kind pgd --attack.replicates 4
refuse 2 'attack.steps' --data "$data" "${net[@]}" --energy none --attack.kind fgsm --attack.steps 4
refuse 2 'any_step' "${defense[@]}" --protocols any_stp
refuse 2 'names no rule' "${defense[@]}" --protocols null_control
refuse 2 '--images' "${defense[@]}" --images 4990:5001
refuse 2 '--images' "${defense[@]}" --images 5:5
refuse 2 'images-file' "${defense[@]}" --images-file "$scratch/list"
refuse 2 '--data' "${net[@]}" --energy none
refuse 2 '--classifier' --data "$data" --energy none
refuse 2 '--energy' --data "$data" "${net[@]}"
refuse 2 'classifier.size' "${defense[@]}" --classifier.size 64
refuse 2 'max-norm' "${defense[@]}" --attack.kind full --langevin.max-norm 1
train clipped 1 --data "$data" --steps 1 --langevin.max-norm 0.5 || fail "an energy with a clip: $(cat "$scratch/clipped.err")"
refuse 2 'langevin.max-norm 0.5' "${defense[@]}" --energy "$scratch/clipped" --attack.kind full
refuse 2 'langevin.max-norm 0.5' "${defense[@]}" --energy "$scratch/clipped" --sweep 'attack.kind=bpda-eot,full-smooth'
refuse 2 'attack.eps 0.5' "${defense[@]}" --attack.norm l2
refuse 2 'sweep' "${defense[@]}" --sweep "attack.epps=1,2"
refuse 2 'json' "${defense[@]}" --json "$scratch/x.json"
refuse 3 'does not exist' "${defense[@]}" --energy "$scratch/none"
refuse 3 'none.h5' "${defense[@]}" --data "$scratch/none.h5"
refuse 3 'classes' --data "$scratch/two.h5" "${net[@]}" --energy none --attack.kind none
# The same number of classes, but others than it learnt.
"$program" classify --data "$scratch/two.h5" --run "$scratch/animals" --classifier.network resnet20 --batch 2 --lanes 2 --steps 1 >"$scratch/out" 2>"$scratch/err" ||
  fail "a classifier of two: $(cat "$scratch/err")"
mkdir -p "$scratch/others/test"
cp -r "$scratch/two/test/cat" "$scratch/others/test/cat"
cp -r "$scratch/two/test/dog" "$scratch/others/test/fox"
"$program" data import "$scratch/others" "$scratch/others.h5" >"$scratch/out" 2>&1 || fail "import: $(cat "$scratch/out")"
refuse 3 "'dog'" --data "$scratch/others.h5" --classifier "$scratch/animals" --energy none --attack.kind none
"$program" defend --run "$scratch/own" --data "$scratch/two.h5" --classifier "$scratch/animals" --energy none --attack.kind none >"$scratch/out" 2>"$scratch/err" ||
  fail "the classes it learnt: $(cat "$scratch/err")"
expect_code 2 "$program" defend --rescore "$scratch/own" --protocols any_step
grep -q 'without an attack' "$scratch/err" || fail "rules without an attack: $(cat "$scratch/err")"
expect_code 2 "$program" defend --rescore "$scratch/own" --preset demo
grep -q 'preset demo does not go' "$scratch/err" || fail "a preset: $(cat "$scratch/err")"
expect_code 0 "$program" defend --rescore "$scratch/own"
# A classifier that is trained on while a sweep stands still is another one.
pair=(--data "$scratch/two.h5" --classifier "$scratch/animals" --energy none --attack.kind fgsm)
"$program" defend --run "$scratch/sweep" "${pair[@]}" --sweep 'attack.eps=2,8' --stop-at 2 >"$scratch/out" 2>"$scratch/err"
[[ $? = 75 ]] || fail "a sweep to go on with: $(cat "$scratch/err")"
"$program" classify --run "$scratch/animals" --resume --steps 2 >"$scratch/out" 2>"$scratch/err" || fail "training on: $(cat "$scratch/err")"
expect_code 2 "$program" defend --run "$scratch/sweep" --resume
grep -q 'classifier.checksum' "$scratch/err" || fail "another classifier: $(cat "$scratch/err")"
refuse 3 'images of 32' --data "$scratch/large.h5" "${net[@]}" --energy none --attack.kind none
refuse 3 'come with the program' --data @demo/nothing.h5 "${net[@]}" --energy none --attack.kind none
printf '1\n2\n1\n' >"$scratch/twice"
refuse 3 'twice' --data "$data" "${net[@]}" --energy none --attack.kind none --images-file "$scratch/twice"
printf '1\nx\n' >"$scratch/word"
refuse 3 "'x'" --data "$data" "${net[@]}" --energy none --attack.kind none --images-file "$scratch/word"
printf '5000\n' >"$scratch/outside"
refuse 3 '5000' --data "$data" "${net[@]}" --energy none --attack.kind none --images-file "$scratch/outside"

# TorchScript that gives no gradient, or says nothing of its values.
python=${LANGRUN_PYTHON:-python3}
if "$python" -c 'import torch' 2>/dev/null; then
  cat >"$scratch/net.py" <<'END'
import sys, torch
class Deaf(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.one_hot((x.mean([1, 2, 3]) > 0).long(), 10).float()
class Mean(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x.mean([2, 3]), x.amax([2, 3]), x.amin([2, 3]), x.sum([1, 2, 3]).unsqueeze(1)], 1)
for net in (Deaf, Mean):
    torch.jit.script(net()).save(f'{sys.argv[1]}/{net.__name__}.pt')
END
  "$python" "$scratch/net.py" "$scratch" 2>"$scratch/err" || fail "TorchScript: $(cat "$scratch/err")"
  refuse 3 'no gradient' "${defense[@]}" --classifier "$scratch/Deaf.pt" --classifier.range 0:1
  refuse 2 'classifier.range' "${defense[@]}" --classifier "$scratch/Mean.pt"
  refuse 2 'three numbers' "${defense[@]}" --classifier "$scratch/Mean.pt" --classifier.range normalised --classifier.mean 1,2 --classifier.std 1,1,1
  for n in 1 2; do
    ranks $n "$program" defend --run "$scratch/script-$n" "${defense[@]}" --classifier "$scratch/Mean.pt" --classifier.range 0:1 \
      --classifier.size 40 >"$scratch/out" 2>"$scratch/err" || fail "a TorchScript classifier: $(cat "$scratch/err")"
  done
  "$program" run diff "$scratch/script-1" "$scratch/script-2" >"$scratch/out" || fail "TorchScript on two ranks: $(cat "$scratch/out")"
else
  echo "no torch in $python: TorchScript classifiers were left out"
fi

# Folders: in use, of another evaluation, with a record of another configuration.
ranks 2 "$program" defend --run "$scratch/done" "${defense[@]}" --stop-at 2 >"$scratch/out" 2>"$scratch/err"
[[ $? = 75 ]] || fail "an evaluation to go on with: $(cat "$scratch/err")"
expect_code 2 "$program" defend --run "$scratch/done" "${defense[@]}"
expect_code 2 "$program" defend --run "$scratch/done" --resume "${defense[@]}" --attack.eps 4
grep -q 'attack.eps' "$scratch/err" || fail "the key is not named: $(cat "$scratch/err")"
cp -r "$scratch/done" "$scratch/other"
sed -i 's/^eps = 8$/eps = 4/' "$scratch/other/run.cfg"
expect_code 2 "$program" defend --run "$scratch/other" --resume
grep -q 'attack.eps differs' "$scratch/err" || fail "the key of the record is not named: $(cat "$scratch/err")"
expect_code 3 "$program" defend --rescore "$scratch/done"
expect_code 0 "$program" defend --run "$scratch/done" --resume
echo "what defend refuses"

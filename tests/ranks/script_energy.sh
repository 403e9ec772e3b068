#!/bin/bash
# TorchScript in an energy's place: sample, ood and defend take it, on any number of ranks alike; a score too; what is refused.
. "$(dirname "$0")/../common.sh"
[[ -n ${LANGRUN_PYTHON:-} ]] || skip "no LANGRUN_PYTHON to make TorchScript with"
"$LANGRUN_PYTHON" -c 'import torch' 2>/dev/null || skip "LANGRUN_PYTHON has no torch"
data=$scratch/data.h5
synth "$data" 64
train run 2 --steps 2 || fail "shortrun: $(tail -n 1 "$scratch/run.err")"
"$program" weights export "$scratch/run" "$scratch/energy.pth" --part energy_average >/dev/null || fail "weights export"
# In a file, since torch compiles from its text.
cat >"$scratch/modules.py" <<'PY'
import torch
import langrun_networks

energy = langrun_networks.load("energy.pth")
torch.jit.script(energy).save("energy.pt")


class Placed(torch.nn.Module):
    def forward(self, x):
        return x.square().sum((1, 2, 3)) * (1 + 1e-6 * torch.arange(x.size(0)))


class Score(torch.nn.Module):
    def forward(self, x):
        return -x


class Coupled(torch.nn.Module):
    def forward(self, x):
        return (x - x.mean(0)).square().sum((1, 2, 3))


class Steps(torch.nn.Module):
    def forward(self, x):
        return x.detach().sum((1, 2, 3))


class Two(torch.nn.Module):
    def forward(self, x):
        return x[:, :2, 0, 0]


class Contrast(torch.nn.Module):
    """Of a constant image 0 / 0."""

    def forward(self, x):
        off = (x - x[:, :, :1, :1]).flatten(1)
        return (off.square() / off.square().mean(1, keepdim=True)).sum(1) + off.square().sum(1)


class Flat(torch.nn.Module):
    """Of a constant image infinite."""

    def forward(self, x):
        off = (x - x[:, :, :1, :1]).flatten(1)
        return x.square().sum((1, 2, 3)) / off.square().mean(1)


class First(torch.nn.Module):
    """The first pixel's first channel."""

    def forward(self, x):
        return x[:, 0, 0, 0]


for name, module in (("score", Score()), ("placed", Placed()), ("coupled", Coupled()), ("steps", Steps()), ("two", Two()),
                     ("contrast", Contrast()), ("flat", Flat()), ("first", First())):
    torch.jit.script(module).save(name + ".pt")
PY
(cd "$scratch" && "$LANGRUN_PYTHON" modules.py 2>err) || fail "cannot make TorchScript: $(tail -n 1 "$scratch/err")"

of=(--langevin.eta 5e-3 --langevin.temperature 1e-4)
# The same energies as the network's own.
ood=(--data "$data" --count 20 --synthetic noise)
"$program" ood --energy "$scratch/run" --run "$scratch/own" "${ood[@]}" >/dev/null 2>"$scratch/err" || fail "ood: $(cat "$scratch/err")"
"$program" ood --energy "$scratch/energy.pt" --energy.size 32 --run "$scratch/script" "${ood[@]}" >/dev/null 2>"$scratch/err" ||
  fail "ood of TorchScript: $(cat "$scratch/err")"
"$LANGRUN_PYTHON" - "$scratch/own/ood.h5" "$scratch/script/ood.h5" <<'PY' || fail "TorchScript has other energies"
import sys, h5py, numpy
one, other = (h5py.File(name) for name in sys.argv[1:])
for key in ("in", "out-0"):
    assert numpy.allclose(one[key][()], other[key][()], rtol=1e-4, atol=1e-5), key
PY

sampled() { # sampled OUT RANKS ENERGY OPTIONS...
  local out=$scratch/$1 n=$2 energy=$scratch/$3
  shift 3
  ranks "$n" "$program" sample --energy "$energy" --count 6 --call 4 --langevin.steps 12 --source noise "${of[@]}" --out "$out" "$@" \
    >"$scratch/out" 2>"$scratch/err" || fail "sample of $energy: $(cat "$scratch/err")"
}
sampled s1.h5 1 energy.pt --energy.size 32
sampled s2.h5 2 energy.pt --energy.size 32
cmp "$scratch/s1.h5" "$scratch/s2.h5" || fail "samples differ between rank counts"
sampled own.h5 1 run
"$LANGRUN_PYTHON" - "$scratch/own.h5" "$scratch/s1.h5" <<'PY' || fail "TorchScript has other chains"
import sys, h5py, numpy
one, other = (h5py.File(name)["images"][()].astype(int) for name in sys.argv[1:])
assert numpy.abs(one - other).max() <= 1, numpy.abs(one - other).max()
PY
# A score's chains: x <- x + (eta^2/2) S(x) + eta z with S = -x and T = 1 contract towards 0.
"$program" sample --energy "$scratch/score.pt" --energy.size 16 --count 4 --call 4 --langevin.steps 200 --source noise --langevin.eta 0.2 \
  --langevin.temperature 1 --out "$scratch/score.h5" >/dev/null 2>"$scratch/err" || fail "a score: $(cat "$scratch/err")"
"$LANGRUN_PYTHON" - "$scratch/score.h5" <<'PY' || fail "a score's chains go elsewhere"
import sys, h5py
images = h5py.File(sys.argv[1])["images"][()] / 127.5 - 1
assert abs(images.mean()) < 0.1, images.mean()  # N(0, 1), clamped
PY

# A folder goes on by the file it began with, and by no other.
list=(--energy "$scratch/energy.pt" --energy.size 32 --source noise --count 4 --call 4 --steps-list 5,20 "${of[@]}")
"$program" sample --run "$scratch/whole" "${list[@]}" >/dev/null 2>"$scratch/err" || fail "sample --run: $(cat "$scratch/err")"
"$program" sample --run "$scratch/parts" "${list[@]}" --stop-at 10 >/dev/null 2>"$scratch/err"
[[ $? = 75 ]] || fail "--stop-at: $(cat "$scratch/err")"
cp -r "$scratch/parts" "$scratch/other"
ranks 2 "$program" sample --run "$scratch/parts" --resume >/dev/null 2>"$scratch/err" || fail "sample --resume: $(cat "$scratch/err")"
cmp "$scratch/whole/step-000000020.h5" "$scratch/parts/step-000000020.h5" || fail "a sampling that was taken up has other images"
cp "$scratch/energy.pt" "$scratch/kept.pt"
cp "$scratch/coupled.pt" "$scratch/energy.pt"
"$program" sample --run "$scratch/other" --resume >/dev/null 2>"$scratch/err"
[[ $? = 3 ]] || fail "goes on with another energy: $(cat "$scratch/err")"
cp "$scratch/kept.pt" "$scratch/energy.pt"

# An evaluation: the same records on any number of ranks; exact gradients go through a module as it is.
demo=$source_root/share/demo
for kind in bpda-eot full; do
  for n in 1 2; do
    ranks "$n" "$program" defend --run "$scratch/$kind-$n" --data "$demo/images.h5" --classifier "$demo/classifier.h5" \
      --energy "$scratch/energy.pt" --energy.size 32 "${of[@]}" --langevin.steps 6 --images 0:4 --attack.kind "$kind" --attack.steps 2 \
      --attack.replicates 2 --defense.replicates 4 --engine.call 8 >/dev/null 2>"$scratch/err" || fail "defend $kind on $n: $(cat "$scratch/err")"
  done
  "$program" run diff "$scratch/$kind-1" "$scratch/$kind-2" >"$scratch/diff" 2>&1 || fail "$kind: $(tail -n 1 "$scratch/diff")"
done
# An energy whose bits depend on the place in a call goes chain by chain, and the evaluation says so.
for n in 1 2; do
  ranks "$n" "$program" defend --run "$scratch/placed-$n" --data "$demo/images.h5" --classifier "$demo/classifier.h5" \
    --energy "$scratch/placed.pt" --energy.size 32 "${of[@]}" --langevin.steps 6 --images 0:4 --attack.steps 2 \
    --attack.replicates 2 --defense.replicates 4 --engine.call 8 >"$scratch/out" 2>"$scratch/err" || fail "defend on $n: $(cat "$scratch/err")"
  grep -q 'one by one' "$scratch/out" || fail "no note of calls of one chain: $(cat "$scratch/out")"
done
"$program" run diff "$scratch/placed-1" "$scratch/placed-2" >"$scratch/diff" 2>&1 || fail "an energy that knows places: $(tail -n 1 "$scratch/diff")"
# What has no curvature is refused before there is a folder.
for pair in full-smooth:energy full:score full-smooth:score; do
  expect_code 2 "$program" defend --run "$scratch/refused" --data "$demo/images.h5" --classifier "$demo/classifier.h5" \
    --energy "$scratch/${pair#*:}.pt" --energy.size 32 "${of[@]}" --langevin.steps 6 --images 0:4 --attack.kind "${pair%:*}" --attack.steps 2
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $pair"
done

# What has no energies to compare, and an energy that is no number.
measure() { # measure CODE WORD OPTIONS...
  expect_code "$1" "$program" ood --run "$scratch/refused" --data "$data" --count 20 "${@:3}"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $(cat "$scratch/err")"
  grep -q "^langrun: error: .*$2" "$scratch/err" || fail "no word of '$2': $(cat "$scratch/err")"
  [[ ! -e $scratch/refused ]] || fail "a refused ood left its folder: $*"
}
measure 2 'is a score' --energy "$scratch/score.pt" --energy.size 32
measure 4 'constant is not finite' --energy "$scratch/contrast.pt" --energy.size 32
measure 4 'constant is not finite' --energy "$scratch/flat.pt" --energy.size 32

# Constant images have colours of their own, which are no pixels of the noise.
"$program" ood --run "$scratch/first" --energy "$scratch/first.pt" --energy.size 32 --data "$data" --count 20 \
  --synthetic noise,constant >/dev/null 2>"$scratch/err" || fail "ood of the first pixel: $(cat "$scratch/err")"
"$LANGRUN_PYTHON" - "$scratch/first/ood.h5" <<'PY' || fail "colours are the noise's first pixels"
import sys, h5py
with h5py.File(sys.argv[1]) as file:
    noise, colours = file["out-0"][()], file["out-1"][()]
assert len(noise) == len(colours) == 20 and not (noise == colours).any(), (noise, colours)
assert len(set(noise)) == len(set(colours)) == 20, (noise, colours)
PY

refuse() { # refuse CODE WORD OPTIONS...
  local code=$1 word=$2
  shift 2
  expect_code "$code" "$program" sample --count 2 --call 2 --source noise "${of[@]}" --langevin.steps 1 --out "$scratch/x.h5" "$@"
  grep -q "^langrun: error: .*$word" "$scratch/err" || fail "no word of '$word': $(cat "$scratch/err")"
}
refuse 2 'size of the images' --energy "$scratch/energy.pt"
refuse 3 'does not take\|energy .*energy.pt' --energy "$scratch/energy.pt" --energy.size 16
refuse 3 'couples' --energy "$scratch/coupled.pt" --energy.size 16
refuse 3 'no gradient' --energy "$scratch/steps.pt" --energy.size 16
refuse 3 'for two images' --energy "$scratch/two.pt" --energy.size 16
refuse 2 'fp32' --energy "$scratch/energy.pt" --energy.size 32 --precision bf16
echo "TorchScript energies agree"

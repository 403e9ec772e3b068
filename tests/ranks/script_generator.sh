#!/bin/bash
# TorchScript as the frozen generator of a hat: every mode on 1, 2 and 4 ranks, over a stop and a resume on another number of
# them, and its samples; a hat's generator refined, its factor kept; what is refused.
. "$(dirname "$0")/../common.sh"
[[ -n ${LANGRUN_PYTHON:-} ]] || skip "no LANGRUN_PYTHON to make TorchScript with"
"$LANGRUN_PYTHON" -c 'import torch' 2>/dev/null || skip "LANGRUN_PYTHON has no torch"
data=$scratch/data.h5
synth "$data" 128
# In a file, since torch compiles from its text.
cat >"$scratch/modules.py" <<'PY'
import torch


class Generator(torch.nn.Module):
    def __init__(self, size: int, low: float, coupled: bool, detached: bool):
        super().__init__()
        self.size, self.low, self.coupled, self.detached = size, low, coupled, detached
        self.first = torch.nn.Linear(8, 16)
        self.last = torch.nn.Linear(16, 3 * size * size)

    def forward(self, z):
        h = torch.tanh(self.first(z))
        if self.coupled:
            h = h - h.mean(0)
        x = torch.tanh(self.last(h)).view(-1, 3, self.size, self.size)
        if self.detached:
            x = x.detach()
        return (x + 1) / 2 if self.low == 0 else x


class Loud(torch.nn.Module):
    def forward(self, z):
        if z.size(1) != 3:
            raise RuntimeError("three numbers are wanted")
        return torch.zeros(z.size(0), 3, 32, 32)


torch.manual_seed(0)
for name, size, low, coupled, detached in (("full", 32, -1.0, False, False), ("half", 32, 0.0, False, False),
                                           ("small", 16, -1.0, False, False), ("coupled", 32, -1.0, True, False),
                                           ("detached", 32, -1.0, False, True)):
    torch.jit.script(Generator(size, low, coupled, detached)).save(name + ".pt")
torch.jit.script(Loud()).save("loud.pt")
PY
(cd "$scratch" && "$LANGRUN_PYTHON" modules.py 2>err) || fail "cannot make TorchScript: $(tail -n 1 "$scratch/err")"

# hat RUN RANKS OPTIONS...
hat() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" hat --data "$data" --run "$run" --energy.network light --energy.width 4 --batch 16 --langevin.steps 3 \
    --steps 4 --seed 5 "$@" >"$run.out" 2>"$run.err"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }
sampled() { # sampled OUT RANKS RUN OPTIONS...
  local out=$scratch/$1 n=$2 run=$3
  shift 3
  ranks "$n" "$program" sample --energy "$scratch/$run" --count 6 --call 4 --out "$out" "$@" >"$scratch/out" 2>"$scratch/err" ||
    fail "samples of $run: $(cat "$scratch/err")"
}

full=(--source.generator "$scratch/full.pt" --source.latent 8)
half=(--source.generator "$scratch/half.pt" --source.latent 8 --source.range 0:1)
# in_three NAME OPTIONS...
in_three() {
  local name=$1 n
  shift
  for n in 1 2 4; do hat "$name-$n" "$n" "$@" || fail "$name on $n: $(tail -n 1 "$scratch/$name-$n.err")"; done
  same "$name-1" "$name-2"
  same "$name-1" "$name-4"
  hat "$name-cut" 4 --stop-at 2 "$@"
  [[ $? = 75 ]] || fail "$name: --stop-at does not exit 75: $(tail -n 1 "$scratch/$name-cut.err")"
  hat "$name-cut" 2 --resume || fail "$name: resume: $(tail -n 1 "$scratch/$name-cut.err")"
  same "$name-1" "$name-cut"
  sampled "$name-s1.h5" 1 "$name-1"
  sampled "$name-s2.h5" 2 "$name-4"
  cmp "$scratch/$name-s1.h5" "$scratch/$name-s2.h5" || fail "samples of $name differ between rank counts"
}
in_three refine --mode refine "${full[@]}" --latent.eta 0.01
in_three ddls --mode ddls "${half[@]}" --latent.eta 0.1 --langevin.temperature 1
in_three conditional --mode conditional "${half[@]}"
grep -q '"latent_gradient_magnitude": [0-9.e-]*[1-9]' "$scratch/refine-1/metrics.jsonl" || fail "latents of TorchScript do not move"

# A run goes on by the file it began with, and by no other.
hat other 2 --mode refine "${full[@]}" --stop-at 2
cp "$scratch/full.pt" "$scratch/kept.pt"
cp "$scratch/coupled.pt" "$scratch/full.pt"
hat other 2 --resume
[[ $? = 3 ]] || fail "goes on with another generator: $(tail -n 1 "$scratch/other.err")"
cp "$scratch/kept.pt" "$scratch/full.pt"

# A hat's own generator, whose images are in [-2, 2], refined: its factor is kept.
hat synthesis 2 --generator.network sngan32 --generator.width 4 --generator.latent 8 --bank.size 64 --generator.learning-rate 0.05 ||
  fail "synthesis: $(tail -n 1 "$scratch/synthesis.err")"
in_three again --mode refine --source.generator "$scratch/synthesis" --latent.eta 0.01
sampled again-k0.h5 1 again-1 --langevin.steps 0
sampled synthesis-k0.h5 1 synthesis --langevin.steps 0
"$LANGRUN_PYTHON" - "$scratch" <<'PY' || fail "a refined hat's generator makes other images"
import sys, h5py
scratch = sys.argv[1] + "/"
with h5py.File(scratch + "again-1/checkpoint/00000004/weights.h5") as file:
    assert float(file["source"].attrs["factor"]) == 2, dict(file["source"].attrs)
again, own = (h5py.File(scratch + name)["images"][()].astype(int) for name in ("again-k0.h5", "synthesis-k0.h5"))
assert abs(again - own).max() <= 1, abs(again - own).max()
PY

refuse() { # refuse CODE WORD OPTIONS...
  local code=$1 word=$2
  shift 2
  hat refused 2 "$@"
  [[ $? = "$code" ]] || fail "not exit $code: $* ($(cat "$scratch/refused.err"))"
  [[ $(error_lines "$scratch/refused.err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/refused.err"))"
  grep -q "^langrun: error: .*$word" "$scratch/refused.err" || fail "no word of '$word': $(cat "$scratch/refused.err")"
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $*"
}
of() { printf '%s\n' --source.generator "$scratch/$1.pt" --source.latent "${2:-8}"; }
for mode in refine retrofit ddls; do
  # shellcheck disable=SC2046  # words
  refuse 3 'detached.pt gives no gradient' --mode "$mode" --langevin.temperature 1 $(of detached)
done
# shellcheck disable=SC2046
{
  refuse 3 'couples the images' --mode conditional $(of coupled)
  refuse 3 'does not take latents' --mode refine $(of full 9)
  refuse 3 'three numbers are wanted' --mode refine $(of loud)
  refuse 3 'makes images .*16, 16' --mode refine $(of small)
  refuse 3 'in the range 0:1' --mode refine $(of full) --source.range 0:1
  refuse 3 'look like 0:1' --mode refine $(of half)
}
refuse 2 'latent length' --mode refine --source.generator "$scratch/full.pt"
# Without its gradient it will do where latents stay.
# shellcheck disable=SC2046
hat still 2 --mode conditional $(of detached) || fail "conditional without a gradient: $(tail -n 1 "$scratch/still.err")"
echo "TorchScript generators agree"

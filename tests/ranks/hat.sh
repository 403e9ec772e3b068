#!/bin/bash
# hat in every mode, and autoencoder: the same bits on 1, 2 and 4 ranks, and over a stop and a resume on another number of
# them, with the generator's run gone; samples with and without the residual; what is refused.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 128
train short 2 --steps 2 || fail "shortrun: $(tail -n 1 "$scratch/short.err")"

# hat RUN RANKS OPTIONS...
hat() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" hat --data "$data" --run "$run" --energy.network light --energy.width 4 --batch 16 --langevin.steps 3 \
    --steps 4 --seed 5 "$@" >"$run.out" 2>"$run.err"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }
differ() { "$program" run diff "$scratch/$1" "$scratch/$2" >/dev/null 2>&1 && fail "$1 and $2 are the same run"; }

# in_three NAME GONE OPTIONS...: on 1, 2 and 4 ranks, then stopped on 4 and taken up on 2 with the folder GONE out of the way.
in_three() {
  local name=$1 gone=$2 n
  shift 2
  for n in 1 2 4; do hat "$name-$n" "$n" "$@" || fail "$name on $n: $(tail -n 1 "$scratch/$name-$n.err")"; done
  same "$name-1" "$name-2"
  same "$name-1" "$name-4"
  cmp "$scratch/$name-1/samples/00000004.png" "$scratch/$name-4/samples/00000004.png" || fail "$name: pictures differ"
  hat "$name-cut" 4 --stop-at 2 "$@"
  [[ $? = 75 ]] || fail "$name: --stop-at does not exit 75: $(tail -n 1 "$scratch/$name-cut.err")"
  [[ -z $gone ]] || mv "$scratch/$gone" "$scratch/away"
  hat "$name-cut" 2 --resume || fail "$name: resume: $(tail -n 1 "$scratch/$name-cut.err")"
  [[ -z $gone ]] || mv "$scratch/away" "$scratch/$gone"
  same "$name-1" "$name-cut"
}

generator=(--generator.network sngan32 --generator.width 4 --generator.latent 8)
bank=(--bank.size 60)
source=(--source.generator "$scratch/short")
from=("${source[@]}" --latent.eta 0.01)
in_three synthesis '' "${generator[@]}" "${bank[@]}"
in_three current '' "${generator[@]}" --pairs current
in_three latents '' "${generator[@]}" "${bank[@]}" --residual off
hat sphere 2 "${generator[@]}" "${bank[@]}" --latent.law sphere || fail "sphere: $(tail -n 1 "$scratch/sphere.err")"
differ synthesis-1 current-1
in_three refine short --mode refine "${from[@]}"
in_three conditional short --mode conditional "${source[@]}"
in_three ddls short --mode ddls "${from[@]}" --langevin.temperature 1
in_three refine-latents short --mode refine --residual off "${from[@]}"
grep -q '"residual_size": [0-9.e-]*[1-9]' "$scratch/refine-1/metrics.jsonl" || fail "no size of the residual is recorded"
grep -q '"latent_gradient_magnitude": [0-9.e-]*[1-9]' "$scratch/refine-1/metrics.jsonl" || fail "latents do not move"
grep -q '"residual_size"' "$scratch/ddls-1/metrics.jsonl" && fail "ddls records a residual"
# A discriminator has its own loss, and no difference to be watched; its chains make no step before which they had an energy.
grep -q '"energy_difference"' "$scratch/ddls-1/metrics.jsonl" && fail "ddls records an energy difference"
[[ $(grep -c '"loss": 1\.[0-9]*, .*"energy_fresh": null' "$scratch/ddls-1/metrics.jsonl") = 4 ]] ||
  fail "not four losses of ddls near 1.386: $(head -n 1 "$scratch/ddls-1/metrics.jsonl")"
grep -q '| loss [0-9]' "$scratch/ddls-1.out" || fail "no loss in the progress of ddls: $(tail -n 2 "$scratch/ddls-1.out")"
for run in refine latents refine-latents conditional; do
  grep -q '"energy_fresh": -*[0-9.e-]*[1-9]' "$scratch/$run-1/metrics.jsonl" || fail "$run: no energy before the first step"
done

# Rates that fall, each at a step of its own; and one of 0, which no drop raises: the discriminator stays the one it was.
rates() { grep -o "\"$2\": [0-9.e-]*" "$scratch/$1/metrics.jsonl" | cut -d ' ' -f 2 | tr '\n' ' '; }
hat drops 2 "${generator[@]}" "${bank[@]}" --energy.drops 2:1e-5 --generator.drops 3:2e-5 || fail "drops: $(tail -n 1 "$scratch/drops.err")"
[[ $(rates drops learning_rate) = '0.0001 0.0001 1e-05 1e-05 ' ]] || fail "rates of the energy: $(rates drops learning_rate)"
[[ $(rates drops generator_learning_rate) = '0.0001 0.0001 0.0001 2e-05 ' ]] ||
  fail "rates of the generator: $(rates drops generator_learning_rate)"
hat frozen 2 --mode ddls "${from[@]}" --langevin.temperature 1 --energy.start "$scratch/ddls-1" --energy.learning-rate 0 --energy.drops 1:1e-3 ||
  fail "a discriminator that is there: $(tail -n 1 "$scratch/frozen.err")"
[[ $(rates frozen learning_rate) = '0.0 0.0 0.0 0.0 ' ]] || fail "rates of what is frozen: $(rates frozen learning_rate)"

autoencode() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" autoencoder --data "$data" --run "$run" --encoder.width 4 --generator.width 4 --batch 16 --steps 4 --seed 3 \
    "$@" >"$run.out" 2>"$run.err"
}
for n in 1 2 4; do autoencode "auto-$n" "$n" || fail "autoencoder on $n: $(tail -n 1 "$scratch/auto-$n.err")"; done
same auto-1 auto-2
same auto-1 auto-4
autoencode auto-cut 4 --stop-at 2
[[ $? = 75 ]] || fail "autoencoder: --stop-at does not exit 75: $(tail -n 1 "$scratch/auto-cut.err")"
autoencode auto-cut 1 --resume || fail "autoencoder: resume: $(tail -n 1 "$scratch/auto-cut.err")"
same auto-1 auto-cut
autoencode auto-drops 2 --autoencoder.drops 2:1e-5 || fail "autoencoder with drops: $(tail -n 1 "$scratch/auto-drops.err")"
[[ $(rates auto-drops learning_rate) = '0.0001 0.0001 1e-05 1e-05 ' ]] || fail "rates of the autoencoder: $(rates auto-drops learning_rate)"
in_three retrofit auto-1 --mode retrofit --source.generator "$scratch/auto-1" --latent.eta 0.01

# Samples: of every mode, on any number of ranks; parts of the sum; from one latent to another.
sampled() { # sampled OUT RANKS RUN OPTIONS...
  local out=$scratch/$1 n=$2 run=$3
  shift 3
  ranks "$n" "$program" sample --energy "$scratch/$run" --count 6 --call 4 --out "$out" "$@" >"$scratch/out" 2>"$scratch/err" ||
    fail "samples of $run: $(cat "$scratch/err")"
}
for mode in synthesis refine retrofit conditional ddls latents; do
  sampled "$mode-s1.h5" 1 "$mode-1"
  sampled "$mode-s2.h5" 2 "$mode-4"
  cmp "$scratch/$mode-s1.h5" "$scratch/$mode-s2.h5" || fail "samples of $mode differ between rank counts"
done
sampled generated.h5 1 refine-1 --view generated
sampled residual.h5 1 refine-1 --view residual
cmp -s "$scratch/generated.h5" "$scratch/refine-s1.h5" && fail "--view generated shows the sum"
cmp -s "$scratch/residual.h5" "$scratch/refine-s1.h5" && fail "--view residual shows the sum"
sampled initial.h5 1 synthesis-1 --weights initial --langevin.steps 0
for mode in synthesis retrofit; do
  sampled "$mode-k0.h5" 1 "$mode-1" --langevin.steps 0
  sampled "$mode-k0-generated.h5" 1 "$mode-1" --langevin.steps 0 --view generated
done
sampled arc.h5 1 refine-1 --interpolation 3
sampled arc-k0.h5 1 refine-1 --interpolation 3 --langevin.steps 0
sampled refine-k0.h5 1 refine-1 --langevin.steps 0

# A score draws the same samples first, on any number of ranks.
features=$source_root/share/demo/classifier.h5
for n in 1 4; do
  ranks "$n" "$program" score "$scratch/synthesis-$n" "$data" --features "$features" --count 80 --json "$scratch/score-$n.json" \
    >"$scratch/out" 2>"$scratch/err" || fail "score of synthesis-$n: $(cat "$scratch/err")"
  grep -q '"distance": [0-9.e]*[1-9]' "$scratch/score-$n.json" || fail "no distance: $(cat "$scratch/score-$n.json")"
done
[[ $(grep '"distance"' "$scratch/score-1.json") = $(grep '"distance"' "$scratch/score-4.json") ]] || fail "scores differ between rank counts"
"$program" score "$scratch/synthesis-1" "$data" --features "$features" --count 80 --langevin.steps 0 --json "$scratch/score-k0.json" \
  >"$scratch/out" 2>"$scratch/err" || fail "score of the generator: $(cat "$scratch/err")"
[[ $(grep '"distance"' "$scratch/score-1.json") != $(grep '"distance"' "$scratch/score-k0.json") ]] || fail "steps change no score"

# A folder of listed steps, stopped and taken up without the generator: the same table, with the residual's size.
list=(--energy "$scratch/refine-1" --count 6 --call 4 --steps-list 0,4,25)
"$program" sample --run "$scratch/whole" "${list[@]}" >"$scratch/out" 2>"$scratch/err" || fail "sample --run: $(cat "$scratch/err")"
"$program" sample --run "$scratch/parts" "${list[@]}" --stop-at 10 >"$scratch/out" 2>"$scratch/err"
[[ $? = 75 ]] || fail "sample --stop-at does not exit 75: $(cat "$scratch/err")"
mv "$scratch/refine-1" "$scratch/away"
ranks 2 "$program" sample --run "$scratch/parts" --resume >"$scratch/out" 2>"$scratch/err" || fail "sample --resume: $(cat "$scratch/err")"
mv "$scratch/away" "$scratch/refine-1"
cmp "$scratch/whole/chains.h5" "$scratch/parts/chains.h5" || fail "a sampling that was taken up has other chains"
cmp "$scratch/whole/step-000000025.h5" "$scratch/parts/step-000000025.h5" || fail "a sampling that was taken up has other images"

if [[ -n ${LANGRUN_PYTHON:-} ]]; then
  "$LANGRUN_PYTHON" - "$scratch" <<'PY' || fail "files of hat runs do not hold what they should"
import sys, h5py, numpy

scratch = sys.argv[1] + "/"


def images(name):
    with h5py.File(scratch + name) as file:
        return file["images"][()].astype(int)


# Before any step a sample is the generator's image, in the modes whose residuals begin with noise too.
for mode in ("synthesis", "retrofit"):
    assert (images(mode + "-k0.h5") == images(mode + "-k0-generated.h5")).all(), mode
    assert (images(mode + "-k0.h5") != images(mode + "-s1.h5")).any(), mode
# An arc goes from one latent to the next: of rows of three the ends are the chains that plain samples begin with.
arc, plain = images("arc-k0.h5"), images("refine-k0.h5")
assert (arc[[0, 2, 3, 5]] == plain[[0, 1, 2, 3]]).all(), "the ends of an arc are not its latents"
assert (arc[1] != arc[0]).any() and (arc[1] != arc[2]).any(), "the middle of an arc is an end"
middle = numpy.abs(arc[0] - arc[2]).mean()
assert numpy.abs(arc[1] - arc[0]).mean() < middle and numpy.abs(arc[1] - arc[2]).mean() < middle, "no way between the ends"

with h5py.File(scratch + "whole/chains.h5") as file:
    steps, residual = file["steps"][()], file["residual"][()]
    assert residual.shape == (6, 3) and residual.shape == file["energy"].shape, residual.shape
    assert (residual[:, 0] == 0).all(), "a refinement does not begin at Y = 0"
    # Of the noise alone: eta sqrt(k), with eta 1e-4.
    for column, k in enumerate(steps[1:], 1):
        assert (residual[:, column] > 0.5e-4 * k ** 0.5).all(), residual[:, column]

# Batch norm in inference mode: scale and shift are learnt, mean and variance stay 0 and 1.
for run in ("synthesis-1", "auto-1"):
    with h5py.File(f"{scratch}{run}/checkpoint/00000004/weights.h5") as file:
        for part in [name for name in file if name.startswith("generator")]:
            assert file[part].attrs["batch_norm"] in ("off", b"off"), dict(file[part].attrs)
            found = {}
            file[part].visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
            means = [v for k, v in found.items() if k.endswith("running_mean")]
            variances = [v for k, v in found.items() if k.endswith("running_var")]
            assert means and len(means) == len(variances), list(found)
            assert all((m == 0).all() for m in means) and all((v == 1).all() for v in variances), run
            if part == "generator":
                norms = [k[:-len("running_mean")] + "weight" for k in found if k.endswith("running_mean")]
                assert any((found[k] != 1).any() for k in norms), "no scale is learnt"


def weights(run, part):
    with h5py.File(f"{scratch}{run}/checkpoint/00000004/weights.h5") as file:
        found = {}
        file[part].visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        return found


def same(one, other):
    return all((one[name] == other[name]).all() for name in one)


# A lower rate leaves other weights.
for run, without, parts in (("drops", "synthesis-2", ("energy", "generator")), ("auto-drops", "auto-2", ("encoder", "generator"))):
    for part in parts:
        assert not same(weights(run, part), weights(without, part)), (run, part)
start = weights("ddls-1", "energy_average")
assert same(start, weights("frozen", "energy")) and same(start, weights("frozen", "energy_average")), "what is frozen learns"
assert not same(weights("ddls-1", "energy"), start)


# The start table's weights: the energy, its average and the sampler's copy, and the frozen generator.
def table(run, name):
    line = next(line for line in open(f"{scratch}{run}.out") if line.strip().startswith(name))
    number, unit = line[line.index(name) + len(name):].split()[:2]
    return float(number) * 1024 ** ["bytes", "KiB", "MiB"].index(unit)


def size(run, part):
    return sum(value.nbytes for value in weights(run, part).values())


for run in ("refine-1", "ddls-1", "conditional-1"):
    held = 3 * size(run, "energy") + size(run, "source")
    assert abs(table(run, "weights and averages, a rank") / held - 1) < 0.01, (run, held)
lane = 16 // 8 * 3 * 32 * 32 * 4
for run, images in (("refine-1", 8 * 3 + 3), ("conditional-1", 8 * 3), ("synthesis-1", 8 * 4)):
    assert abs(table(run, "images of lanes, a rank") / (images * lane) - 1) < 0.01, run

# Every latent of the bank is on the sphere, of those that it began with too.
with h5py.File(scratch + "sphere/checkpoint/00000004/bank-0.h5") as file:
    norms = numpy.linalg.norm(file["bank/latents"][()], axis=1)
    assert numpy.allclose(norms, 8 ** 0.5, rtol=1e-5), norms
PY
fi

refuse() { # refuse CODE WORD OPTIONS...
  local code=$1 word=$2
  shift 2
  hat refused 2 "$@"
  [[ $? = "$code" ]] || fail "not exit $code: $* ($(cat "$scratch/refused.err"))"
  [[ $(error_lines "$scratch/refused.err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/refused.err"))"
  grep -q "^langrun: error: .*$word" "$scratch/refused.err" || fail "no word of '$word': $(cat "$scratch/refused.err")"
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $*"
}
refuse 2 'source.generator is missing' --mode refine
refuse 2 'frozen one' "${from[@]}"
refuse 2 'residual off' --mode ddls --residual off "${from[@]}"
refuse 2 'langevin.temperature' --mode ddls "${from[@]}"
refuse 2 'bank.size with --mode refine' --mode refine "${from[@]}" --bank.size 60
refuse 2 'latent.eta with --mode synthesis' "${generator[@]}" --latent.eta 0.1
refuse 2 'mode' --mode sideways
refuse 2 'makes 64x64' --generator.network sngan64 --generator.width 16
refuse 3 'does not exist' --mode refine --source.generator "$scratch/nowhere"
refuse 3 'bank-0.h5' --mode refine --source.generator "$scratch/synthesis-1/checkpoint/00000004/bank-0.h5"
refuse 3 '64' --mode conditional "${source[@]}" --energy.network sngan64 --energy.width 16
refuse 2 'source.latent' --mode refine "${from[@]}" --source.latent 9
expect_code 2 "$program" sample --energy "$scratch/short" --view residual --out "$scratch/x.h5"
expect_code 2 "$program" sample --energy "$scratch/refine-1" --interpolation 1 --out "$scratch/x.h5"
expect_code 2 "$program" sample --energy "$scratch/refine-1" --source noise --interpolation 4 --out "$scratch/x.h5"
echo "hat modes agree"

#!/bin/bash
# The defense that comes with the program, at a few steps: a preset that gives way to what is asked for, sweeps of it, and
# stops of a sweep.
. "$(dirname "$0")/../common.sh"
need python3
tiny=(--preset demo --images 0:6 --langevin.steps 3 --attack.steps 1 --attack.replicates 2 --defense.replicates 2)
demo() { # demo RUN OPTIONS...
  local run=$scratch/$1
  shift
  ranks 2 "$program" defend --run "$run" "${tiny[@]}" "$@" >"$run.out" 2>"$run.err"
}
must() { demo "$@" || fail "$1: $(grep -m 1 error "$scratch/$1.err")"; }
has() { grep -qxF -- "$2" "$scratch/$1/run.cfg" || fail "$1 has no '$2': $(cat "$scratch/$1/run.cfg")"; }

must plain
has plain 'precision = fp32'
has plain 'data = @demo/images.h5'
python3 -c 'import json, sys
result = json.load(open(sys.argv[1]))
assert result["images"] == 6 and len(result["classes"]) == 10 and "verified_any_step" in result["protocols"], result
assert 0.3 < result["natural_accuracy"] <= 1, result' "$scratch/plain/result.json" || fail "the demo's result"
demo plain --resume || fail "the same call does not go on: $(cat "$scratch/plain.err")"

# What a preset says gives way to what a kind of attack fixes, and the same call goes on.
own=(--preset demo --langevin.steps 3 --images 0:4)
for resume in "" --resume; do
  # shellcheck disable=SC2086  # no word, or one
  ranks 2 "$program" defend --run "$scratch/bpda" "${own[@]}" --attack.kind bpda --defense.replicates 2 --attack.steps 1 $resume \
    >"$scratch/out" 2>"$scratch/err" || fail "bpda of the preset: $(cat "$scratch/err")"
  # shellcheck disable=SC2086
  "$program" defend --run "$scratch/bare" "${own[@]}" --energy none --attack.kind pgd $resume >"$scratch/out" 2>"$scratch/err" ||
    fail "the preset's classifier alone: $(cat "$scratch/err")"
done
has bpda 'replicates = 1'
printf '3\n5\n' >"$scratch/list"
"$program" defend --run "$scratch/listed" --preset demo --energy none --attack.kind none --images-file "$scratch/list" >"$scratch/out" 2>"$scratch/err" ||
  fail "a list beside the preset's images: $(cat "$scratch/err")"

# Sweeps: every point is looked at before the first begins.
refuse() { # refuse WORD SWEEP
  demo refused --sweep "$2"
  local code=$?
  [[ $code = 2 ]] || fail "exit $code: $2 ($(cat "$scratch/refused.err"))"
  grep -q "^langrun: error: .*$1" "$scratch/refused.err" || fail "no word of '$1': $(cat "$scratch/refused.err")"
  [[ ! -e $scratch/refused ]] || fail "a refused sweep left its folder: $2"
}
refuse 'attack.eps=0: --attack.eps' "attack.eps=8,0"
refuse 'attack.kind=pgd' "attack.kind=bpda-eot,pgd"
refuse 'KEY=VALUE' "attack.norm:attack.eps=linf:8,l2"
refuse 'has the same options' "attack.eps=2,8,2.0"
refuse 'attack.norm=l2: --attack.norm l2 was given without --attack.eps' "attack.norm=linf,l2"
refuse 'twice' "attack.eps=2,8 attack.eps:attack.alpha=2:1,8:2"

demo refused --sweep "energy=@demo/energy.h5,$scratch/none.h5"
[[ $? = 3 && ! -e $scratch/refused ]] || fail "an energy that is not there: $(cat "$scratch/refused.err")"
grep -q "^langrun: error: --sweep, point energy=$scratch/none.h5: .*does not exist" "$scratch/refused.err" || fail "not of its point: $(cat "$scratch/refused.err")"
demo refused --sweep "classifier=@demo/classifier.h5,$scratch/none.h5:resnet20"
[[ $? = 3 && ! -e $scratch/refused ]] || fail "a classifier that is not there: $(cat "$scratch/refused.err")"
grep -q "^langrun: error: --sweep, point classifier=$scratch/none.h5:resnet20: " "$scratch/refused.err" || fail "not of its point: $(cat "$scratch/refused.err")"

# Images are counted over all points: a stop within the second, and at the end of the third.
swept=(--attack.alpha 0 --sweep "attack.norm:attack.eps=linf:2,linf:8,l2:0.25,l2:0.5")
demo sweep "${swept[@]}" --stop-at 8 --engine.images 1
[[ $? = 75 ]] || fail "a sweep does not stop at 8 images: $(cat "$scratch/sweep.err")"
[[ -e $scratch/sweep/points/000/result.json && -d $scratch/sweep/points/001 && ! -e $scratch/sweep/points/001/result.json ]] ||
  fail "8 images are one point of 6 and two of the next: $(ls "$scratch"/sweep/points/*)"
# It goes on with the options that it began with, whether they are given again or not.
expect_code 2 "$program" defend --run "$scratch/sweep" --resume --attack.steps 2
grep -q "attack.steps 2 was given, .*sweep.cfg has '1'" "$scratch/err" || fail "another option: $(cat "$scratch/err")"
expect_code 2 "$program" defend --run "$scratch/sweep" --resume --sweep "attack.eps=2,8"
grep -q "sweep.*holds that of" "$scratch/err" || fail "another sweep: $(cat "$scratch/err")"
# A folder of before sweep.cfg was kept, and one whose start was killed once it was.
mkdir "$scratch/older" "$scratch/begun"
cp -r "$scratch/sweep/points" "$scratch/sweep/sweep.txt" "$scratch/older"
demo older "${swept[@]}" --stop-at 7 --resume
[[ $? = 75 && ! -e $scratch/older/sweep.cfg ]] || fail "an older sweep does not go on: $(cat "$scratch/older.err")"
cp "$scratch/sweep/sweep.cfg" "$scratch/begun"
"$program" defend --run "$scratch/begun" --resume --stop-at 1 >"$scratch/out" 2>"$scratch/err"
[[ $? = 75 && -e $scratch/begun/sweep.txt && -e $scratch/begun/points/000/run.cfg ]] || fail "a mark without points: $(cat "$scratch/err")"
"$program" defend --run "$scratch/sweep" --stop-at 18 --resume >"$scratch/sweep.out" 2>"$scratch/sweep.err"
[[ $? = 75 && -e $scratch/sweep/points/002/result.json && ! -e $scratch/sweep/points/003 ]] ||
  fail "a sweep does not stop at 18 images: $(ls "$scratch"/sweep/points/*)"
must sweep "${swept[@]}" --resume
python3 -c 'import json, sys
sweep = json.load(open(sys.argv[1]))
assert sweep["keys"] == ["attack.norm", "attack.eps"] and sweep["words"] == [["attack.norm", "attack.eps"]], sweep["keys"]
assert [tuple(point["values"].values()) for point in sweep["points"]] == [("linf", "2"), ("linf", "8"), ("l2", "0.25"), ("l2", "0.5")]' \
  "$scratch/sweep/sweep.json" || fail "points of a sweep"
expect_code 3 "$program" run diff "$scratch/sweep" "$scratch/sweep"
grep -A1 'the folder of a sweep' "$scratch/err" | grep -q 'points/000' || fail "run diff of a sweep: $(cat "$scratch/err")"
grep -qx 'alpha = 0.0625' "$scratch/sweep/points/002/run.cfg" || fail "the step is not a quarter of eps: $(grep alpha "$scratch/sweep/points/002/run.cfg")"
if "${LANGRUN_PYTHON:-none}" -c 'import h5py, matplotlib, PIL' 2>/dev/null; then
  LANGRUN_REPORT=on must last --protocols final_step --attack.steps 2
  [[ -s $scratch/last/report.html ]] || fail "an evaluation leaves no page"
  for page in sweep last bare; do
    "$program" run report "$scratch/$page" >"$scratch/out" 2>"$scratch/err" || fail "no page of $page: $(cat "$scratch/err")"
    "$LANGRUN_PYTHON" "$source_root/tests/ranks/evaluation_page.py" "$scratch/$page" || fail "page of $page"
  done
else
  echo "pages not checked: LANGRUN_PYTHON names no interpreter with h5py, matplotlib and Pillow"
fi
echo "the shipped defense, and sweeps of it"

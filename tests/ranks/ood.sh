#!/bin/bash
# ood: the same figures on any number of ranks, against numpy on the same energies; sets of other sizes; what it refuses.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 70
train run 2 --steps 2 || fail "shortrun: $(tail -n 1 "$scratch/run.err")"
synth "$scratch/large.h5" 30 48
synth "$scratch/other.h5" 45

ood() { # ood DIR RANKS OPTIONS...
  local dir=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" ood --energy "$scratch/run" --data "$data" --run "$dir" --call 16 "$@" >"$scratch/out" 2>"$scratch/err"
}
for n in 1 2 4; do
  ood "d$n" "$n" --against "$scratch/large.h5,$scratch/other.h5" --resize || fail "ood on $n: $(cat "$scratch/err")"
done
for n in 2 4; do
  cmp "$scratch/d1/ood.h5" "$scratch/d$n/ood.h5" || fail "energies differ between rank counts"
  cmp "$scratch/d1/result.json" "$scratch/d$n/result.json" || fail "results differ between rank counts"
done
[[ $(grep -c '"auroc"' "$scratch/d1/result.json") = 5 ]] || fail "not five sets: $(cat "$scratch/d1/result.json")"
[[ -n ${LANGRUN_PYTHON:-} ]] || skip "no LANGRUN_PYTHON: figures are not compared with numpy's"
"$LANGRUN_PYTHON" - "$scratch/d1" <<'PY' || fail "AUROC is not numpy's"
import json, sys, h5py, numpy
result = json.load(open(sys.argv[1] + "/result.json"))
with h5py.File(sys.argv[1] + "/ood.h5") as file:
    inside = file["in"][()].astype(float)
    for i, entry in enumerate(result["sets"]):
        out = file[f"out-{i}"][()].astype(float)[:, None]
        share = ((out > inside) + 0.5 * (out == inside)).mean()
        assert abs(share - entry["auroc"]) < 1e-12, (entry, share)
        assert entry["low"] <= entry["auroc"] <= entry["high"], entry
        assert len(out) == entry["images"], entry
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError:
        print("SKIPPED in part: no scikit-learn to compare with; numpy's pairs and the unit test's constants stand")
        sys.exit(0)
    for i, entry in enumerate(result["sets"]):
        out = file[f"out-{i}"][()]
        score = roc_auc_score([0] * len(inside) + [1] * len(out), numpy.concatenate([inside, out]))
        assert abs(score - entry["auroc"]) < 1e-12, (entry, score)
PY
[[ -s $scratch/d1/ood.png ]] || fail "no histograms"
ood few 2 --count 20 --synthetic none --against "$scratch/other.h5" || fail "--count: $(cat "$scratch/err")"
grep -q '"images": 20' "$scratch/few/result.json" || fail "--count 20 takes others: $(cat "$scratch/few/result.json")"
# Some of all, in the order in which all are, and not the first ones.
"$LANGRUN_PYTHON" - "$scratch/d1/ood.h5" "$scratch/few/ood.h5" <<'PY' || fail "images of --count are not drawn in their order"
import sys, h5py
with h5py.File(sys.argv[1]) as every, h5py.File(sys.argv[2]) as few:
    energies, drawn = list(every["in"][()]), few["in"][()]
places = [energies.index(value) for value in drawn]
assert len(places) == 20 and places == sorted(set(places)) and places != list(range(20)), places
PY

refuse() { # refuse CODE WORD OPTIONS...
  local code=$1 word=$2
  shift 2
  ood refused 2 "$@"
  [[ $? = "$code" ]] || fail "not exit $code: $* ($(cat "$scratch/err"))"
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/err"))"
  grep -q "^langrun: error: .*$word" "$scratch/err" || fail "no word of '$word': $(cat "$scratch/err")"
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $*"
}
refuse 3 '48' --against "$scratch/large.h5"
grep -q '^hint: --resize' "$scratch/err" || fail "another size: the hint is not --resize: $(cat "$scratch/err")"
refuse 2 'nosuch' --synthetic nosuch
refuse 2 'neither' --synthetic none
refuse 3 'count asks for' --count 60 --against "$scratch/other.h5"
refuse 3 'nowhere' --against "$scratch/nowhere"
refuse 2 'named twice' --against "$scratch/other.h5,$scratch/other.h5"
ood d1 1
[[ $? = 2 ]] || fail "a result is written over: $(cat "$scratch/err")"
echo "ood figures agree"

#!/bin/bash
# classify: the same bits on 1, 2 and 4 ranks, on images and on attacks; over a stop and a resume on another number of ranks;
# it learns; a run is a classifier of defend; what it refuses.
. "$(dirname "$0")/../common.sh"
data=$scratch/data.h5
synth "$data" 256

# classify RUN RANKS OPTIONS...
classify() {
  local run=$scratch/$1 n=$2
  shift 2
  ranks "$n" "$program" classify --data "$data" --run "$run" --classifier.width 4 --batch 16 --lanes 4 --seed 5 "$@" \
    >"$run.out" 2>"$run.err"
}
same() { "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"; }

plain=(--steps 8 --validation.data "$data" --validation.every 3 --classifier.average 0.9)
attacked=(--steps 4 --adversarial.steps 2)
for n in 1 2 4; do
  classify "plain-$n" "$n" "${plain[@]}" || fail "on images: $(tail -n 1 "$scratch/plain-$n.err")"
  classify "attacked-$n" "$n" "${attacked[@]}" || fail "on attacks: $(tail -n 1 "$scratch/attacked-$n.err")"
done
for n in 2 4; do
  same plain-1 "plain-$n"
  same attacked-1 "attacked-$n"
done
cmp "$scratch/attacked-1/samples/00000004.png" "$scratch/attacked-4/samples/00000004.png" || fail "pictures differ"
[[ $(grep -c validation_accuracy "$scratch/plain-1/metrics.jsonl") = 3 ]] || fail "validation at other steps than 3, 6, 8"
"$program" run diff "$scratch/plain-1" "$scratch/attacked-1" >/dev/null && fail "attacks make no difference"
"$program" run status "$scratch/plain-1" | grep -q 'loss' || fail "run status says nothing of the loss"

classify cut 4 "${plain[@]}" --stop-at 5
[[ $? = 75 ]] || fail "--stop-at does not exit 75: $(tail -n 1 "$scratch/cut.err")"
LANGRUN_REPORT=on classify cut 2 --resume || fail "resume: $(tail -n 1 "$scratch/cut.err")"
[[ -s $scratch/cut/report.html || -z ${LANGRUN_PYTHON:-} ]] || fail "no report"
[[ ! -e $scratch/plain-1/report.html ]] || fail "a report that was not wanted"
same plain-1 cut

# It learns: what it was trained on it knows better than one in ten.
classify learns 2 --steps 100 --batch 64 --classifier.nesterov --validation.data "$data" --augment.crop 0 || fail "learns: $(tail -n 1 "$scratch/learns.err")"
last=$(grep -o '"validation_accuracy": [0-9.]*' "$scratch/learns/metrics.jsonl" | tail -n 1 | cut -d ' ' -f 2)
awk -v a="$last" 'BEGIN { exit !(a > 0.2) }' || fail "accuracy $last after 100 steps"

ranks 2 "$program" defend --data "$data" --classifier "$scratch/learns" --energy none --attack.kind fgsm --images 0:20 \
  --run "$scratch/eval" >"$scratch/out" 2>"$scratch/err" || fail "defend of a run: $(tail -n 1 "$scratch/err")"

refuse() { # refuse CODE WORD OPTIONS...
  local code=$1 word=$2
  shift 2
  classify refused 2 --steps 2 "$@"
  [[ $? = "$code" ]] || fail "not exit $code: $* ($(cat "$scratch/refused.err"))"
  [[ $(error_lines "$scratch/refused.err") = 1 ]] || fail "not one error line: $* ($(cat "$scratch/refused.err"))"
  grep -q "^langrun: error: .*$word" "$scratch/refused.err" || fail "no word of '$word': $(cat "$scratch/refused.err")"
  [[ ! -e $scratch/refused ]] || fail "a refused call left its folder: $*"
}
"$program" data synth "$scratch/large.h5" --count 16 --size 64 --seed 7 >/dev/null 2>&1 || fail "data synth"
refuse 2 'fp32' --precision bf16
refuse 2 'width 7' --classifier.width 7
refuse 2 'resnet21' --classifier.network resnet21
refuse 3 'no file' --validation.data "$scratch/none.h5"
refuse 3 '64x64' --validation.data "$scratch/large.h5"

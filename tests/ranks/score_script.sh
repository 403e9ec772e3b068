#!/bin/bash
# A score with everything it can tell, in the features of a TorchScript net: the same bits on 1, 2 and 4 ranks; bad input
# is one error line, and nothing is written over.
. "$(dirname "$0")/../common.sh"
python=${LANGRUN_PYTHON:-}
[[ -n $python ]] || skip "LANGRUN_PYTHON is not set"
"$python" -c 'import torch' 2>/dev/null || skip "the interpreter has no torch"
# In a file, since torch compiles from its text.
cat >"$scratch/nets.py" <<'END'
import sys, torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.f = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, 2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))
    def forward(self, x):
        return self.f(x)
class Large(torch.nn.Module):
    def forward(self, x):
        if x.size(2) != 299:
            raise ValueError('299 by 299 only')
        return x.flatten(1)
torch.jit.script(Net()).save(sys.argv[1] + '/net.pt')
torch.jit.script(Large()).save(sys.argv[1] + '/299.pt')
END
"$python" "$scratch/nets.py" "$scratch" 2>"$scratch/err" || fail "no TorchScript: $(tail -n 1 "$scratch/err")"
synth "$scratch/a.h5" 330
"$program" data synth "$scratch/b.h5" --count 300 --size 32 --seed 8 >"$scratch/out" 2>&1 || fail "data synth: $(tail -n 1 "$scratch/out")"
net=(--features "$scratch/net.pt" --features.range imagenet --features.size 40)

# What a result says, but for its time and the names of files that differ from call to call.
facts() { grep -vE '"(seconds|statistics)":' "$1"; }

for n in 1 2 4; do
  ranks $n "$program" score "$scratch/a.h5" "$scratch/b.h5" "${net[@]}" --block 37 --choice random --seed 5 --resamples 21 --ssim \
    --neighbours 19 --picture "$scratch/$n.png" --json "$scratch/$n.json" >"$scratch/out" 2>"$scratch/err" ||
    fail "score on $n ranks: $(tail -n 1 "$scratch/err")"
  ranks $n "$program" score "$scratch/b.h5" "${net[@]}" --block 37 --statistics "$scratch/b$n.stats.h5" >"$scratch/out" 2>"$scratch/err" ||
    fail "statistics on $n ranks: $(tail -n 1 "$scratch/err")"
  ranks $n "$program" score "$scratch/a.h5" "$scratch/b$n.stats.h5" "${net[@]}" --block 37 --resamples 8 --json "$scratch/s$n.json" \
    >"$scratch/out" 2>"$scratch/err" || fail "score of statistics on $n ranks: $(tail -n 1 "$scratch/err")"
  for one in '' s; do
    facts "$scratch/$one$n.json" >"$scratch/facts"
    diff <(facts "$scratch/${one}1.json") "$scratch/facts" || fail "$n ranks give another result"
  done
  cmp "$scratch/1.png" "$scratch/$n.png" || fail "$n ranks give another picture"
done
for word in distance interval standard_error mean_of_resamples ssim neighbours checksum input_width range block; do
  grep -q "\"$word\"" "$scratch/1.json" || fail "the result does not say $word"
done
"$python" - "$scratch/1.json" "$scratch/s1.json" <<'END' || fail "the results do not hold together"
import json, sys
one, stored = (json.load(open(f)) for f in sys.argv[1:])
assert one['interval']['low'] < one['distance'] < one['interval']['high'], one['interval']
assert len(one['neighbours']) == 19 and len(one['ssim']['values']) == one['ssim']['pairs'] == 300
assert stored['a']['count'] == 330 and stored['b']['count'] == 300 and stored['b']['statistics'].endswith('b1.stats.h5')
assert one['features']['length'] == 16 and one['features']['range'] == 'imagenet' and one['features']['input_height'] == 40
END

one_line() { [[ $(error_lines "$scratch/err") = 1 ]] || fail "expected one error line: $(cat "$scratch/err")"; }
expect_code 3 ranks 2 "$program" score "$scratch/a.h5" "$scratch/b.h5" --features "$scratch/299.pt" --features.range 0:1
one_line
grep -q '299 by 299 only' "$scratch/err" || fail "the net's own words are missing: $(cat "$scratch/err")"
expect_code 3 "$program" score "$scratch/a.h5" "$scratch/b1.stats.h5" --features "$scratch/net.pt" --features.range 0:1 --features.size 40
one_line
grep -q 'range imagenet' "$scratch/err" || fail "what differs is not named: $(cat "$scratch/err")"
expect_code 2 ranks 2 "$program" score "$scratch/a.h5" "$scratch/b.h5" "${net[@]}" --count 16
one_line
grep -q 'at least 17' "$scratch/err" || fail "how many are needed is not said: $(cat "$scratch/err")"
before=$(cksum <"$scratch/b1.stats.h5")
expect_code 2 ranks 2 "$program" score "$scratch/b.h5" "${net[@]}" --statistics "$scratch/b1.stats.h5"
one_line
expect_code 2 "$program" score "$scratch/a.h5" "$scratch/b.h5" "${net[@]}" --neighbours 2 --picture "$scratch/1.png"
expect_code 2 "$program" score "$scratch/a.h5" "$scratch/b.h5" "${net[@]}" --picture "$scratch/none.png"
expect_code 2 "$program" score "$scratch/a.h5" "${net[@]}"
expect_code 2 "$program" score "$scratch/a.h5" "$scratch/b.h5"
[[ $(cksum <"$scratch/b1.stats.h5") = "$before" ]] || fail "statistics were written over"
[[ -z $(find "$scratch" -name '*.partial') ]] || fail "something unfinished is left: $(find "$scratch" -name '*.partial')"

#!/bin/bash
# What the tree sum sends: 2 (R-1)/R times the vector a rank, in a number of collectives that does not depend on the
# ranks or the lanes; and its sums are those of MPI_Allreduce (`bench exchange` refuses to measure otherwise).
. "$(dirname "$0")/../common.sh"
need python3

for n in 1 2 4 8; do
  ranks "$n" "$program" bench exchange --megabytes 4 --repeats 1 --json "$scratch/$n.json" >"$scratch/out" 2>"$scratch/err" ||
    fail "$n ranks: $(tail -n 1 "$scratch/err")"
  python3 - "$scratch/$n.json" "$n" <<'PY' || fail "$n ranks: wrong counts"
import json, sys
settings, ranks = json.load(open(sys.argv[1]))["benchmarks"][0]["settings"], int(sys.argv[2])
for lanes in ("1 lane", "4 lanes"):
    sent, begun = int(settings[f"bytes sent, {lanes}"]), int(settings[f"collectives, {lanes}"])
    print(ranks, lanes, sent, begun)
    if sent != 4_000_000 * 2 * (ranks - 1) // ranks or begun != (2 if ranks > 1 else 0):
        sys.exit(1)
PY
done
expect_code 2 ranks 3 "$program" bench exchange --megabytes 1

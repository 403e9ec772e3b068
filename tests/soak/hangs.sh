#!/bin/bash
# A rank that is stopped in a random collective: the others name it, the collective and its last place, and the program ends
# with 5 soon after the limit.
. "$(dirname "$0")/common.sh"
soak_options 2 "$@"
data=$scratch/data.h5
synth "$data" 256
limit=3
for ((i = 1; i <= count; ++i)); do
  rm -rf "$scratch/run"
  train run 4 --steps 100000 --checkpoint.every 7 --watchdog.limit $limit & job=$!
  for _ in {1..600}; do (($(lines "$scratch/run/metrics.jsonl") >= 3)) && break; sleep 0.05; done
  # Longer than a beat, so that the last place is one of training.
  sleep "$((1 + RANDOM % 3)).$((RANDOM % 10))"
  pick_rank "--run $scratch/run "
  number=$(tr '\0' '\n' <"/proc/$victim/environ" | sed -n 's/^\(OMPI_COMM_WORLD_RANK\|PMIX_RANK\|PMI_RANK\)=//p' | head -n 1)
  kill -STOP "$victim"
  stopped=$SECONDS
  wait $job
  code=$?
  took=$((SECONDS - stopped))
  kill -KILL "$victim" 2>/dev/null
  said=$(grep '^langrun: error: ' "$scratch/run.err")
  [[ $code = 5 ]] || fail "rank $number stopped: exit $code, expected 5: $(tail -n 3 "$scratch/run.err")"
  [[ $(wc -l <<<"$said") = 1 ]] || fail "not one error line: $said"
  [[ $said = *"collective '"*"missing: rank $number on "*"last seen "*"step "* ]] || fail "rank $number is not named with its place: $said"
  # Twice the time that is promised: this machine may be busy with other things.
  ((took <= 2 * (limit + 5))) || fail "it took $took s, the limit is $limit s"
  [[ $(grep -l 'not through' "$scratch"/run/flight.*/rank-*.txt | wc -l) -ge 1 ]] || fail "no flight recorder says what was waited for"
  echo "rank $number after $took s: ${said#*error: }"
done
echo "$count hangs named"

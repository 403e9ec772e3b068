#!/bin/bash
# Resident memory over many steps, checkpoints and pictures included: it must not grow with them. COUNT is in hundreds of steps.
. "$(dirname "$0")/common.sh"
soak_options 4 "$@"
data=$scratch/data.h5
synth "$data" 256
train run 1 --steps $((100 * count)) --checkpoint.every 50 --pictures.every 100 & job=$!
while kill -0 $job 2>/dev/null; do
  pid=$(rank_processes "--run $scratch/run " | head -n 1)
  resident=$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status" 2>/dev/null)
  [[ -n $resident ]] && echo "$(lines "$scratch/run/metrics.jsonl") $resident"
  sleep 0.1
done >"$scratch/resident"
wait $job || fail "the run ended with $?: $(tail -n 1 "$scratch/run.err")"
# Of the second half: by then every buffer has been needed once. A straight line through it, kB a step.
slope=$(awk -v from=$((50 * count)) '$1 >= from {n++; x += $1; y += $2; xx += $1 * $1; xy += $1 * $2}
  END {if (n < 5) {print "none"; exit} d = n * xx - x * x; printf "%.3f\n", d == 0 ? 0 : (n * xy - x * y) / d}' "$scratch/resident")
[[ $slope = none ]] && fail "too few measurements: $(wc -l <"$scratch/resident")"
echo "resident memory: $(tail -n 1 "$scratch/resident" | cut -d' ' -f2) kB at the end, $slope kB a step over the second half of $((100 * count)) steps"
# A short run is still warming up; what it must catch is a leak of some images a step.
bound=$((count >= 15 ? 1 : 30))
awk -v slope="$slope" -v bound=$bound 'BEGIN {exit !(slope < bound)}' || fail "resident memory grows by $slope kB a step"

#!/bin/bash
# A rank that is stopped in a random collective, of a shortrun, an evaluation and a job without a run in turn: the others name it, the collective
# and its last place, and the program ends with 5 soon after the limit.
. "$(dirname "$0")/common.sh"
soak_options 3 "$@"
data=$scratch/data.h5
synth "$data" 256
demo=$source_root/share/demo
limit=3

begin() { # begin JOB: of four ranks, into $scratch/run; far longer than it is let live
  if [[ $1 = shortrun ]]; then
    train run 4 --steps 100000 --checkpoint.every 7 --watchdog.limit $limit
  elif [[ $1 = lyapunov ]]; then
    ranks 4 "$program" lyapunov --energy "$demo/energy.h5" --langevin.eta 1e-2 --langevin.temperature 5e-5 --source noise --chains 8 \
      --call 2 --steps 100000 --run "$scratch/run" --watchdog.limit $limit >"$scratch/run.out" 2>"$scratch/run.err"
  else
    ranks 4 "$program" defend --data "$demo/images.h5" --classifier "$demo/classifier.h5" --energy "$demo/energy.h5" \
      --images 0:200 --langevin.eta 1e-2 --langevin.temperature 5e-5 --langevin.steps 40 --attack.kind bpda-eot --attack.eps 2 \
      --attack.alpha 1 --attack.steps 50 --attack.replicates 2 --defense.replicates 4 --engine.call 8 --engine.images 3 \
      --run "$scratch/run" --watchdog.limit $limit >"$scratch/run.out" 2>"$scratch/run.err"
  fi
}
under_way() { # under_way JOB
  if [[ $1 = shortrun ]]; then (($(lines "$scratch/run/metrics.jsonl") >= 3)); else [[ -e $records/rank-00003.txt ]]; fi
}

for ((i = 1; i <= count; ++i)); do
  case $((i % 3)) in
    1) kind=shortrun place=step records=$scratch/run/flight.1 ;;
    2) kind=defend place=round records=$scratch/run/flight.1 ;;
    0) kind=lyapunov place=piece records=$scratch/run.flight ;;
  esac
  rm -rf "$scratch/run" "$records"
  begin "$kind" & job=$!
  for _ in {1..600}; do under_way "$kind" && break; sleep 0.05; done
  # Longer than a beat, so that the last place is one of training.
  sleep "$((1 + RANDOM % 3)).$((RANDOM % 10))"
  pick_rank "--run $scratch/run "
  [[ -n $victim ]] || fail "no rank of $kind is there: $(tail -n 3 "$scratch/run.err")"
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
  [[ $said = *"collective '"*"missing: rank $number on "*"last seen "*"$place "* ]] || fail "rank $number is not named with its place: $said"
  # The collective is one that a rank was waiting in, by its own record. That of the rank that was stopped says nothing: the
  # launcher wakes it before it ends it.
  named=$(sed -n "s/.*collective '\([^']*\)' (number \([0-9]*\)) has waited .*/\2\t\1/p" <<<"$said")
  grep -qP "^$named\t.*not through" "$records"/rank-*.txt || fail "no rank waited in number $named: $said"
  # Twice the time that is promised: this machine may be busy with other things.
  ((took <= 2 * (limit + 5))) || fail "it took $took s, the limit is $limit s"
  echo "$kind: rank $number after $took s: ${said#*error: }"
done
echo "$count hangs named"

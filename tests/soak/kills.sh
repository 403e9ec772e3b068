#!/bin/bash
# SIGKILL of a random rank at a random moment, again and again, with another number of ranks each time: in the end weights,
# banks, metrics and verdicts are those of a run that nobody touched. Of shortrun, longrun and defend, COUNT kills in all, to
# the next multiple of three. Two of three kills come once something was finished, the others at any moment of a start.
. "$(dirname "$0")/common.sh"
soak_options 6 "$@"
data=$scratch/data.h5
synth "$data" 256
demo=$source_root/share/demo
each=$(((count + 2) / 3))
images=$((12 * each + 8))
((images <= 200)) || images=200

# shellcheck disable=SC2034  # by name, below
shortrun=(shortrun --data "$data" --energy.network light --energy.width 4 --generator.network sngan32 --generator.width 4
  --generator.latent 8 --batch 16 --bank.size 60 --langevin.steps 3 --seed 11 --checkpoint.every 2)
# shellcheck disable=SC2034  # by name, below
longrun=(longrun --data "$data" --energy.network light --energy.width 4 --prior.energy "$scratch/prior" --batch 16
  --bank.size 60 --burn-in.size 60 --burn-in.rounds 4 --langevin.steps 3 --seed 11 --checkpoint.every 2)
# shellcheck disable=SC2034  # by name, below
defend=(defend --data "$demo/images.h5" --classifier "$demo/classifier.h5" --energy "$demo/energy.h5"
  --images "0:$images" --langevin.eta 1e-2 --langevin.temperature 5e-5 --langevin.steps 8 --attack.kind bpda-eot
  --attack.eps 2 --attack.alpha 1 --attack.steps 2 --attack.replicates 2 --defense.replicates 4 --engine.call 8
  --engine.images 3)

ranks 1 "$program" "${shortrun[@]}" --run "$scratch/prior" --steps 3 >"$scratch/out" 2>"$scratch/err" ||
  fail "prior: $(tail -n 1 "$scratch/err")"

# progress JOB: how much of it is done, for who waits for something to be under way.
progress() {
  if [[ $1 = defend ]]; then
    stat -L -c %s "$scratch/$1/state/images.journal" 2>/dev/null || echo 0
  else
    lines "$scratch/$1/metrics.jsonl"
  fi
}

# One start, and one of its ranks killed. 1: none of them was there to be killed.
killed() { # killed NUMBER JOB OPTIONS...
  local number=$1 job=$2 before launched victim i code
  shift 2
  before=$(progress "$job")
  ranks $((1 << (RANDOM % 3))) "$program" "$@" --run "$scratch/$job" --resume >"$scratch/$job.out" 2>"$scratch/$job.err" &
  launched=$!
  if ((number % 3 == 2)); then
    sleep "$((RANDOM % 3)).$((RANDOM % 10))"
  else
    for ((i = 0; i < 1200; ++i)); do
      (($(progress "$job") > before)) && break
      kill -0 $launched 2>/dev/null || break
      sleep 0.05
    done
    sleep "0.$((RANDOM % 50))"
  fi
  pick_rank "--run $scratch/$job "
  [[ -n $victim ]] && kill -KILL "$victim" 2>/dev/null || victim=
  if [[ -z $victim ]]; then
    # Before the ranks were there, or after them.
    if ! kill -0 $launched 2>/dev/null && wait $launched; then fail "$job was through before its kills: make it longer"; fi
    kill -TERM $launched 2>/dev/null
    wait $launched 2>/dev/null
    return 1
  fi
  wait $launched 2>/dev/null
  code=$?
  [[ $code = 137 || $code = 5 ]] || fail "$job: a start with a killed rank ended with $code: $(tail -n 2 "$scratch/$job.err")"
}

kills=0
for job in shortrun longrun defend; do
  declare -n options=$job
  endless=()
  [[ $job = defend ]] || endless=(--steps 1000000)
  for ((done_of_job = 0, starts = 0; done_of_job < each; ++starts)); do
    ((starts < 3 * each + 10)) || fail "$job: $starts starts, and $done_of_job kills hit one"
    killed $done_of_job $job "${options[@]}" "${endless[@]}" && done_of_job=$((done_of_job + 1))
  done
  length=()
  [[ $job = defend ]] || length=(--steps $(($(progress $job) + 5)))
  ranks $((1 << (RANDOM % 3))) "$program" "${options[@]}" "${length[@]}" --run "$scratch/$job" --resume >"$scratch/out" 2>"$scratch/err" ||
    fail "$job, the last start: $(tail -n 2 "$scratch/err")"
  ranks 2 "$program" "${options[@]}" "${length[@]}" --run "$scratch/$job-whole" >"$scratch/out" 2>"$scratch/err" ||
    fail "$job undisturbed: $(tail -n 1 "$scratch/err")"
  "$program" run diff "$scratch/$job-whole" "$scratch/$job" >"$scratch/diff" || fail "$job: $(tail -n 1 "$scratch/diff")"
  kills=$((kills + done_of_job))
  echo "$job: $done_of_job kills, same bits"
done
echo "$kills kills, as many restarts, same bits"

#!/bin/bash
# The shipped job templates on a real Slurm of four nodes: requeued again and again, by srun and by mpirun, over nodes; an array;
# a node that is cut off and whose rank runs on beside the job's new start. All end with the bits of undisturbed runs.
# `tests/system/slurm.sh [--requeues N]`: how often a run is requeued (2); from 3 on also what takes minutes: a time
# limit that comes true, a rank on a cut-off node that is never held up, one of two nodes lost, a job that is cancelled.
. "$(dirname "$0")/../lab/common.sh"
requeues=2
if [[ ${1:-} = --requeues ]]; then requeues=$2; fi
need sbatch slurmctld slurmd munged
lab_up slurm 4
data=$scratch/data.h5
synth "$data" 256
templates=$source_root/launch/slurm

# submit LAUNCHER TEMPLATE RUN SBATCH-WORDS -- OPTIONS...: the job's number.
submit() {
  local launcher=$1 template=$templates/$2.sbatch run=$3 words=()
  shift 3
  while [[ $1 != -- ]]; do words+=("$1"); shift; done
  shift
  LANGRUN_PROGRAM=$program LANGRUN_LAUNCHER=$launcher on hc sbatch --parsable --chdir="$scratch" --output="$scratch/$run.log" \
    --time=10 "${words[@]}" "$template" "${small[@]}" --run "$scratch/$run" "$@" 2>"$scratch/sbatch.err" ||
    fail "sbatch: $(cat "$scratch/sbatch.err")"
}
field() { on hc scontrol show job "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1; } # field JOB NAME
restarted() { (($(field "$1" Restarts) >= $2)); }
running() { restarted "$1" "$2" && [[ $(field "$1" JobState) = RUNNING ]]; }
ended() { [[ $(field "$1" JobState) =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY) ]]; }
# finished JOB RUN RESTARTS: it is done, after at least so many.
finished() {
  until_true 300 "the end of $2: $(tail -n 3 "$scratch/$2.log")" ended "$1"
  [[ $(field "$1" JobState) = COMPLETED ]] || fail "$2 is $(field "$1" JobState): $(cat "$scratch/$2.log")"
  (($(field "$1" Restarts) >= $3)) || fail "$2 was requeued $(field "$1" Restarts) times, expected $3: $(cat "$scratch/$2.log")"
}
whole() { train "$1" 2 --steps "$2" "${@:3}" || fail "undisturbed: $(tail -n 1 "$scratch/$1.err")"; } # whole RUN STEPS

# A run whose length stands in a file of settings, so that it can be ended however fast this machine is.
endless() { echo 'steps = 100000' >"$scratch/$1.cfg"; }
ends_at() { echo "steps = $2" >"$scratch/$1.cfg"; }
further() { echo $(($(newest "$1") + 5)); }

# requeue_by_signal JOB RUN TIMES: USR1, as Slurm sends it before the limit, each time the run has got somewhere; the last
# time the run is given an end before it starts again.
requeue_by_signal() {
  local job=$1 run=$2 times=$3 i from
  for ((i = 0; i < times; ++i)); do
    until_true 120 "restart $i of $run" running "$job" "$i"
    from=$(newest "$run")
    until_true 120 "a step of $run" has_lines "$scratch/$run/metrics.jsonl" $((from + 3))
    on hc scancel --signal=USR1 --batch "$job"
    until_true 120 "requeue $((i + 1)) of $run" restarted "$job" $((i + 1))
    (($(newest "$run") > from)) || fail "$run: no checkpoint before the requeue: $(cat "$scratch/$run.log")"
  done
  ends_at "$run" "$(further "$run")"
}

# A node is cut off with a run on it, and its rank wakes up when the job has started elsewhere: two at once.
endless lost
lost=$(submit mpirun langrun lost --ntasks-per-node=2 -- --config "$scratch/lost.cfg" --checkpoint.every 5)
# A step a start, over two nodes; every requeue is the run's own.
chain=$(submit srun many-nodes chain --nodes=2 --ntasks-per-node=1 -- --steps $((requeues + 1)) --stop-after 0.001)
until_true 60 "a checkpoint of lost" has_checkpoint lost
node=$(field "$lost" NodeList)
mapfile -t old < <(ranks_on "$node")
[[ ${#old[@]} = 2 ]] || fail "not two ranks on $node: ${old[*]}"
kill -STOP "${old[@]}"
"$lab" cut "$node"

finished "$chain" chain "$requeues"
[[ $(grep -c 'going back into the queue' "$scratch/chain.log") = "$requeues" ]] || fail "the chain's log: $(cat "$scratch/chain.log")"
[[ $(lines "$scratch/chain/metrics.jsonl") = $((requeues + 1)) ]] || fail "the chain is not of $((requeues + 1)) steps"
whole chain-whole $((requeues + 1))
same chain-whole chain
if "$program" shortrun --help | grep -q -- '--deadline '; then
  grep -q -- '--deadline' "$scratch/chain/provenance.json" || fail "the job's end is not handed on"
fi

# An array: a run a task, each requeued by itself.
seeds=$(submit srun array seed --array=0-1 --ntasks-per-node=1 -- --run "$scratch/seed-{task}" --seed '2{task}' --steps 2 --stop-after 0.001)
# USR1 to the script, which hands it on to mpirun.
endless signal
signal=$(submit mpirun many-nodes signal --nodes=2 --ntasks-per-node=1 -- --config "$scratch/signal.cfg" --checkpoint.every 1000)
for task in 0 1; do
  finished "${seeds}_$task" seed 1
  train "seed-whole-$task" 1 --seed "2$task" --steps 2 || fail "undisturbed: $(tail -n 1 "$scratch/seed-whole-$task.err")"
  same "seed-whole-$task" "seed-$task"
done
requeue_by_signal "$signal" signal "$requeues"
finished "$signal" signal "$requeues"
whole signal-whole "$(newest signal)"
same signal-whole signal

# By now the lost job has begun elsewhere.
until_true 120 "the lost job elsewhere" running "$lost" 1
[[ $(field "$lost" NodeList) != "$node" ]] || fail "it runs on the node that is cut off"
from=$(newest lost)
until_true 120 "a step of the new start" has_checkpoint lost $((from + 5))
kill -CONT "${old[@]}"
until_true 60 "the old ranks on $node end by themselves" no_ranks_on "$node"
grep -q 'overtaken' "$scratch/lost.log" || fail "the old start does not say that it was overtaken: $(cat "$scratch/lost.log")"
running "$lost" 1 || fail "the old start has taken the job from the new one"
on hc scancel --signal=USR1 --batch "$lost"
until_true 120 "requeue 2 of lost" restarted "$lost" 2
ends_at lost "$(further lost)"
finished "$lost" lost 2
"$lab" mend "$node"
whole lost-whole "$(newest lost)"
same lost-whole lost
echo "$requeues requeues by srun and by mpirun, an array, two starts at once: same bits"
((requeues > 2)) || exit 0

# The time limit itself, with Slurm's own signal before it.
endless limit
limit=$(submit mpirun langrun limit --ntasks-per-node=2 --time=2 --signal=B:USR1@60 -- --config "$scratch/limit.cfg" --checkpoint.every 100000)
until_true 200 "the time limit of limit" restarted "$limit" 1
ends_at limit "$(further limit)"
finished "$limit" limit 1
whole limit-whole "$(newest limit)"
same limit-whole limit
echo "a time limit: same bits"

# A node that is cut off, and whose ranks run on as long as they like.
endless alive
alive=$(submit mpirun langrun alive --ntasks-per-node=2 -- --config "$scratch/alive.cfg" --checkpoint.every 50)
until_true 60 "a checkpoint of alive" has_checkpoint alive
node=$(field "$alive" NodeList)
"$lab" cut "$node"
until_true 120 "the job elsewhere" running "$alive" 1
both=$SECONDS
until_true 120 "the old ranks on $node end by themselves" no_ranks_on "$node"
echo "the old ranks ended $((SECONDS - both)) s after the job had begun elsewhere"
on hc scancel --signal=USR1 --batch "$alive"
until_true 120 "requeue 2 of alive" restarted "$alive" 2
ends_at alive "$(further alive)"
finished "$alive" alive 2
"$lab" mend "$node"
whole alive-whole "$(newest alive)"
same alive-whole alive
echo "a cut-off node that runs on: same bits"

# One of two nodes lost, the one without the script: the launcher notices, or the run's own limit does.
for launcher in mpirun srun; do
  endless half
  half=$(submit $launcher many-nodes "half-$launcher" --nodes=2 --ntasks-per-node=1 -- --config "$scratch/half.cfg" --checkpoint.every 5 --watchdog.limit 20)
  until_true 60 "a checkpoint of half" has_checkpoint "half-$launcher"
  node=$(on hc scontrol show hostnames "$(field "$half" NodeList)" | tail -n 1)
  "$lab" cut "$node"
  until_true 200 "the job elsewhere" running "$half" 1
  cp "$scratch/half.cfg" "$scratch/half-$launcher.cfg"
  on hc scancel --signal=USR1 --batch "$half"
  until_true 120 "another requeue" restarted "$half" 2
  ends_at half "$(further "half-$launcher")"
  finished "$half" "half-$launcher" 2
  "$lab" mend "$node"
  whole "half-whole-$launcher" "$(newest "half-$launcher")"
  same "half-whole-$launcher" "half-$launcher"
  echo "one of two nodes lost under $launcher: same bits"
done

# Who cancels a job does not want it back.
endless gone
gone=$(submit srun langrun gone --ntasks-per-node=2 -- --config "$scratch/gone.cfg")
until_true 60 "a step of gone" has_lines "$scratch/gone/metrics.jsonl" 3
on hc scancel "$gone"
until_true 60 "the cancelled job's end" ended "$gone"
sleep 15
[[ $(field "$gone" JobState) = CANCELLED* ]] || fail "a cancelled job is $(field "$gone" JobState): $(cat "$scratch/gone.log")"
echo "a cancelled job stays away"

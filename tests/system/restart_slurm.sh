#!/bin/bash
# launch/restart-slurm without a Slurm: what a job does after a start that another should follow, by what a stand-in for the
# controller answers: back into the queue, left to a start elsewhere, cancelled, and a controller that is silent for a while
# or until the job's time is up. tests/system/slurm.sh has a real one.
. "$(dirname "$0")/../common.sh"
mkdir "$scratch/bin"
# Silent as often as `silent` says, then Restarts and JobState as in `answer`; a requeue is noted.
cat >"$scratch/bin/scontrol" <<'STANDIN'
#!/bin/bash
here=$(dirname "$0")/..
if [[ $1 = requeue ]]; then echo "$2" >>"$here/requeued"; exit; fi
silent=$(cat "$here/silent")
if ((silent > 0)); then
  echo $((silent - 1)) >"$here/silent"
  echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2
  exit 1
fi
echo "JobId=7 JobName=langrun $(cat "$here/answer") TimeLimit=04:00:00"
STANDIN
# No job has an end here, unless the environment says one.
printf '#!/bin/bash\nexit 1\n' >"$scratch/bin/squeue"
# Answers questions as the program does, and then asks for another start.
cat >"$scratch/stand-in" <<STANDIN
#!/bin/bash
case " \$* " in *" --help "* | " run status "*) exec "$program" "\$@" ;; esac
exit \$(cat "$scratch/code")
STANDIN
chmod +x "$scratch/bin/scontrol" "$scratch/bin/squeue" "$scratch/stand-in"
launcher=$scratch/bin/mpirun
# shellcheck disable=SC2016  # for the script that is written
printf '#!/bin/bash\nwhile [[ $1 = -* ]]; do shift 2; done\nexec "$@"\n' >"$launcher"
chmod +x "$launcher"

# job WANTED SILENT ANSWER: start 0 of a job whose run ends with $code exits with WANTED; pauses are cut short.
code=75
job() {
  local wanted=$1
  echo "$code" >"$scratch/code"
  echo "$2" >"$scratch/silent"
  echo "$3" >"$scratch/answer"
  rm -f "$scratch/requeued" "$scratch/run.restarts"
  # shellcheck disable=SC2016  # for the shell that is started
  PATH=$scratch/bin:$PATH SLURM_JOB_ID=7 LANGRUN_PROGRAM=$scratch/stand-in expect_code "$wanted" bash -c '
    set -u
    . "$1/launch/restart-slurm"
    sleep() { command sleep 0.02; }
    run_in_slurm shortrun --run "$2"' - "$source_root" "$scratch/run"
}
requeued() { [[ $(cat "$scratch/requeued" 2>/dev/null) = 7 ]]; }
says() { grep -q -- "$1" "$scratch/err" || fail "no word of '$1': $(cat "$scratch/err")"; }

job 75 0 'Restarts=0 JobState=RUNNING'
requeued || fail "it does not go back into the queue: $(cat "$scratch/err")"
says 'going back into the queue (restart 1)'

# Silent for longer than a few minutes, in a job that has time left.
export SLURM_JOB_END_TIME
SLURM_JOB_END_TIME=$(($(date +%s) + 600))
job 75 50 'Restarts=0 JobState=RUNNING'
requeued || fail "a controller that comes back is not asked: $(cat "$scratch/err")"
says 'the controller does not answer'
(($(grep -c 'does not answer' "$scratch/err") < 5)) || fail "said again and again: $(cat "$scratch/err")"

# Silent until the time is up: no start elsewhere is named, which nobody has seen.
SLURM_JOB_END_TIME=$(($(date +%s) + 1))
job 75 100000 'Restarts=0 JobState=RUNNING'
requeued && fail "requeued without an answer"
says 'the controller has not answered'
says 'the same line in a new job goes on'
grep -q 'elsewhere' "$scratch/err" && fail "a start that nobody has seen is named: $(cat "$scratch/err")"
code=137
SLURM_JOB_END_TIME=$(($(date +%s) + 1))
job 137 100000 'Restarts=0 JobState=RUNNING'
says 'the controller has not answered'
code=75

SLURM_JOB_END_TIME=$(($(date +%s) + 600))
job 75 2 'Restarts=1 JobState=RUNNING'
requeued && fail "taken from the start elsewhere"
says 'started again elsewhere (restart 1)'
job 75 0 'Restarts=0 JobState=CANCELLED'
requeued && fail "a cancelled job comes back"
says 'was cancelled'
# Ends by itself before its time: Slurm is at it.
job 75 0 'Restarts=0 JobState=COMPLETING'
requeued && fail "a job that is ending comes back"
code=2
job 2 0 'Restarts=0 JobState=RUNNING'
requeued && fail "wrong use is started again"
echo "a silent controller is asked until the job's time is up"

code=75
# A limit that is no number, and a history that cannot be written: without it nothing would count the starts.
export LANGRUN_RESTARTS=twenty
job 2 0 'Restarts=0 JobState=RUNNING'
says 'LANGRUN_RESTARTS twenty'
export LANGRUN_RESTARTS=08
job 75 0 'Restarts=0 JobState=RUNNING'
requeued || fail "a limit of 08 is not one of 8: $(cat "$scratch/err")"
rm "$scratch/run.restarts"
mkdir "$scratch/run.restarts"
PATH=$scratch/bin:$PATH SLURM_JOB_ID=7 LANGRUN_PROGRAM=$scratch/stand-in expect_code 6 bash -c '
  . "$1/launch/restart-slurm"
  run_in_slurm shortrun --run "$2"' - "$source_root" "$scratch/run"
says 'cannot be written'
# srun hands a task its processors only where it is told how many.
# shellcheck disable=SC2016  # for the shell that is started
words=$(SLURM_CPUS_PER_TASK=4 LANGRUN_LAUNCHER=srun SLURM_JOB_ID=7 bash -c '. "$1/launch/restart-slurm"; slurm_launcher; echo "${launcher[*]}"' - "$source_root")
[[ $words = *' --cpus-per-task=4'* ]] || fail "srun is called so: $words"

#!/bin/bash
# Two hosts with a network between them: the bits of one host; a link that is cut amid a collective ends the run with its
# name and the missing rank and host, soon after the limit, whether or not the launcher still reaches the other host; once the link
# is back, the run goes on to the same bits.
. "$(dirname "$0")/../lab/common.sh"
lab_up pair
data=$scratch/data.h5
synth "$data" 256
limit=3

# across RUN RANKS OPTIONS...: half of the ranks on each host, data over e0, the launcher's own messages over e1.
across() {
  local run=$scratch/$1 n=$2
  shift 2
  on h1 mpirun --mca plm rsh --mca plm_rsh_agent "$lab agent" --mca btl_tcp_if_include e0 --mca oob_tcp_if_include e1 \
    --mca oob_tcp_keepalive_time 5 --mca oob_tcp_keepalive_intvl 2 --mca oob_tcp_keepalive_probes 3 --bind-to none \
    --host "h1:$((n / 2)),h2:$((n / 2))" --map-by node -n "$n" "$program" "${small[@]}" --run "$run" --watchdog.limit $limit \
    --checkpoint.every 5 "$@" >"$run.out" 2>"$run.err"
}

# cut RUN LINK...: takes the links down once the run is under way, and looks at how it ends.
cut_off() {
  local run=$1 job code took link
  shift
  across "$run" 2 --steps 100000 & job=$!
  until_true 60 "a first checkpoint of $run" has_checkpoint "$run"
  [[ -n $(ranks_on h1) && -n $(ranks_on h2) ]] || fail "$run: not a rank on each host"
  for link in "$@"; do "$lab" cut h2 "$link"; done
  took=$SECONDS
  wait $job
  code=$?
  took=$((SECONDS - took))
  [[ $code = 5 ]] || fail "$run: exit $code, expected 5: $(cat "$scratch/$run.err")"
  grep -q "^langrun: error: collective '.*missing: rank 1 on h2" "$scratch/$run.err" ||
    fail "$run: neither collective nor rank and host: $(cat "$scratch/$run.err")"
  # What is promised, and as much again, for a machine that is busy with other things.
  ((took <= 2 * (limit + 5))) || fail "$run: ended $took s after the cut, with a limit of $limit s"
  # The rank that was cut off ends by itself too.
  until_true 60 "$run: a rank on h2 goes on" no_ranks_on h2
  for link in "$@"; do "$lab" mend h2 "$link"; done
  echo "$run: $took s, $(grep -m 1 '^langrun: error: ' "$scratch/$run.err")"
}

cut_off data-link e0
cut_off all-links e0 e1

# How far they came depends on the machine; all go on to one step.
steps=$(($(newest data-link) > $(newest all-links) ? $(newest data-link) : $(newest all-links)))
steps=$((steps + 10))
train whole 2 --steps $steps || fail "on one host: $(tail -n 1 "$scratch/whole.err")"
for run in data-link all-links; do
  across $run 2 --resume --steps $steps || fail "$run does not go on: $(tail -n 2 "$scratch/$run.err")"
  same whole $run
done
across four 4 --steps $steps || fail "four ranks on two hosts: $(tail -n 2 "$scratch/four.err")"
same whole four

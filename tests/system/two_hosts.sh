#!/bin/bash
# Two hosts with a network between them: the bits of one host; a link that is cut amid a collective ends the run with its
# name and the missing rank and host, soon after the limit, whether or not the launcher still reaches the other host; once the link
# is back, the run goes on to the same bits.
. "$(dirname "$0")/../lab/common.sh"
lab_up pair
data=$scratch/data.h5
synth "$data" 256
limit=3

# Data over e0, the launcher's own messages over e1; half of the ranks on each host.
network=(--mca plm rsh --mca plm_rsh_agent "$lab agent" --mca btl_tcp_if_include e0 --mca oob_tcp_if_include e1)
across() { # across RUN RANKS OPTIONS...
  local run=$scratch/$1 n=$2
  shift 2
  on h1 mpirun "${network[@]}" --bind-to none --host "h1:$((n / 2)),h2:$((n / 2))" --map-by node -n "$n" "$program" \
    "${small[@]}" --run "$run" --watchdog.limit $limit --checkpoint.every 5 "$@" >"$run.out" 2>"$run.err"
}
# The same by run-until-done, which gives up after SEVERAL failures.
until_done() { # until_done RUN SEVERAL OPTIONS...
  local run=$scratch/$1 several=$2
  shift 2
  printf '#!/bin/bash\nexec "%s" agent "$@"\n' "$lab" >"$scratch/agent" && chmod +x "$scratch/agent"
  LANGRUN_PROGRAM=$program LANGRUN_LAUNCHER_OPTIONS="${network[*]/#$lab agent/$scratch/agent} --host h1:1,h2:1 --map-by node" \
    on h1 "$source_root/launch/run-until-done" --ranks 2 --restarts "$several" --pause 0 "${small[@]}" --run "$run" \
    --watchdog.limit $limit --checkpoint.every 5 "$@" >"$run.out" 2>"$run.err"
}

# ends_named RUN JOB SECONDS LINK...: takes the links down once the run is under way, and looks at how it ends.
ends_named() {
  local run=$1 job=$2 bound=$3 code took link
  shift 3
  until_true 60 "a first checkpoint of $run" has_checkpoint "$run"
  [[ -n $(ranks_on h1) && -n $(ranks_on h2) ]] || fail "$run: not a rank on each host"
  for link in "$@"; do "$lab" cut h2 "$link"; done
  took=$SECONDS
  wait "$job"
  code=$?
  took=$((SECONDS - took))
  [[ $code = 5 ]] || fail "$run: exit $code, expected 5: $(cat "$scratch/$run.err")"
  grep -q "^langrun: error: collective '.*missing: rank 1 on h2" "$scratch/$run.err" ||
    fail "$run: neither collective nor rank and host: $(cat "$scratch/$run.err")"
  # What is promised, and as much again, for a machine that is busy with other things.
  ((took <= 2 * bound)) || fail "$run: ended $took s after the cut, with a limit of $limit s"
  # The rank that was cut off ends by itself too.
  until_true 60 "$run: a rank on h2 goes on" no_ranks_on h2
  for link in "$@"; do "$lab" mend h2 "$link"; done
  echo "$run: $took s, $(grep -m 1 '^langrun: error: ' "$scratch/$run.err")"
}

across data-link 2 --steps 100000 & job=$!
ends_named data-link $job $((limit + 5)) e0
# Without any link mpirun waits for the other host, for a quarter of an hour, although its ranks have ended in time.
until_done all-links 0 --steps 100000 & job=$!
ends_named all-links $job $((limit + 5 + 12)) e0 e1

# How far they came depends on the machine; all go on to one step.
steps=$(($(newest data-link) > $(newest all-links) ? $(newest data-link) : $(newest all-links)))
steps=$((steps + 10))
train whole 2 --steps $steps || fail "on one host: $(tail -n 1 "$scratch/whole.err")"
across data-link 2 --resume --steps $steps || fail "data-link does not go on: $(tail -n 2 "$scratch/data-link.err")"
same whole data-link
until_done all-links 0 --steps $steps || fail "all-links does not go on: $(tail -n 2 "$scratch/all-links.err")"
same whole all-links
across four 4 --steps $steps || fail "four ranks on two hosts: $(tail -n 2 "$scratch/four.err")"
same whole four

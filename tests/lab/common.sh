# shellcheck shell=bash
# Shared by the tests that have hosts of their own (tests/lab/lab), beside all of tests/common.sh.
# Gives: `lab_up KIND` (skips the test where hosts are not allowed; they go when it ends), `on HOST COMMAND`,
# `until_true SECONDS WHAT COMMAND...`, `lines FILE`, `newest RUN`, `ranks_on HOST`, `same RUN RUN`.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
export LAB=$scratch/lab
lab=$source_root/tests/lab/lab

lab_up() {
  [[ $(id -u) = 0 ]] || skip "only root can make hosts with a network of their own"
  need ip nsenter unshare mount
  trap '"$lab" down; rm -rf "$scratch"' EXIT
  trap 'exit 1' INT TERM
  # munged wants a folder that others can look into.
  chmod 755 "$scratch"
  "$lab" up "$@" >"$scratch/lab.out" 2>&1 || skip "$(tail -n 1 "$scratch/lab.out")"
}
on() { "$lab" on "$@"; }

# until_true SECONDS WHAT COMMAND...: waits, on a machine that may be busy; fails after that.
until_true() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < end)) || fail "waited in vain: $what"
    sleep 0.1
  done
}

lines() { if [[ -f $1 ]]; then wc -l <"$1"; else echo 0; fi; }
has_lines() { (($(lines "$1") >= $2)); }
# newest RUN: the step of its newest checkpoint.
newest() { local name; name=$(readlink "$scratch/$1/checkpoint/latest") || name=0; echo $((10#$name)); }
has_checkpoint() { (($(newest "$1") >= ${2:-1})); }

# ranks_on HOST: numbers of the langrun processes there.
ranks_on() {
  local pid
  for pid in $("$lab" pids "$1"); do [[ $(cat "/proc/$pid/comm" 2>/dev/null) = langrun ]] && echo "$pid"; done
}
no_ranks_on() { [[ -z $(ranks_on "$1") ]]; }

same() {
  "$program" run verify "$scratch/$2" >"$scratch/verify" 2>&1 || fail "$2: $(tail -n 1 "$scratch/verify")"
  "$program" run diff "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1 || fail "$1 against $2: $(tail -n 1 "$scratch/diff")"
  [[ -z $(find "$scratch/$2/" -name '*.partial') ]] || fail "$2: left unfinished: $(find "$scratch/$2/" -name '*.partial')"
}

# shellcheck disable=SC2034  # for who sources this
# A shortrun of a few milliseconds a step, as `train` of tests/common.sh has it.
small=(shortrun --data "$scratch/data.h5" --energy.network light --energy.width 4 --generator.network sngan32 --generator.width 4
  --generator.latent 8 --batch 16 --bank.size 60 --langevin.steps 3 --seed 11)

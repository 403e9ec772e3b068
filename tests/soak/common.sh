# shellcheck shell=bash
# Shared by the soak tests, each of which takes `--count N`: a handful by default, as continuous integration runs them, or
# hundreds over night. Random numbers come from --seed, so that what failed can be done again.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

# soak_options DEFAULT "$@": sets $count and seeds $RANDOM.
soak_options() {
  count=$1
  local seed=$$
  shift
  while (($# > 0)); do
    case $1 in
      --count) count=$2 ;;
      --seed) seed=$2 ;;
      *) fail "unknown option $1: --count N, --seed N" ;;
    esac
    shift 2
  done
  [[ $count =~ ^[1-9][0-9]*$ ]] || fail "--count $count: a number above 0 is expected"
  RANDOM=$seed
  echo "seed $seed"
}

# rank_processes WORDS: the ranks of a program whose command line has these words, without their launcher.
rank_processes() {
  pgrep -f -- "$1" | while read -r p; do [[ $(cat "/proc/$p/comm" 2>/dev/null) = langrun ]] && echo "$p"; done
}
# pick_rank WORDS: one of them at random in $victim, empty where there is none.
pick_rank() {
  local ranks
  mapfile -t ranks < <(rank_processes "$1")
  victim=
  # shellcheck disable=SC2034  # for the caller
  ((${#ranks[@]} == 0)) || victim=${ranks[RANDOM % ${#ranks[@]}]}
}
lines() { if [[ -f $1 ]]; then wc -l <"$1"; else echo 0; fi; }

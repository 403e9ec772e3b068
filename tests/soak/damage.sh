#!/bin/bash
# Damaged checkpoints: a bit flipped, a file cut, missing, emptied, taken from another checkpoint, swapped with another or made a
# named pipe, the whole checkpoint gone or made a file. Each is named by `run verify` and by the resume, which goes on from the one before and ends with the bits of an undisturbed run.
. "$(dirname "$0")/common.sh"
soak_options 6 "$@"
data=$scratch/data.h5
synth "$data" 128
train whole 2 --steps 12 --checkpoint.every 2 --checkpoint.keep 9 || fail "the undisturbed run: $(tail -n 1 "$scratch/whole.err")"
train cut 2 --steps 12 --checkpoint.every 2 --checkpoint.keep 9 --stop-at 10
[[ $? = 75 ]] || fail "--stop-at: $(tail -n 1 "$scratch/cut.err")"

# damage FOLDER SEED: prints what was done to which file.
damage() {
  local folder=$1 files file other size at
  # A subshell draws numbers of its own unless it is told which.
  RANDOM=$2
  mapfile -t files < <(ls "$folder")
  file=${files[RANDOM % ${#files[@]}]}
  size=$(stat -c %s "$folder/$file")
  at=$(((RANDOM * 32768 + RANDOM) % size))
  case $((RANDOM % 9)) in
    0)
      python3 - "$folder/$file" $at $((RANDOM % 8)) <<'PYTHON' || fail "no Python to flip a bit with"
import sys
path, at, bit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "r+b") as f:
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ (1 << bit)]))
PYTHON
      echo "$file bit flipped at $at"
      ;;
    1) truncate -s $at "$folder/$file" && echo "$file cut to $at" ;;
    2) rm "$folder/$file" && echo "$file removed" ;;
    3) : >"$folder/$file" && echo "$file emptied" ;;
    4) cp "$folder/../00000008/$file" "$folder/$file" && echo "$file of step 8" ;;
    5)
      other=bank-$((RANDOM % 8)).h5
      [[ $other = "$file" ]] && other=weights.h5
      [[ $other = "$file" ]] && other=bank-0.h5
      mv "$folder/$file" "$folder/swap" && mv "$folder/$other" "$folder/$file" && mv "$folder/swap" "$folder/$other"
      echo "$file swapped with $other"
      ;;
    6) rm "$folder/$file" && mkfifo "$folder/$file" && echo "$file made a named pipe" ;;
    7) rm -r "$folder" && echo "00000010 gone as a whole" ;;
    8) rm -r "$folder" && : >"$folder" && echo "00000010 made a file" ;;
  esac
}

for ((i = 1; i <= count; ++i)); do
  rm -rf "$scratch/run"
  cp -a "$scratch/cut" "$scratch/run"
  what=$(damage "$scratch/run/checkpoint/00000010" "$RANDOM")
  file=${what%% *}
  expect_code 6 timeout 60 "$program" run verify "$scratch/run"
  grep -q "00000010.*${file#00000010}\|${file}.*missing" "$scratch/out" "$scratch/err" || fail "$what: verify names another: $(cat "$scratch/out" "$scratch/err")"
  ranks $((1 << (RANDOM % 3))) "$program" shortrun --run "$scratch/run" --resume >"$scratch/run.out" 2>"$scratch/run.err" ||
    fail "$what: the resume ended with $?: $(tail -n 2 "$scratch/run.err")"
  grep -q "damaged checkpoint passed over.*00000010" "$scratch/run.err" || fail "$what: passed over without a word"
  "$program" run diff "$scratch/whole" "$scratch/run" >"$scratch/diff" || fail "$what: $(tail -n 1 "$scratch/diff")"
done
echo "$count damaged checkpoints named, the older one used, same bits"

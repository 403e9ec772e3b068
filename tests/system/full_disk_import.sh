#!/bin/bash
# A disk that fills up under an import: exit 6, one error line, and nothing of the store left.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
[[ $(id -u) = 0 ]] || skip "mounting a small tmpfs needs root"
disk=$scratch/disk
mkdir "$disk"
mount -t tmpfs -o size=4m tmpfs "$disk" 2>/dev/null || skip "tmpfs cannot be mounted here"
trap 'umount "$disk"; rm -rf "$scratch"' EXIT
for n in 1 2; do
  expect_code 6 ranks "$n" "$program" data synth "$disk/o.h5" --count 3000
  [[ $(error_lines "$scratch/err") = 1 ]] || fail "$n ranks: $(cat "$scratch/err")"
  grep -q "No space left" "$scratch/err" || fail "$n ranks do not say why: $(cat "$scratch/err")"
  [[ -z $(ls -A "$disk") ]] || fail "left behind on $n ranks: $(ls -A "$disk")"
done
expect_code 0 "$program" data synth "$disk/o.h5" --count 500
echo "a full disk ends an import cleanly"

#!/bin/bash
# A benchmark that is killed leaves none of its gigabytes behind.
. "$(dirname "$0")/../common.sh"
for signal in TERM KILL; do
  "$program" bench checkpoint --gigabytes 0.1 --repeats 1000 --folder "$scratch" >/dev/null 2>&1 &
  pid=$!
  for ((i = 0; i < 100; ++i)); do
    compgen -G "$scratch/langrun-bench.*/*" >/dev/null && break
    sleep 0.1
  done
  compgen -G "$scratch/langrun-bench.*/*" >/dev/null || fail "no benchmark began to write"
  kill -$signal $pid
  wait $pid 2>/dev/null
  for ((i = 0; i < 100; ++i)); do
    compgen -G "$scratch/langrun-bench.*" >/dev/null || break
    sleep 0.1
  done
  compgen -G "$scratch/langrun-bench.*" >/dev/null && fail "SIG$signal left $(ls "$scratch")"
done
exit 0

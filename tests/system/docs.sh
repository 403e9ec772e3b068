#!/bin/bash
# What the documents say of the program is there: every option, command, preset, link and source file they name.
# shellcheck disable=SC2013,SC2016  # words without blanks; backquotes are Markdown's
. "$(dirname "$0")/../common.sh"
cd "$source_root" || fail "no source folder"
documents=(README.md CHANGELOG.md docs/*.md)

commands=$("$program" --help | sed -n '/^Commands:/,/^$/p' | sed -n 's/^  \([a-z]*\( [a-z]*\)\?\)  .*/\1/p')
[[ $(wc -l <<<"$commands") -gt 8 ]] || fail "cannot read the list of commands: $commands"
options="--help --version --presets --preset --config --dry-run"
while read -r command; do
  # shellcheck disable=SC2086  # two words
  options+=" $("$program" $command --help | grep -oE '^  --[a-z0-9.-]+' | tr -d ' ')" || fail "$command --help"
done <<<"$commands"
# Those of mpirun, Slurm, CMake, GoogleTest, git, launch/run-until-done, tests/bench/side_by_side.py, tests/fuzz/run and tests/soak.
others="--bind-to --map-by --oversubscribe --allow-run-as-root --mca --signal --requeue --open-mode --full --mpi --build \
  --target --gtest_filter --ranks --rounds --program --executions --seconds --array --nodes --hostfile --restarts --pause \
  --requeues --count"

bad=0
for word in $(grep -ohE '(^|[ `(])--[a-z][a-z0-9_.-]*' "${documents[@]}" | grep -oE -- '--[a-z0-9_.-]*[a-z0-9]' | sort -u); do
  grep -qxF -- "$word" <(tr ' ' '\n' <<<"$options $others") || { echo "no option $word"; bad=1; }
done
for name in $(grep -ohE -- '--preset [a-z0-9-]+' "${documents[@]}" | cut -d ' ' -f 2 | sort -u); do
  [[ -n $(find jobs/presets -name "$name.cfg") || $name = debug || $name = release || $name = sanitize || $name = cpu ]] ||
    { echo "no preset $name"; bad=1; }
done
for document in "${documents[@]}"; do
  for link in $(grep -oE '\]\([^)#]+' "$document" | cut -c 3-); do
    [[ -e $(dirname "$document")/$link ]] || { echo "$document: no $link"; bad=1; }
  done
  for file in $(grep -oE '`(core|distributed|data|jobs|launch|tests|docs|cmake|packaging)/[a-zA-Z0-9_/.-]+`' "$document" | tr -d '`' | grep -v NAME); do
    [[ -e $file ]] || { echo "$document: no $file"; bad=1; }
  done
done
[[ $bad = 0 ]] || fail "documents and program differ"

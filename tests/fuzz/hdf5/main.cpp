// hdf5_mutations [--count N] [--seed S] [--below-seal]: N damaged files of every kind (together about N), each given to
// its reader. Every one must be refused (exit code 3), be taken with the content of the undamaged file, or crash or
// hang the HDF5 library, which is listed. One that is taken with another content is a finding, and so is an error of
// another kind. With --below-seal, files that are sealed are sealed anew after the damage, so that HDF5 gets to see it:
// then another content is what whoever sealed it wanted, and counted, but no finding. Exit code 0: none; 1: a finding;
// the last line says `N files, N findings`.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "tests/fuzz/hdf5/trial.h"

namespace {

using namespace langrun;
using namespace langrun::mutations;
namespace fs = std::filesystem;

Plan plan_of(int count, char** words) {
  Plan plan;
  plan.count = 8000;
  const auto number = [&](int at, std::uint64_t& field) {
    const char* text = at < count ? words[at] : "";
    if (std::from_chars(text, text + std::strlen(text), field).ec != std::errc{})
      throw Error(ExitCode::usage, fmt::format("{} wants a number", words[at - 1]));
  };
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--below-seal") {
      plan.below_seal = true;
    } else if (word == "--count") {
      number(++i, plan.count);
    } else if (word == "--seed") {
      number(++i, plan.seed);
    } else {
      throw Error(ExitCode::usage, "unknown option " + word);
    }
  }
  return plan;
}

/// A folder in memory where there is such.
fs::path make_scratch() {
  std::string name =
      (fs::is_directory("/dev/shm") ? "/dev/shm" : fs::temp_directory_path().string()) + "/langrun-hdf5.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw Error(ExitCode::storage, "no scratch folder");
  return name;
}

/// Findings of one subject, after a line of its counts.
std::uint64_t report(const Subject& subject, const Tally& tally, bool below_seal) {
  fmt::print("{:<24} {:>7} refused {:>7} same {:>5} another content {:>4} wrong error {:>4} crash {:>4} hang\n",
             subject.name, tally.of(Outcome::refused), tally.of(Outcome::same), tally.of(Outcome::silent),
             tally.of(Outcome::wrong_error), tally.of(Outcome::crash), tally.of(Outcome::hang));
  std::uint64_t findings = tally.of(Outcome::wrong_error) + (below_seal ? 0 : tally.of(Outcome::silent));
  for (const auto& [place, count] : tally.crashes) {
    fmt::print("    {}{} ({} times)\n", place.starts_with(kLibrary) ? "in the library: " : "", place, count);
    if (!place.starts_with(kLibrary)) findings += count;
  }
  int shown = 0;
  for (const auto& [note, number] : tally.notes)
    if (++shown <= 8) fmt::print("    damage {}: {}\n", number, note);
  std::fflush(stdout);
  return findings;
}

int run(const Plan& plan) {
  const auto scratch = make_scratch();
  const auto subjects = make_subjects(scratch);
  auto each = plan;
  each.count = (plan.count + subjects.size() - 1) / subjects.size();
  std::uint64_t findings = 0;
  for (const auto& subject : subjects)
    findings += report(subject, try_damages(subject, each, scratch), plan.below_seal);
  fs::remove_all(scratch);
  fmt::print("{} files, {} findings\n", each.count * subjects.size(), findings);
  return findings == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run(plan_of(count, words));
  } catch (const std::exception& error) {
    fmt::print(stderr, "hdf5_mutations: error: {}\n", error.what());
    return 2;
  }
}

// Damaged files given to the readers, in child processes, since the HDF5 library itself may crash on them.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "tests/fuzz/hdf5/subjects.h"

namespace langrun::mutations {

enum class Outcome : std::uint8_t {
  unknown,
  refused,      ///< by an Error of code 3
  same,         ///< taken, with the content of the undamaged file
  silent,       ///< taken, with another content
  wrong_error,  ///< by an Error of another code, or another exception
  crash,        ///< a signal
  hang,         ///< longer than ten seconds
};
inline constexpr std::size_t kOutcomes = 7;

/// How the names of HDF5's own files begin. This program's name has HDF5's in it, too.
inline constexpr const char* kLibrary = "libhdf5";

struct Tally {
  std::array<std::uint64_t, kOutcomes> counts{};
  std::map<std::string, std::uint64_t> crashes;  ///< where, by library (kLibrary...) and function, and how often
  std::map<std::string, std::uint64_t> notes;    ///< what was wrong with `silent` and `wrong_error`, with a number
  std::uint64_t of(Outcome outcome) const { return counts[static_cast<std::size_t>(outcome)]; }
};

struct Plan {
  std::uint64_t seed = 1, count = 1000;
  bool below_seal = false;  ///< seal the damaged content anew, as a stranger could: then HDF5 sees the damage
};

/// Damages 0 to `plan.count` of one subject. Works in `scratch`.
Tally try_damages(const Subject& subject, const Plan& plan, const std::filesystem::path& scratch);

}  // namespace langrun::mutations

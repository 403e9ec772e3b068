// `data synth`: the procedural image set as a store, each rank its share.
#pragma once

#include <cstdint>
#include <filesystem>

#include "jobs/build_store.h"

namespace langrun {

struct SynthSettings {
  std::filesystem::path out;
  std::int64_t count = 0;  ///< images
  std::int64_t size = 32;  ///< side, pixels
  std::uint64_t seed = 0;
};

/// Makes the set on all ranks (collective; see build_store). Image i is a pure function of (seed, i, size).
BuildResult synthesize(Communicator& world, const SynthSettings& settings, const BuildNotes& notes);

}  // namespace langrun

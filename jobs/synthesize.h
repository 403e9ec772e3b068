// `data synth`: the procedural image set, or points of a density over the plane, as a store, each rank its share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "jobs/build_store.h"

namespace langrun {

struct SynthSettings {
  std::filesystem::path out;
  std::int64_t count = 0;  ///< images
  std::int64_t size = 32;  ///< side, pixels; of images
  std::uint64_t seed = 0;
  std::string density = {};  ///< points of this PlaneDensity instead of images; empty: images
};

/// Makes the set on all ranks (collective; see build_store). Image i is a pure function of (seed, i, size). Points
/// are float32 images [1, 1, 2] (height, width, channels), point i a pure function of (seed, i).
BuildResult synthesize(Communicator& world, const SynthSettings& settings, const BuildNotes& notes);

}  // namespace langrun

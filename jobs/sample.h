// Samples of a trained run: fresh starts, Langevin steps under its energy, 8-bit images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/images.h"
#include "distributed/communicator.h"
#include "jobs/shortrun.h"
#include "jobs/source_config.h"

namespace langrun {

struct SampleConfig {
  ShortrunConfig trained;              ///< configuration of the run that is sampled, as a shortrun's
  std::optional<SourceConfig> source;  ///< a frozen generator that its chains begin from, instead of trained.init
  std::filesystem::path checkpoint;    ///< its checkpoint folder; with initial weights only for a frozen generator
  std::string weights = "average";     ///< average, raw, or initial (untrained, from the run's seed)
  LangevinConfig langevin;             ///< of these samples
  std::int64_t count = 64;             ///< images
  std::int64_t seed = 1;
  std::int64_t call = 25;  ///< images a call; its shape is part of the bits
};

/// Images [count, H, W, C] uint8 as they come: `first` is the index of the first one. Called on rank 0 alone, in order.
using SampleSink =
    std::function<void(std::int64_t first, const ImageShape& shape, const std::vector<std::uint8_t>& images)>;

/// Collective, all ranks: call c of the samples is made by rank c mod R and handed to rank 0 in order. Image i is a
/// function of (weights, seed, i, langevin, call size) alone. Clamped to [-1, 1] and rounded to 8 bits at the end.
/// Throws Error(input) where the checkpoint does not fit the configuration, Error(diverged) on non-finite images.
void sample_images(const SampleConfig& config, Communicator& world, const SampleSink& sink);

}  // namespace langrun

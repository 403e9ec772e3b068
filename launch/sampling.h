// Sampling a run folder, as the commands that want samples ask for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "jobs/sample.h"

namespace langrun::launch {

/// Samples of a run, as asked for on the command line.
struct SampleRequest {
  std::string run;               ///< its folder
  std::string weights = "best";  ///< best (average where kept, else raw), average, raw, or initial
  std::int64_t at = 0;           ///< checkpoint of this step; 0: the newest good one
  std::int64_t count = 64;       ///< images
  std::int64_t steps = -1;       ///< K; -1: the run's evaluation.steps, or its langevin.steps
  std::int64_t seed = 1;
  std::int64_t call = 25;  ///< images a network call; part of the bits
  std::int64_t threads = 1;
  std::string device = "auto";
};

/// What sample_images is to do for a request. Collective, all ranks; rank 0 reads run.cfg and picks the checkpoint.
/// The result says which weights "best" is. Throws Error(input) where the folder is no run or has no good checkpoint,
/// naming what is wrong; Error(usage) where an average is asked for that the run does not keep.
SampleConfig configure_samples(Communicator& world, const SampleRequest& request);

/// Samples into an image store: /images uint8 [N, H, W, C], /labels, and where they came from. Written whole or not at
/// all: the file appears under its name with `finish`. Used on one rank.
class SampleStore {
 public:
  SampleStore(const SampleConfig& config, const std::filesystem::path& out);
  ~SampleStore();
  SampleStore(const SampleStore&) = delete;
  SampleStore& operator=(const SampleStore&) = delete;

  /// Rows [first, first + n) of the store. Throws Error(storage) where they cannot be written.
  void add(std::int64_t first, const ImageShape& shape, const std::vector<std::uint8_t>& images);
  void finish();

 private:
  struct Contents;
  std::unique_ptr<Contents> contents_;
};

}  // namespace langrun::launch

// Long sampling into a folder: thousands of chains, listed steps, stops and resumes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/images.h"
#include "distributed/communicator.h"
#include "jobs/sample_config.h"
#include "jobs/stop_clock.h"

namespace langrun {

struct SampleFolderConfig {
  std::filesystem::path run;
  std::filesystem::path state;           ///< folder of what a resume goes on from, this start's own; it is there
  std::vector<std::int64_t> steps;       ///< listed Langevin steps, rising
  std::int64_t checkpoint_every = 1000;  ///< Langevin steps; 0: only at listed steps and stops
  std::int64_t stop_at = 0;              ///< stop once all chains have gone so far; 0: never
  StopClock stop_clock{0, 0};            ///< when to stop by time
  std::function<bool()> stop_asked;      ///< true once a signal asked this rank to stop
  /// Whether a newer start took the folder over. Asked on rank 0 every few seconds.
  std::function<bool()> overtaken;
};

/// Columns of chains.h5 so far.
struct ChainTable {
  std::vector<std::int64_t> steps;       ///< [S]
  std::vector<float> energy, magnitude;  ///< [N, S]
  std::vector<float> residual;           ///< [N, S] of a hat; empty without
  std::int64_t chains = 0;               ///< N
};

/// Takes what is sampled. Called on rank 0 alone; may throw Error.
class SampleObserver {
 public:
  virtual ~SampleObserver() = default;
  /// Once, before the first step: chains in all, whence they come.
  virtual void begin(std::int64_t chains, const ImageShape& image) = 0;
  /// Images [n, H, W, C] of a listed step, uint8 or (points of the plane) the bytes of float32, in order.
  virtual void add(std::int64_t step, std::int64_t first, const std::vector<std::uint8_t>& images) = 0;
  /// All of a listed step is there: makes it durable, the table last.
  virtual void finish(std::int64_t step, const ChainTable& table) = 0;
  /// Now and then.
  virtual void progress(std::int64_t step, std::int64_t to, std::int64_t block, std::int64_t blocks) = 0;
};

/// One sampling in a folder, set up in two parts so that what is refused leaves nothing behind.
class FolderSampling {
 public:
  /// Collective, all ranks. A sampling that goes on needs its source no more once all its chains were begun (`begun`).
  /// Throws Error(input) as ChainBlocks.
  FolderSampling(const SampleConfig& config, bool begun, Communicator& world);
  ~FolderSampling();
  std::int64_t chains() const;
  /// Where this rank computes.
  std::string device() const;
  /// Writes the energy with all its terms into a new file: what a resume reads. Rank 0 alone. Throws Error(storage).
  void keep_energy(const std::filesystem::path& file) const;

  /// Collective, all ranks: chains that were not begun are begun, all; then from listed step to listed step, all blocks
  /// of `call` chains, block b on rank b mod R, with `finished` listed steps left out. Returns done, or stopped with
  /// all state saved. Throws Error(diverged), naming chain and step; Error(storage).
  ExitCode run(const SampleFolderConfig& folder, std::size_t finished, SampleObserver& observer);

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

/// What the folder of a sampling's state is called (data/generation_folder.h).
inline constexpr const char* kSampleState = "state";

/// Whether all chains of a sampling in this folder were begun.
bool chains_begun(const std::filesystem::path& run);

}  // namespace langrun

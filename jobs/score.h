// `score`: Frechet distance of two image stores in the features of a network, shared among ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "distributed/communicator.h"

namespace langrun {

struct ScoreConfig {
  std::string a, b;              ///< image stores
  std::string features;          ///< FILE[:network], see load_feature_net
  std::int64_t count = 0;        ///< images of each store; 0: all of the smaller one
  std::string choice = "first";  ///< which: "first", or "random" (keyed by seed, without repetition)
  std::int64_t seed = 1;
  std::int64_t block = 250;  ///< images a call of the network takes; part of the result's last bits
  std::int64_t threads = 1;  ///< per rank
};

struct StoreFacts {
  std::string path;
  std::int64_t images = 0;  ///< in the store
  std::int64_t height = 0, width = 0;
};

struct ScoreResult {
  double distance = 0;
  std::int64_t count = 0;  ///< images used of each store
  StoreFacts a, b;
  std::string network, weights, weights_checksum;
  std::int64_t feature_length = 0;
  std::int64_t input_height = 0, input_width = 0;  ///< the network's; images of another size are resized
  double seconds = 0;
};

/// Told on rank 0 how many images of both stores are done.
using ScoreProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// All ranks call it alike and get the same result. Blocks of `block` images go to ranks in turn, each in one call of
/// the same shape; their features are gathered round by round and taken in by block number on rank 0, so the distance
/// has the same bits on any number of ranks with the same `threads`. Throws Error(usage) where count is not above the
/// features' length (the covariance would be singular), Error(input) for stores or weights that do not fit.
ScoreResult score(const ScoreConfig& config, Communicator& world, const ScoreProgress& progress);

}  // namespace langrun

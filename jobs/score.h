// `score`: how far two sets of images are from each other. Frechet distance in the features of a network with an
// interval from resampling, structural similarity of pairs, nearest neighbours; shared among ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/interval.h"
#include "data/statistics_file.h"
#include "distributed/communicator.h"
#include "jobs/feature_extractor.h"
#include "jobs/score_pairs.h"

namespace langrun {

struct ScoreConfig {
  std::string a, b;              ///< image stores, or files of statistics; b is empty where `statistics` is written
  FeatureNetConfig features;     ///< without a file there is no distance; two files of statistics need none
  std::int64_t count = 0;        ///< images of each store; 0: all of the smaller one, or of the only one
  std::string choice = "first";  ///< which: "first", or "random" (keyed by seed, without repetition)
  std::int64_t seed = 1;         ///< of the choice and of resampling
  std::int64_t block = 250;      ///< images a call of the network takes; part of the result's last bits
  std::int64_t threads = 1;      ///< per rank
  std::string statistics;        ///< file to write the statistics of a's features to
  bool ssim = false;             ///< structural similarity of image i of a and image i of b
  std::int64_t neighbours = 0;   ///< first images of a whose nearest in b are looked for
  std::int64_t resamples = 0;    ///< of the distance's interval; 0: none
};

/// One side of a score.
struct ScoredSide {
  ImagesUsed images;
  bool stored = false;  ///< statistics from a file, not a store
};

struct ScoreResult {
  ScoredSide a;
  std::optional<ScoredSide> b;
  std::optional<NetUsed> net;
  std::optional<double> distance;
  std::optional<ResampledInterval> interval;
  std::vector<double> similarities;  ///< of pairs, by image; empty where not asked for
  std::vector<Neighbours> neighbours;
  double seconds = 0;
};

/// Throws Error(usage) where settings do not go together; `score` calls it too. Looks at no more than which kind of
/// file A and B are.
void check_score(const ScoreConfig& config);

/// Told on rank 0 how many images are done, of how many passes over images there are in all.
using ScoreProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// All ranks call it alike and get the same result, with the same bits on any number of ranks with the same `threads`:
/// blocks of `block` images go to ranks in turn, each in one call of the same shape, and their features are taken in by
/// block number. Where images are resampled, every rank holds the features of the stores, float32.
/// Throws Error(usage) for settings that do not go together, and where a count is not above the features' length (the
/// covariance would be singular); Error(input) for stores, statistics or nets that cannot be read or do not fit;
/// Error(diverged) for features that are not finite.
ScoreResult score(const ScoreConfig& config, Communicator& world, const ScoreProgress& progress);

}  // namespace langrun

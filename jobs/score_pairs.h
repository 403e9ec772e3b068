// Image by image: structural similarity of pairs, and nearest neighbours in pixel and feature space.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/similarity.h"
#include "distributed/communicator.h"
#include "jobs/feature_rounds.h"

namespace langrun {

/// Throws Error(input) where two stores cannot be compared image by image: images of different sizes, or, with `ssim`,
/// smaller than its window.
void check_pairs(const ScoreImages& a, const ScoreImages& b, bool ssim);

/// Collective, all ranks: the structural similarity of images i of A and B, for i below `count`, on every rank. Blocks
/// go to ranks in turn. Wants check_pairs before.
std::vector<double> pair_similarity(Communicator& world, ScoreImages& a, ScoreImages& b, std::int64_t count,
                                    std::int64_t block);

/// An image of A and the nearest of all images of B.
struct Neighbours {
  std::int64_t image = 0;           ///< of A
  Nearest pixels;                   ///< root of the mean squared difference of values from 0 to 1
  std::optional<Nearest> features;  ///< Euclidean distance of features; none without a net
};

/// Collective, all ranks: the first `count` images of A. Blocks of B go to ranks in turn; the same bits on any number
/// of ranks. `net` may be null. Wants check_pairs before.
std::vector<Neighbours> nearest_neighbours(Communicator& world, FeatureExtractor* net, ScoreImages& a, ScoreImages& b,
                                           std::int64_t count, std::int64_t block, const ImagesDone& done);

}  // namespace langrun

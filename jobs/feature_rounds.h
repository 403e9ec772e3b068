// Features of a store's images, shared among ranks and gathered in order.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "distributed/communicator.h"
#include "jobs/feature_extractor.h"
#include "jobs/score_images.h"

namespace langrun {

/// Takes the features of the next images, [n, length] float32; they stand in memory that is used again.
using FeatureSink = std::function<void(const at::Tensor& features)>;
/// Told how many more images are done.
using ImagesDone = std::function<void(std::int64_t images)>;

/// Collective, all ranks: blocks of `block` images go to ranks in turn, each in one call of the same shape; their
/// features are gathered round by round and handed to `sink` by block number, on every rank alike. So what the sink
/// sees has the same bits on any number of ranks with as many threads each.
void gather_features(Communicator& world, FeatureExtractor& net, const ScoreImages& images, std::int64_t block,
                     const FeatureSink& sink, const ImagesDone& done);

}  // namespace langrun

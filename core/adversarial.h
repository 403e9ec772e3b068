// Attacks inside training (Madry et al. 2018): projected gradient ascent on the loss of a classifier.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/networks/classifier.h"
#include "core/noise_key.h"

namespace langrun {

/// Images [b, C, H, W] float32 within eps (l_inf) of `images` and in [-1, 1]: from a uniform start, `config.steps`
/// steps of alpha along the sign of the cross entropy's gradient. Batch norm by running statistics, so that an image's
/// attack is its own. Image i of the batch has the position `first` + i in the data stream, and its start depends on
/// that and the key alone. labels [b] int64. Leaves the classifier in training mode if it was, and no gradients in its
/// weights.
at::Tensor adversarial(Classifier& classifier, const at::Tensor& images, const at::Tensor& labels,
                       const AdversarialConfig& config, NoiseKey key, std::uint64_t first);

}  // namespace langrun

// One lane's part of the two updates: gradients left in the weights, for the reducer to take.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/networks/classifier.h"
#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/settings.h"

namespace langrun {

struct EnergyLaneResult {
  float data_energy;   ///< mean over the lane of U(x+)
  float chain_energy;  ///< mean over the lane of U(x-)
  float loss;          ///< what was minimised
};

/// Accumulates d/dw of the loss into the weights' gradients, means over the lane's b samples. data, chains
/// [b, C, H, W] float32; no gradient flows into them.
EnergyLaneResult energy_lane_gradients(Energy& energy, const at::Tensor& data, const at::Tensor& chains,
                                       double temperature, EnergyLoss loss = EnergyLoss::likelihood);

/// Accumulates d/dw of (weight / b) sum_i || x_i - g(z_i) ||^2, sum over pixels: weight 1 in cooperative learning, 1000
/// over the number of pixels in hat synthesis. images [b, C, H, W], latents [b, nz]. With `BatchNormUse::lane` the
/// batch-norm layers are left with this lane's statistics. Returns the loss.
float generator_lane_gradients(Generator& generator, const at::Tensor& latents, const at::Tensor& images,
                               BatchNormUse use, double weight = 1);

struct ClassifierLaneResult {
  float loss;     ///< mean cross entropy over the lane
  float correct;  ///< images whose largest logit is their label's
};

/// Accumulates d/dw of the mean cross entropy over the lane's b images. images [b, C, H, W] float32, labels [b] int64.
/// In training mode the batch-norm layers are left with this lane's statistics.
ClassifierLaneResult classifier_lane_gradients(Classifier& classifier, const at::Tensor& images,
                                               const at::Tensor& labels);

}  // namespace langrun

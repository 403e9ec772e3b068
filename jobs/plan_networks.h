// What networks cost a rank in memory and time, found on a few images here: the very calls that a training step makes,
// with every tensor recorded (core/memory_trace.h), and sizes carried on to a lane's shape.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "core/memory_trace.h"
#include "core/networks/batch_norm.h"
#include "jobs/autoencoder.h"
#include "jobs/classify.h"
#include "jobs/energy_training.h"
#include "jobs/frozen_generator.h"
#include "jobs/frozen_prior.h"

namespace langrun {

/// A network that learns, on one rank.
struct LearnerCost {
  ImageShape image;
  double weights = 0;  ///< numbers that learn
  MemoryUse state;     ///< weights, buffers and their average
  MemoryUse optimizer;
  MemoryUse pass;             ///< the most that one lane's loss and gradients hold beside the lane's images
  MemoryUse apply;            ///< the most while mean gradients are applied
  MemoryUse copies;           ///< of all that a checkpoint has of it
  double update_seconds = 0;  ///< of one image's loss and gradients, measured here
};

/// An energy that learns and is sampled from.
struct EnergyCost : LearnerCost {
  MemoryUse prior;              ///< weights of the prior energy that chains feel, and so their copies
  double sampler = 0;           ///< bytes of weights laid out for chains, and of the maps of the images at work
  MemoryUse gradient;           ///< the most that one lane's gradient holds by autograd: on a GPU
  double gradient_seconds = 0;  ///< of one image's Langevin step, measured here
};

/// A generator that learns.
struct GeneratorCost : LearnerCost {
  std::int64_t latent = 0;
  MemoryUse images;      ///< the most that a lane's images hold without a graph
  MemoryUse in_latents;  ///< with one, and back into the latents
};

/// A generator that does not.
struct FrozenGeneratorCost {
  std::int64_t latent = 0;
  MemoryUse state, copies, images, in_latents;  ///< as above
};

/// All of these set the number of threads, as the job itself would. `config.training.batch` and `lanes` give a lane's
/// images; `measure_seconds`: how long chains are timed, 0: one call. Networks are made with random weights; at most
/// kTracedImages images, or one group of a pass, are computed. Throw Error(usage) for settings that no network has.
EnergyCost energy_cost(const EnergyTrainingConfig& config, std::unique_ptr<FrozenPrior> prior, double measure_seconds);
GeneratorCost generator_cost(const GeneratorConfig& generator, const LearningConfig& learning, BatchNormUse use,
                             const TrainingConfig& training, const ImageShape& image, bool moves_latent);
FrozenGeneratorCost frozen_cost(FrozenSource& source, const TrainingConfig& training, const ImageShape& image,
                                bool moves_latent);
/// Of one that is not there yet: what `generator` describes, untrained.
FrozenGeneratorCost frozen_cost(const GeneratorConfig& generator, const TrainingConfig& training,
                                const ImageShape& image, bool moves_latent);
LearnerCost classifier_cost(const ClassifyConfig& config);
LearnerCost autoencoder_cost(const AutoencoderConfig& config);

}  // namespace langrun

#include "jobs/plan_networks.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>

#include "core/adversarial.h"
#include "core/networks/autoencoder.h"
#include "core/torch.h"
#include "core/updates.h"
#include "jobs/autoencoder_learner.h"
#include "jobs/classifier_learner.h"
#include "jobs/device.h"
#include "jobs/learner.h"

namespace langrun {
namespace {

/// A training of one lane on this processor, in fp32, whatever the real one is.
TrainingConfig alone(TrainingConfig training) {
  training.lanes = 1;
  training.device = "cpu";
  training.precision = "fp32";
  training.reduction = "tree";
  return training;
}

/// What such a training needs around it: nobody else has to be there.
struct Rehearsal {
  explicit Rehearsal(const TrainingConfig& real)
      : lane_images(langrun::lane_batch(real.batch, real.lanes)), training(alone(real)) {
    prepare_device(training, *world);
  }

  std::int64_t lane_images;
  TrainingConfig training;
  std::unique_ptr<Communicator> world = make_solo_communicator();
  Reduction reduction{training, at::kCPU, *world, Lanes{1, 0, 1}};
};

/// Rates of 0, so that random weights stay what they are.
LearningConfig without_rates(LearningConfig learning) {
  learning.learning_rate = 0;
  learning.drops.clear();
  learning.sgd_rate = 0;
  return learning;
}

template <typename Call>
double seconds_of(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

at::Tensor noise_images(std::int64_t count, const ImageShape& image) {
  return (torch::rand({count, image.channels, image.height, image.width}) * 2 - 1)
      .contiguous(at::MemoryFormat::ChannelsLast);
}

MemoryUse memory_of(const std::vector<WeightsPart>& parts) {
  MemoryUse sum;
  for (const auto& part : parts)
    for (const auto& array : part.arrays) sum = sum + MemoryUse::blocks(static_cast<double>(array.data().size_bytes()));
  return sum;
}

/// Makes a learner and takes it through steps. `add(learner, n)` gives it a lane of n images.
template <typename Learner, typename Make, typename Add, typename Parts>
std::unique_ptr<Learner> rehearse(LearnerCost& cost, const Rehearsal& rehearsal, const Make& make, const Add& add,
                                  const Parts& parts) {
  std::unique_ptr<Learner> learner;
  cost.state = trace_memory([&] { learner = make(); }).left();
  const auto finish = [&] {
    learner->wait();
    learner->take();
    learner->apply(1);
  };
  const auto few = std::min<std::int64_t>(rehearsal.lane_images, kTracedImages);
  add(*learner, few);
  cost.optimizer = trace_memory(finish).left();
  cost.pass = trace_for(
                  rehearsal.lane_images, [&](std::int64_t n) { add(*learner, n); }, finish)
                  .peak();
  cost.update_seconds = seconds_of([&] { add(*learner, few); }) / static_cast<double>(few);
  cost.apply = trace_memory(finish).peak();
  cost.copies = memory_of(parts(*learner));
  return learner;
}

/// Images that a frozen network's pass takes at a time, at most: more of them hold nothing more.
constexpr std::int64_t kMostInGroup = 16;
/// The size that every built-in classifier takes.
constexpr ImageShape kClassifiedImage{3, 32, 32};

/// Identities of n chains.
ChainNoise noise_for(std::int64_t n) {
  ChainNoise noise{noise_key(1, Stream::langevin), {}, 0};
  noise.identities.resize(static_cast<std::size_t>(n));
  std::iota(noise.identities.begin(), noise.identities.end(), 0);
  return noise;
}

/// What stays behind after the first call of a lane's shape: weights laid out for chains, and maps.
void add_sampler(EnergyCost& cost, const EnergyTrainingConfig& config, const Rehearsal& rehearsal, Energy& network,
                 std::unique_ptr<FrozenPrior> prior, double measure_seconds) {
  auto precision = config.training.precision;
  double scale = 1;
  // A plan for another machine than this: half of the bytes, about.
  if (precision == "tf32") precision = "fp32";
  if (precision == "bf16" && !processor_has_bf16()) {
    precision = "fp32";
    scale = 0.5;
  }
  const auto& image = cost.image;
  const auto threads = rehearsal.training.threads;
  const auto n = std::min(rehearsal.lane_images, threads * kMostInGroup);
  const auto x = noise_images(n, image);
  LangevinConfig one_step = config.langevin;
  one_step.steps = 1;
  const auto before = bytes_in_use();
  ChainSampler sampler(config.energy, precision, at::kCPU, 1);
  SamplingTerms terms;
  if (prior) terms = prior->terms(precision, at::kCPU);
  terms.tau = config.terms.tau;
  if (terms.any()) sampler.add_terms(std::move(terms), config.langevin.temperature);
  sampler.refresh(network);
  sampler.run(x, one_step, noise_for(n));
  const double images = 4.0 * static_cast<double>(image.elements());
  cost.sampler = (bytes_in_use() - before) * scale + images * static_cast<double>(rehearsal.lane_images - n);
  // The fastest call: what else runs on this machine only ever makes one slower.
  double spent = 0, fastest = std::numeric_limits<double>::infinity();
  do {
    const auto seconds = seconds_of([&] { sampler.run(x, one_step, noise_for(n)); });
    fastest = std::min(fastest, seconds);
    spent += seconds;
  } while (spent < measure_seconds);
  cost.gradient_seconds = fastest / static_cast<double>(n);
}

/// Latents of a lane to images: without a graph, and with one through which it goes back.
template <typename Make>
void add_images(MemoryUse& plain, MemoryUse& in_latents, std::int64_t lane_images, std::int64_t latent,
                bool moves_latent, const Make& make) {
  const auto latents = torch::randn({std::min(lane_images, kTracedImages), latent});
  const torch::NoGradGuard constant;
  plain = trace_for(lane_images, [&](std::int64_t n) { make(latents.narrow(0, 0, n)); }).peak();
  if (!moves_latent) return;
  const torch::AutoGradMode differentiated(true);
  in_latents = trace_for(lane_images, [&](std::int64_t n) {
                 const auto from = latents.narrow(0, 0, n).detach().clone().requires_grad_();
                 torch::autograd::grad({make(from).sum()}, {from});
               }).peak();
}

/// `open()` makes the generator, and keeps it.
template <typename Open>
FrozenGeneratorCost cost_of_frozen(const Rehearsal& rehearsal, bool moves_latent, const Open& open) {
  FrozenGeneratorCost cost;
  FrozenGenerator* generator = nullptr;
  cost.state = trace_memory([&] { generator = &open(); }).left();
  cost.latent = generator->latent_length();
  std::vector<WeightsPart> parts;
  parts.push_back(generator->copied());
  cost.copies = memory_of(parts);
  add_images(cost.images, cost.in_latents, rehearsal.lane_images, cost.latent, moves_latent,
             [&](const at::Tensor& from) { return generator->make(from); });
  return cost;
}

}  // namespace

EnergyCost energy_cost(const EnergyTrainingConfig& config, std::unique_ptr<FrozenPrior> prior, double measure_seconds) {
  const Rehearsal rehearsal(config.training);
  const auto learning = without_rates(config.energy_learning);
  EnergyCost cost;
  at::Tensor data, chains;
  const auto learner = rehearse<EnergyLearner>(
      cost, rehearsal,
      [&] {
        return std::make_unique<EnergyLearner>(config.energy, learning, rehearsal.training, at::kCPU,
                                               rehearsal.reduction, 0);
      },
      [&](EnergyLearner& learns, std::int64_t n) {
        if (!data.defined()) {
          data = noise_images(n, learns.image());
          chains = noise_images(n, learns.image());
        }
        learns.add_lane([&] {
          energy_lane_gradients(learns.network(), data.narrow(0, 0, n), chains.narrow(0, 0, n),
                                config.langevin.temperature, config.loss);
          return std::vector<float>{};
        });
      },
      [](const EnergyLearner& learns) {
        std::vector<WeightsPart> parts;
        learns.copy_to(parts);
        parts.push_back(copied_part("optimizer", learns.optimizer_state(), {}));
        return parts;
      });
  cost.image = learner->image();
  cost.weights = static_cast<double>(weight_count(learner->network()));
  cost.gradient = trace_for(rehearsal.lane_images, [&](std::int64_t n) {
                    learner->network().energy_and_gradient(data.narrow(0, 0, n));
                  }).peak();
  if (prior) {
    prior->open(cost.image);
    std::vector<WeightsPart> parts;
    prior->copy_to(parts);
    cost.prior = memory_of(parts);
  }
  add_sampler(cost, config, rehearsal, learner->network(), std::move(prior), measure_seconds);
  return cost;
}

GeneratorCost generator_cost(const GeneratorConfig& generator, const LearningConfig& learning, BatchNormUse use,
                             const TrainingConfig& training, const ImageShape& image, bool moves_latent) {
  const Rehearsal rehearsal(training);
  const auto still = without_rates(learning);
  GeneratorCost cost;
  cost.image = image;
  const auto images = noise_images(std::min(rehearsal.lane_images, kTracedImages), image);
  at::Tensor latents;
  const auto learner = rehearse<GeneratorLearner>(
      cost, rehearsal,
      [&] {
        return std::make_unique<GeneratorLearner>(generator, still, use, rehearsal.training, at::kCPU,
                                                  rehearsal.reduction, image);
      },
      [&](GeneratorLearner& learns, std::int64_t n) {
        if (!latents.defined()) latents = torch::randn({images.size(0), learns.latent_length()});
        learns.add_lane(latents.narrow(0, 0, n), images.narrow(0, 0, n));
      },
      [](const GeneratorLearner& learns) {
        std::vector<WeightsPart> parts;
        learns.copy_to(parts);
        parts.push_back(copied_part("optimizer", learns.optimizer_state(), {}));
        return parts;
      });
  cost.latent = learner->latent_length();
  cost.weights = static_cast<double>(learner->weights());
  add_images(cost.images, cost.in_latents, rehearsal.lane_images, cost.latent, moves_latent,
             [&](const at::Tensor& from) {
               return moves_latent ? learner->differentiable(from, false) : learner->images(from);
             });
  return cost;
}

FrozenGeneratorCost frozen_cost(FrozenSource& source, const TrainingConfig& training, const ImageShape& image,
                                bool moves_latent) {
  const Rehearsal rehearsal(training);
  return cost_of_frozen(rehearsal, moves_latent, [&]() -> FrozenGenerator& {
    source.open(image, std::min(rehearsal.lane_images, kTracedImages), at::kCPU);
    return source.generator();
  });
}

FrozenGeneratorCost frozen_cost(const GeneratorConfig& generator, const TrainingConfig& training,
                                const ImageShape& image, bool moves_latent) {
  const Rehearsal rehearsal(training);
  std::unique_ptr<FrozenGenerator> untrained;
  return cost_of_frozen(rehearsal, moves_latent, [&]() -> FrozenGenerator& {
    untrained = untrained_generator(generator, image);
    // One of a file is called once as it is opened.
    untrained->images(torch::zeros({1, untrained->latent_length()}));
    return *untrained;
  });
}

LearnerCost classifier_cost(const ClassifyConfig& config) {
  const Rehearsal rehearsal(config.training);
  const auto learning = without_rates(config.learning);
  LearnerCost cost;
  cost.image = kClassifiedImage;
  const auto images = noise_images(std::min(rehearsal.lane_images, kTracedImages), cost.image);
  const auto labels = torch::zeros({images.size(0)}, torch::kInt64);
  const auto learner = rehearse<ClassifierLearner>(
      cost, rehearsal,
      [&] {
        return std::make_unique<ClassifierLearner>(config.classifier, learning, rehearsal.training, at::kCPU,
                                                   rehearsal.reduction, std::vector<std::string>{});
      },
      [&](ClassifierLearner& learns, std::int64_t n) {
        learns.add_lane(images.narrow(0, 0, n), labels.narrow(0, 0, n));
      },
      [](const ClassifierLearner& learns) { return learns.parts(); });
  cost.weights = static_cast<double>(learner->weights());
  if (config.adversarial.steps == 0) return cost;
  auto attack = config.adversarial;
  attack.steps = 1;
  const auto attacked = trace_for(rehearsal.lane_images, [&](std::int64_t n) {
    adversarial(learner->network(), images.narrow(0, 0, n), labels.narrow(0, 0, n), attack, {}, 0);
  });
  cost.pass = largest(cost.pass, attacked.peak());
  return cost;
}

LearnerCost autoencoder_cost(const AutoencoderConfig& config) {
  const Rehearsal rehearsal(config.training);
  auto still = config;
  still.training = rehearsal.training;
  still.learning = without_rates(config.learning);
  LearnerCost cost;
  at::Tensor images;
  const auto latents = torch::randn({std::min(rehearsal.lane_images, kTracedImages), kLatentMap});
  const auto learner = rehearse<AutoencoderLearner>(
      cost, rehearsal, [&] { return std::make_unique<AutoencoderLearner>(still, at::kCPU, rehearsal.reduction); },
      [&](AutoencoderLearner& learns, std::int64_t n) {
        if (!images.defined()) images = noise_images(n, learns.image());
        learns.add_lane(images.narrow(0, 0, n), latents.narrow(0, 0, n));
      },
      [](const AutoencoderLearner& learns) { return learns.parts(); });
  cost.image = learner->image();
  cost.weights = static_cast<double>(learner->weights());
  return cost;
}

}  // namespace langrun

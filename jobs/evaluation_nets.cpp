#include "jobs/evaluation_nets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/noise.h"
#include "data/weights_file.h"
#include "distributed/agreement.h"
#include "jobs/device.h"

namespace langrun {
namespace {

TrainingConfig device_settings(const EvaluationConfig& config) {
  TrainingConfig training;
  training.threads = config.threads;
  training.device = config.device;
  return training;
}

/// Of the pathwise attacks' backward pass.
Activation smooth(const AttackConfig& attack) { return {attack.kind == "full-smooth" ? attack.sharpness : 0}; }

void check_images(const EvaluationConfig& config, const ImageStore& store) {
  for (const auto image : config.images)
    if (image >= store.count())
      throw Error(ExitCode::usage,
                  fmt::format("image {} is asked for, {} has {}", image, config.data.string(), store.count()),
                  "--images A:B is half-open: 0:N are all of N");
}

void check_classes(const EvaluationConfig& config, const std::vector<std::string>& names, const JudgeFacts& judge) {
  const auto& known = judge.class_names;
  constexpr const char* kSame = "data and classifier must have the same classes, in the same order";
  if (known.size() == names.size()) {
    const auto other = std::mismatch(names.begin(), names.end(), known.begin());
    if (other.first != names.end())
      throw Error(ExitCode::input,
                  fmt::format("classifier {} was trained with the class '{}' where {} has '{}'", config.classifier.file,
                              *other.second, config.data.string(), *other.first),
                  kSame);
  }
  if (static_cast<std::int64_t>(names.size()) == judge.classes) return;
  throw Error(ExitCode::input,
              fmt::format("classifier {} tells {} classes apart, {} has {}", config.classifier.file, judge.classes,
                          config.data.string(), names.size()),
              kSame);
}

}  // namespace

EvaluationNets::EvaluationNets(const EvaluationConfig& config, Communicator& world)
    : device_(prepare_device(device_settings(config), world)) {
  agree(world, "open data, energy and classifier", [&] { open(config); });
  if (!energy_) return;
  // One rank that sees a difference is enough: calls have to be of one shape everywhere.
  std::array<std::int64_t, 1> bound{!place_free_};
  world.maximum("places of a call", bound);
  place_free_ = bound[0] == 0;
  make_pool(config);
}

void EvaluationNets::open(const EvaluationConfig& config) {
  store_.emplace(ImageStore::open(config.data));
  check_images(config, *store_);
  judge_ = open_judge_net(config.classifier, store_->shape(), config.packing.classifier_call,
                          config.attack.kind != "none", device_);
  check_classes(config, store_->classes(), judge_->facts());
  calls_.emplace(*judge_);
  if (config.defended) open_energy(config);
}

void EvaluationNets::open_energy(const EvaluationConfig& config) {
  energy_.emplace(config.energy, device_);
  if (!(energy_->image() == store_->shape())) {
    const auto a = energy_->image(), b = store_->shape();
    throw Error(ExitCode::input,
                fmt::format("the energy takes images of {} x {} x {}, {} has {} x {} x {}", a.height, a.width,
                            a.channels, config.data.string(), b.height, b.width, b.channels),
                "import the images at the energy's size");
  }
  const bool pathwise = attacks_pathwise(config.attack);
  place_free_ =
      energy_->keeps_places(config.packing.call, pathwise ? std::optional(smooth(config.attack)) : std::nullopt);
}

void EvaluationNets::make_pool(const EvaluationConfig& config) {
  const auto steps = config.langevin.steps;
  // A gradient's way back keeps a state a round and those of one round: fewest where both are sqrt(K).
  const auto about =
      attacks_pathwise(config.attack) ? std::llround(std::sqrt(static_cast<double>(steps))) : std::int64_t{32};
  round_steps_ = steps_of_round(steps, std::max<std::int64_t>(about, 1));
  auto langevin = config.langevin;
  langevin.temperature = energy_->temperature();
  pool_.emplace(energy_->sampler(), energy_->curvature(smooth(config.attack)),
                ChainPoolConfig{langevin, noise_key(static_cast<std::uint64_t>(config.seed), Stream::evaluation_chain),
                                place_free_ ? config.packing.call : 1, round_steps_});
}

void EvaluationNets::keep_energy(const std::filesystem::path& path) const {
  write_weights_file(path, energy_->parts());
}

}  // namespace langrun

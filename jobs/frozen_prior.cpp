#include "jobs/frozen_prior.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/networks/energy.h"
#include "core/torch.h"
#include "data/hdf5.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"

namespace langrun {
namespace {

constexpr const char* kPart = "prior";

}  // namespace

FrozenPrior::FrozenPrior(const EnergyTrainingConfig& config, Communicator& world)
    : config_(config.terms),
      file_(config.training.from_checkpoint
                ? ""
                : find_weights(world, config.terms.prior, "prior energy", false, config.passed_over)) {}

void FrozenPrior::open(const ImageShape& image) {
  if (file_.empty()) return;
  if (!h5::looks_like_hdf5(file_))
    throw Error(ExitCode::input, fmt::format("prior energy {} is not a file of weights (HDF5)", file_),
                "name a run of `midrun --prior`, or a file of `langrun weights import`");
  const WeightsFile file(file_);
  take(read_energy(file, chosen_part(file, "energy", config_.prior_weights)), image, file_);
}

void FrozenPrior::restore(const WeightsFile& file, const ImageShape& image) {
  take(read_energy(file, kPart), image, file.path().string());
}

void FrozenPrior::take(TrainedEnergy trained, const ImageShape& image, const std::string& where) {
  const auto input = trained.network->input();
  if (!(input == image))
    throw Error(ExitCode::input,
                fmt::format("prior energy {} takes {}x{}x{} images, the energy {}x{}x{}", where, input.channels,
                            input.height, input.width, image.channels, image.height, image.width),
                "choose a prior and an energy of one size");
  if (config_.prior_temperature > 0) trained.temperature = config_.prior_temperature;
  if (trained.temperature <= 0)
    throw Error(ExitCode::input, fmt::format("{} does not say the temperature of its energy", where),
                "give --prior.temperature");
  trained_ = std::move(trained);
  where_ = where;
}

SamplingTerms FrozenPrior::terms(const std::string& precision, const at::Device& device) const {
  SamplingTerms terms;
  terms.prior = std::make_unique<FrozenEnergy>(trained_.config, precision, device);
  terms.prior->refresh(*trained_.network);
  terms.prior_temperature = trained_.temperature;
  return terms;
}

void FrozenPrior::copy_to(std::vector<WeightsPart>& parts) const {
  auto facts = facts_of(trained_.config);
  facts["temperature"] = fmt::format("{}", trained_.temperature);
  parts.push_back(copied_part(kPart, named_state(*trained_.network), facts));
}

std::string FrozenPrior::description() const {
  if (!ready()) return "a prior, from the checkpoint";
  return fmt::format("{} of {}, T {}", trained_.config.network, where_, trained_.temperature);
}

}  // namespace langrun

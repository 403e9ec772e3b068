#include "jobs/plan.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "distributed/lanes.h"
#include "jobs/chain_start.h"
#include "jobs/frozen_generator.h"
#include "jobs/frozen_prior.h"
#include "jobs/plan_memory.h"
#include "jobs/plan_networks.h"

namespace langrun {
namespace {

/// What is being put together. A lane's latents are left out: they are nothing beside its images.
struct Parts {
  RankNeeds needs;
  JobPlan plan;
};

bool on_gpu(const TrainingConfig& training) {
  return training.device == "cuda" || (training.device == "auto" && at::hasCUDA());
}

Parts begin(const TrainingConfig& training, const PlanPlace& place) {
  const auto lanes = lanes_of(training.lanes, 0, static_cast<int>(place.ranks));
  Parts parts;
  auto& plan = parts.plan;
  plan.job = training.job;
  plan.ranks = place.ranks;
  plan.lanes = training.lanes;
  plan.owned = lanes.owned;
  plan.batch = training.batch;
  plan.lane_batch = lane_batch(training.batch, training.lanes);
  plan.threads = training.threads;
  plan.gpu = on_gpu(training);
  plan.checkpoint_every = training.checkpoint_every > 0 ? training.checkpoint_every : training.steps;
  plan.checkpoint_keep = training.checkpoint_keep;
  auto& needs = parts.needs;
  needs.ranks = plan.ranks;
  needs.lanes = plan.lanes;
  needs.owned = plan.owned;
  needs.lane_batch = plan.lane_batch;
  needs.gpu = plan.gpu;
  needs.exit = place.exit_bytes;
  needs.libraries = place.idle_bytes;
  return parts;
}

void add_learner(Parts& parts, const LearnerCost& cost) {
  auto& [needs, plan] = parts;
  needs.image = plan.image = cost.image;
  needs.weights = needs.weights + cost.state;
  needs.optimizer = needs.optimizer + cost.optimizer;
  needs.copies = needs.copies + cost.copies;
  needs.gradients.push_back(cost.weights);
  needs.update = largest(needs.update, cost.pass);
  // Gradients of all networks are there before the first is applied.
  needs.apply = needs.apply + cost.apply;
  plan.weights += cost.weights;
  plan.update_seconds += cost.update_seconds;
}

void add_energy(Parts& parts, const EnergyTrainingConfig& config, const EnergyCost& cost, double chains) {
  add_learner(parts, cost);
  parts.needs.weights = parts.needs.weights + cost.prior;
  parts.needs.copies = parts.needs.copies + cost.prior;
  parts.needs.sampler = cost.sampler;
  const auto calls = static_cast<double>(std::min<std::int64_t>(4, parts.needs.owned));
  parts.needs.gpu_sampler = {cost.gradient.total() * calls, 0};
  parts.plan.gradient_seconds = cost.gradient_seconds;
  parts.plan.chain_images = static_cast<double>(config.training.batch) * chains;
  parts.plan.image_steps = parts.plan.chain_images * static_cast<double>(config.langevin.steps);
}

void add_frozen(Parts& parts, const FrozenGeneratorCost& cost) {
  parts.needs.weights = parts.needs.weights + cost.state;
  parts.needs.copies = parts.needs.copies + cost.copies;
  parts.needs.sampling = largest(parts.needs.sampling, largest(cost.images, cost.in_latents));
}

void check_bank(const BankNeeds& bank, const Parts& parts, const char* option) {
  const auto& needs = parts.needs;
  if (bank.slots / needs.lanes < needs.lane_batch)
    throw Error(ExitCode::usage,
                fmt::format("a bank of {} has {} slots a lane, a step draws {}", bank.slots, bank.slots / needs.lanes,
                            needs.lane_batch),
                fmt::format("use {} {} or more", option, needs.lane_batch * needs.lanes));
}

void add_bank(Parts& parts, const BankNeeds& bank, const char* option = "--bank.size") {
  check_bank(bank, parts, option);
  parts.needs.banks.push_back(bank);
}

JobPlan finish(Parts parts) {
  auto& [needs, plan] = parts;
  // Last: what computing has brought in by now is what a run has of libraries, too.
  give_back_unused();
  needs.libraries += resident_bytes();
  auto memory = memory_of(needs);
  plan.memory = std::move(memory.parts);
  plan.other_ranks_less = memory.other_ranks_less;
  double banks = 0, own_banks = 0;
  for (const auto& bank : needs.banks) {
    const double slot = 4.0 * static_cast<double>(needs.image.elements() + bank.latent) + 16;
    banks += slot * static_cast<double>(bank.slots);
    own_banks += bank_of_rank(bank, needs).total();
  }
  plan.fixed_checkpoint_bytes = needs.copies.total();
  plan.checkpoint_bytes = banks + needs.copies.total();
  plan.rank_checkpoint_bytes = own_banks + needs.copies.total();
  plan.read_bytes = static_cast<double>(plan.batch * needs.image.elements());
  return plan;
}

std::int64_t slots_or_images(std::int64_t slots, const PlanPlace& place) {
  if (slots > 0) return slots;
  if (place.images > 0) return place.images;
  throw Error(ExitCode::usage, "the bank has one slot for each training image, and their number is not known",
              "name the store with --data, or say --images N or --bank.size N");
}

/// The generator that chains begin from, where one is named.
std::unique_ptr<FrozenSource> named_source(const SourceConfig& config, Communicator& world) {
  return frozen_source(config, false, world);
}

std::unique_ptr<FrozenPrior> named_prior(const EnergyTrainingConfig& config, Communicator& world) {
  return config.terms.prior.empty() ? nullptr : std::make_unique<FrozenPrior>(config, world);
}

/// A hat's generator: one that learns, a frozen one, or in the place of one that is not named what the settings of the
/// generator describe.
void add_hat_generator(Parts& parts, const HatConfig& config, std::unique_ptr<FrozenSource> source, bool moves_latent) {
  const auto image = parts.plan.image;
  if (source) return add_frozen(parts, frozen_cost(*source, config.training, image, moves_latent));
  if (hat_mode(config.mode) != HatMode::synthesis)
    return add_frozen(parts, frozen_cost(config.generator, config.training, image, moves_latent));
  const auto cost = generator_cost(config.generator, config.generator_learning, BatchNormUse::off, config.training,
                                   image, moves_latent);
  add_learner(parts, cost);
  parts.needs.sampling = largest(cost.images, cost.in_latents);
  if (config.pairs == "historical") add_bank(parts, {config.bank_size, cost.latent});
}

/// Jobs in which nothing learns but an energy, on banks; each owned lane holds, for each bank, starts and chains.
JobPlan plan_persistent(const EnergyTrainingConfig& config, const PlanPlace& place, const std::vector<BankNeeds>& banks,
                        std::unique_ptr<FrozenSource> source, std::unique_ptr<FrozenPrior> prior) {
  auto parts = begin(config.training, place);
  const auto chains = static_cast<double>(banks.size());
  add_energy(parts, config, energy_cost(config, std::move(prior), place.measure_seconds), chains);
  if (source) add_frozen(parts, frozen_cost(*source, config.training, parts.plan.image, false));
  source.reset();  // what is resident in the end counts as libraries
  for (const auto& bank : banks) add_bank(parts, bank);
  parts.needs.sampling_images = 1 + 2 * chains;
  parts.needs.update_images = 1 + chains;
  parts.needs.panels = 3 + chains;
  return finish(std::move(parts));
}

}  // namespace

double JobPlan::host_bytes() const {
  double sum = 0;
  for (const auto& part : memory) sum += part.on_gpu ? 0 : part.bytes;
  return sum;
}

double JobPlan::gpu_bytes() const {
  double sum = 0;
  for (const auto& part : memory) sum += part.on_gpu ? part.bytes : 0;
  return sum;
}

double JobPlan::exchanged_bytes(std::int64_t on_ranks) const {
  const auto r = static_cast<double>(on_ranks);
  return 4 * weights * 2 * (r - 1) / r;
}

JobPlan plan_job(const ShortrunConfig& config, const PlanPlace& place, Communicator&) {
  auto parts = begin(config.training, place);
  const auto start = chain_start(config.init);
  add_energy(parts, config, energy_cost(config, nullptr, place.measure_seconds), 1);
  BankNeeds bank{config.bank_size, 0};
  if (uses_generator(start)) {
    const auto use = config.batch_norm == "lane" ? BatchNormUse::lane : BatchNormUse::off;
    const auto cost = generator_cost(config.generator, config.generator_learning, use, config.training,
                                     parts.plan.image, start == ChainStart::coop_inference);
    add_learner(parts, cost);
    parts.needs.sampling = cost.images;
    parts.needs.update = largest(parts.needs.update, cost.in_latents);
    bank.latent = cost.latent;
  }
  if (uses_bank(start)) add_bank(parts, bank);
  parts.needs.sampling_images = 3;  // data, starts, chains
  parts.needs.update_images = 2;
  return finish(std::move(parts));
}

JobPlan plan_job(const MidrunConfig& config, const PlanPlace& place, Communicator& world) {
  (void)rejuvenation_probability(config);
  EnergyTrainingConfig training = config;
  training.terms.tau = config.prior ? config.tau : 0;
  return plan_persistent(training, place, {{slots_or_images(config.bank_size, place), 0}},
                         named_source(config.source, world), nullptr);
}

JobPlan plan_job(const LongrunConfig& config, const PlanPlace& place, Communicator& world) {
  return plan_persistent(config, place, {{config.update_size, 0}, {config.burn_in_size, 0}},
                         named_source(config.source, world), named_prior(config, world));
}

JobPlan plan_job(const ConvergentConfig& config, const PlanPlace& place, Communicator&) {
  EnergyTrainingConfig training = config;
  training.energy_learning.sgd_from = config.sgd_from;
  return plan_persistent(training, place, {{slots_or_images(config.bank_size, place), 0}}, nullptr, nullptr);
}

JobPlan plan_job(const HatConfig& config, const PlanPlace& place, Communicator& world) {
  check_hat_mode(config);
  auto source = named_source(config.source, world);
  const auto mode = hat_mode(config.mode);
  EnergyTrainingConfig training = config;
  if (mode == HatMode::ddls) training.loss = EnergyLoss::logistic;
  const bool moves_latent = training_chains(config).pair.moves_latent;
  auto parts = begin(config.training, place);
  add_energy(parts, training, energy_cost(training, nullptr, place.measure_seconds), 1);
  add_hat_generator(parts, config, std::move(source), moves_latent);
  const auto images = hat_images(config);
  parts.needs.sampling_images = parts.needs.update_images = static_cast<double>(images.each_lane);
  const double lane = 4.0 * static_cast<double>(parts.plan.lane_batch * parts.plan.image.elements());
  parts.needs.sampling = parts.needs.sampling + MemoryUse::blocks(lane, static_cast<double>(images.moving));
  parts.needs.panels = 5;
  if (mode == HatMode::ddls) parts.plan.image_steps = 0;  // chains of training are the generator's images
  return finish(std::move(parts));
}

JobPlan plan_job(const AutoencoderConfig& config, const PlanPlace& place, Communicator&) {
  auto parts = begin(config.training, place);
  add_learner(parts, autoencoder_cost(config));
  parts.needs.update_images = 1;
  parts.needs.panels = 3;
  parts.needs.pictures_of_chains = false;
  return finish(std::move(parts));
}

JobPlan plan_job(const ClassifyConfig& config, const PlanPlace& place, Communicator&) {
  auto parts = begin(config.training, place);
  add_learner(parts, classifier_cost(config));
  parts.needs.update_images = 1;
  parts.needs.panels = 3;
  parts.needs.pictures_of_chains = false;
  return finish(std::move(parts));
}

}  // namespace langrun

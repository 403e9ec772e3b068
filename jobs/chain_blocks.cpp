#include "jobs/chain_blocks.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/sphere.h"
#include "core/torch.h"
#include "jobs/device.h"
#include "jobs/latent_gradient.h"
#include "jobs/points_panel.h"

namespace langrun {
namespace {

// First of all, since looking for a generator is a collective.
std::unique_ptr<SampleStart> looked_for(const SampleConfig& config, Communicator& world, bool with_source) {
  if (!with_source && !config.hat) return nullptr;
  return std::make_unique<SampleStart>(config.start, world);
}

TrainingConfig device_settings(const SampleConfig& config) {
  TrainingConfig settings;
  settings.threads = config.threads;
  settings.device = config.device;
  return settings;
}

std::int64_t checked_count(std::int64_t asked, std::int64_t there, const std::string& source) {
  if (there == 0 && asked == 0)
    throw Error(ExitCode::usage, fmt::format("--count 0 is all that the source has, and {} has no end", source),
                "say how many with --count");
  if (there > 0 && asked > there)
    throw Error(ExitCode::input, fmt::format("{} begins {} chains, {} are asked for", source, there, asked),
                "--count 0 takes them all");
  return asked > 0 ? asked : there;
}

}  // namespace

ChainBlocks::ChainBlocks(const SampleConfig& config, Communicator& world, bool with_source)
    : config_(config), start_(looked_for(config, world, with_source)),
      device_(prepare_device(device_settings(config), world)), keys_(static_cast<std::uint64_t>(config.seed)),
      energy_(config.energy, device_), count_(config.count) {
  if (!start_) return;
  start_->open(image(), config.call, device_);
  if (config.hat && config.hat->pair.moves_latent) check_latent_gradient(*start_->generator(), config.call);
  if (with_source) count_ = checked_count(config.count, start_->count(), start_->description());
}

std::vector<std::uint64_t> ChainBlocks::places(std::int64_t number) const {
  std::vector<std::uint64_t> places;
  for (std::int64_t i = 0; i < config_.call; ++i)
    places.push_back(static_cast<std::uint64_t>(number * config_.call + i));
  return places;
}

ImageFunction ChainBlocks::generated() {
  return [this](const at::Tensor& latents) { return start_->generator()->make(latents); };
}

std::int64_t ChainBlocks::latent_length() { return config_.hat ? start_->generator()->latent_length() : 0; }

ChainBlock ChainBlocks::begin(std::int64_t number) {
  const auto which = places(number);
  if (!config_.hat) return take_up(number, 0, start_->begin(which, keys_.sample), {}, {});
  auto latents = start_->latents(which, keys_.sample);
  if (config_.hat->sphere) latents = on_sphere(latents);
  const auto pairs = begin_pairs(*config_.hat, latents, generated(), which, keys_.residual_start);
  return take_up(number, 0, pairs.residuals, latents, {});
}

at::Tensor ChainBlocks::kept(const ChainBlock& block) {
  return block.pairs.residuals.defined() ? block.pairs.residuals : block.chains;
}

ChainBlock ChainBlocks::take_up(std::int64_t number, std::int64_t step, const at::Tensor& kept,
                                const at::Tensor& latents, const std::vector<double>& magnitudes) {
  const torch::NoGradGuard constant;
  ChainBlock block{number, step, kept.to(device_).contiguous(at::MemoryFormat::ChannelsLast), {}, magnitudes};
  block.magnitudes.resize(static_cast<std::size_t>(config_.call));
  if (!config_.hat) return block;
  block.pairs = {latents, block.chains, generated()(latents)};
  block.chains = block.pairs.images();
  return block;
}

ChainNoise ChainBlocks::noise(const ChainBlock& block) const {
  ChainNoise noise{keys_.sample, {}, static_cast<std::uint32_t>(block.step)};
  for (std::int64_t i = 0; i < config_.call; ++i)
    noise.identities.push_back(chain_identity(static_cast<std::uint64_t>(block.number * config_.call + i), 1));
  return noise;
}

void ChainBlocks::advance(ChainBlock& block, std::int64_t to) {
  const torch::NoGradGuard constant;
  auto langevin = config_.langevin;
  langevin.temperature = energy_.temperature();
  langevin.steps = std::min(to, (block.step / kPiece + 1) * kPiece) - block.step;
  if (langevin.steps <= 0) return;
  const auto magnitudes = config_.hat ? advance_pairs(block, langevin) : advance_chains(block, langevin);
  block.step += langevin.steps;
  const auto means = magnitudes.to(torch::kCPU).contiguous();
  for (std::size_t i = 0; i < block.magnitudes.size(); ++i)
    block.magnitudes[i] += static_cast<double>(means.const_data_ptr<float>()[i]) * static_cast<double>(langevin.steps);
  check_finite(block);
}

at::Tensor ChainBlocks::advance_chains(ChainBlock& block, const LangevinConfig& langevin) {
  const auto sampled = energy_.sampler().start(block.chains, langevin, noise(block));
  energy_.sampler().finish();
  block.chains = sampled.chains;
  return sampled.record.gradient_magnitude;
}

at::Tensor ChainBlocks::advance_pairs(ChainBlock& block, const LangevinConfig& langevin) {
  auto hat = *config_.hat;
  hat.pair.temperature = langevin.temperature;
  hat.pair.residual_eta = langevin.eta;
  hat.pair.max_norm = langevin.max_norm;
  const auto identities = noise(block);
  PairRecord record;
  block.pairs = walk_pairs(energy_.sampler(), generated(), block.pairs, hat, langevin.steps,
                           {keys_.latent_chain, identities.key, identities.identities, identities.first_step}, &record);
  block.chains = block.pairs.images();
  return hat.pair.moves_residual ? record.residual_magnitude : record.latent_magnitude;
}

void ChainBlocks::check_finite(const ChainBlock& block) const {
  const auto finite = torch::isfinite(block.chains).flatten(1).all(1).to(torch::kCPU);
  // What fills up the last block nobody has asked for.
  const auto asked = std::min(config_.call, count_ - block.number * config_.call);
  for (std::int64_t i = 0; i < asked; ++i) {
    if (finite.const_data_ptr<bool>()[i]) continue;
    throw Error(
        ExitCode::diverged,
        fmt::format("chain {} is not finite after {} Langevin steps", block.number * config_.call + i, block.step),
        "use a smaller --langevin.eta, fewer steps, or another checkpoint");
  }
}

std::vector<float> ChainBlocks::energies(const ChainBlock& block) {
  const torch::NoGradGuard constant;
  const auto energy = energy_.sampler().gradient(block.chains).energy.to(torch::kCPU).contiguous();
  return {energy.const_data_ptr<float>(), energy.const_data_ptr<float>() + energy.numel()};
}

std::vector<float> ChainBlocks::residual_sizes(const ChainBlock& block) const {
  if (!config_.hat) return {};
  const auto sizes = residual_size(block.pairs.residuals).to(torch::kCPU).contiguous();
  return {sizes.const_data_ptr<float>(), sizes.const_data_ptr<float>() + sizes.numel()};
}

at::Tensor ChainBlocks::shown(const ChainBlock& block) const {
  constexpr double kResidualGain = 4;  // residuals are small
  if (!config_.hat || config_.view == PairView::sum) return block.chains;
  return config_.view == PairView::generated ? block.pairs.generated : block.pairs.residuals * kResidualGain;
}

std::vector<WeightsPart> ChainBlocks::parts() {
  auto parts = energy_.parts();
  if (!config_.hat) return parts;
  parts.push_back(start_->generator()->copied());
  for (const auto& [key, value] : facts_of(*config_.hat)) parts.back().facts["hat_" + key] = value;
  return parts;
}

at::Tensor ChainBlocks::as_bytes(const at::Tensor& chains) {
  if (are_points({chains.size(1), chains.size(2), chains.size(3)}))
    return chains.permute({0, 2, 3, 1}).contiguous().cpu().view(torch::kUInt8);
  return ((chains.clamp(-1, 1) + 1) * 127.5).round().to(torch::kUInt8).permute({0, 2, 3, 1}).contiguous().cpu();
}

}  // namespace langrun

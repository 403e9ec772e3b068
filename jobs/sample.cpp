#include "jobs/sample.h"

#include <fmt/format.h>

#include <optional>

#include "core/chain_sampler.h"
#include "core/error.h"
#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/torch.h"
#include "distributed/agreement.h"
#include "jobs/chain_start.h"
#include "jobs/chain_starts.h"
#include "jobs/device.h"
#include "jobs/frozen_generator.h"
#include "jobs/module_weights.h"
#include "jobs/run_keys.h"
#include "jobs/training_data.h"

namespace langrun {
namespace {

class Sampler {
 public:
  Sampler(const SampleConfig& config, Communicator& world)
      : config_(config), start_(chain_start(config.trained.init)), source_(frozen_source(config, world)),
        device_(prepare_device(config.trained.training, world)), keys_(static_cast<std::uint64_t>(config.seed)),
        energy_(make_energy(config.trained.energy, static_cast<std::uint64_t>(config.trained.training.seed))),
        sampler_(config.trained.energy, config.trained.training.precision, device_) {
    const auto seed = static_cast<std::uint64_t>(config.trained.training.seed);
    if (!source_ && uses_generator(start_)) generator_ = make_generator(config.trained.generator, seed);
    if (config.weights != "initial") load();
    energy_->to(device_);
    if (generator_) generator_->to(device_);
    sampler_.refresh(*energy_);
    if (source_) {
      source_->open(energy_->input(), config.call, device_);
      source_->restore(WeightsFile(config.checkpoint / "weights.h5"));
      return;
    }
    // Data is opened only where chains begin with it.
    if (start_ == ChainStart::data || start_ == ChainStart::data_persistent)
      data_.emplace(config.trained.training, Lanes{1, 0, 1}, energy_->input());
  }

  ImageShape shape() const { return energy_->input(); }

  /// Images [call, H, W, C] uint8 of call `number`; the last call is made whole too.
  at::Tensor call(std::int64_t number) {
    const torch::NoGradGuard constant;
    std::vector<std::uint64_t> places;
    for (std::int64_t i = 0; i < config_.call; ++i)
      places.push_back(static_cast<std::uint64_t>(number * config_.call + i));
    ChainNoise noise{keys_.sample, {}, 0};
    for (const auto place : places) noise.identities.push_back(chain_identity(place, 1));
    const auto chains = sampler_.run(begin(places).to(device_), config_.langevin, noise);
    if (!torch::isfinite(chains).all().item<bool>())
      throw Error(ExitCode::diverged, fmt::format("samples {} and following are not finite", places.front()),
                  "use fewer --langevin.steps, or another checkpoint");
    return ((chains.clamp(-1, 1) + 1) * 127.5).round().to(torch::kUInt8).permute({0, 2, 3, 1}).contiguous().cpu();
  }

 private:
  void load() {
    const WeightsFile file(config_.checkpoint / "weights.h5");
    const std::string suffix = config_.weights == "average" ? "_average" : "";
    if (!suffix.empty() && !file.has("energy" + suffix))
      throw Error(ExitCode::usage, "this run keeps no average of its weights", "use --weights raw");
    read_part(file, "energy" + suffix, named_state(*energy_));
    if (generator_) read_part(file, "generator" + suffix, named_state(*generator_));
  }

  // First of all, since looking for its file is a collective. A checkpoint has what is needed of a built-in network.
  static std::unique_ptr<FrozenSource> frozen_source(const SampleConfig& config, Communicator& world) {
    if (!config.source) return nullptr;
    return std::make_unique<FrozenSource>(*config.source, true, world);
  }

  at::Tensor begin(const std::vector<std::uint64_t>& places) {
    if (source_) return source_->fresh(places, 0, keys_.sample).images;
    if (generator_) {
      const auto latents = fresh_latents(places, 0, keys_.sample, generator_->latent_length());
      const bool running = config_.trained.batch_norm == "lane";
      return generator_->generate(latents.to(device_), running ? BatchNormUse::running : BatchNormUse::off);
    }
    if (data_) return data_images(*data_, places, 0, keys_.sample);
    return uniform_images(energy_->input(), places, 0, keys_.sample);
  }

  const SampleConfig& config_;
  ChainStart start_;
  std::unique_ptr<FrozenSource> source_;
  at::Device device_;
  RunKeys keys_;
  std::shared_ptr<Energy> energy_;
  std::shared_ptr<Generator> generator_;
  ChainSampler sampler_;
  std::optional<TrainingData> data_;
};

}  // namespace

void sample_images(const SampleConfig& config, Communicator& world, const SampleSink& sink) {
  std::optional<Sampler> sampler;
  agree(world, "set up", [&] { sampler.emplace(config, world); });
  const auto calls = (config.count + config.call - 1) / config.call;
  for (std::int64_t first = 0; first < calls; first += world.size()) {
    at::Tensor images = torch::empty({0}, torch::kUInt8);
    agree(world, "sample", [&] {
      if (first + world.rank() < calls) images = sampler->call(first + world.rank());
    });
    const auto* bytes = reinterpret_cast<const std::byte*>(images.const_data_ptr<std::uint8_t>());
    const auto all = world.gather_all("samples", {bytes, static_cast<std::size_t>(images.numel())});
    agree(world, "keep samples", [&] {
      if (world.rank() != 0) return;
      for (std::size_t r = 0; r < all.size(); ++r) {
        const auto index = (first + static_cast<std::int64_t>(r)) * config.call;
        if (index >= config.count) break;
        const auto* begin = reinterpret_cast<const std::uint8_t*>(all[r].data());
        const auto size = all[r].size() / static_cast<std::size_t>(config.call);
        const auto kept = static_cast<std::size_t>(std::min(config.call, config.count - index));
        sink(index, sampler->shape(), std::vector<std::uint8_t>(begin, begin + kept * size));
      }
    });
  }
}

}  // namespace langrun

#include "jobs/sample_start.h"

#include <fmt/format.h>

#include <optional>

#include "core/networks/generator.h"
#include "core/torch.h"
#include "jobs/chain_starts.h"
#include "jobs/finite_source.h"
#include "jobs/frozen_generator.h"
#include "jobs/training_data.h"

namespace langrun {
namespace {

/// Images of a generator as a run begins with it.
class UntrainedSource final : public ChainSource {
 public:
  UntrainedSource(const SampleStartConfig& config, const at::Device& device)
      : device_(device), generator_(make_generator(config.untrained, static_cast<std::uint64_t>(config.weights_seed))),
        use_(config.batch_norm ? BatchNormUse::running : BatchNormUse::off) {
    generator_->to(device);
  }
  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) override {
    const auto latents = fresh_latents(slots, step, key, generator_->latent_length());
    return {generator_->generate(latents.to(device_), use_), latents};
  }
  std::string description() const override { return "an untrained generator"; }

 private:
  at::Device device_;
  std::shared_ptr<Generator> generator_;
  BatchNormUse use_;
};

/// A store's images drawn at random.
class DrawnSource final : public ChainSource {
 public:
  DrawnSource(const std::string& store, const ImageShape& image) : data_(store, image), source_(data_), store_(store) {}
  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) override {
    return source_.fresh(slots, step, key);
  }
  std::string description() const override { return fmt::format("data of {}, drawn with replacement", store_); }

 private:
  TrainingData data_;
  DataSource source_;
  std::string store_;
};

}  // namespace

struct SampleStart::Parts {
  std::unique_ptr<ChainSource> source;
  FrozenSource* frozen = nullptr;        // the same, where it is one
  const FiniteSource* finite = nullptr;  // the same, where it is one

  void take(std::unique_ptr<FiniteSource> made) {
    finite = made.get();
    source = std::move(made);
  }
};

SampleStart::SampleStart(const SampleStartConfig& config, Communicator& world)
    : config_(config), parts_(std::make_unique<Parts>()) {
  if (config.kind != SampleStartKind::generator && config.kind != SampleStartKind::checkpoint) return;
  // A checkpoint has what is needed of a built-in network: the generator's own file may be gone.
  auto frozen = std::make_unique<FrozenSource>(config.generator, config.kind == SampleStartKind::checkpoint, world);
  parts_->frozen = frozen.get();
  parts_->source = std::move(frozen);
}

SampleStart::~SampleStart() = default;

void SampleStart::open(const ImageShape& image, std::int64_t call, const at::Device& device) {
  switch (config_.kind) {
    case SampleStartKind::noise: parts_->source = std::make_unique<UniformSource>(image); return;
    case SampleStartKind::generator: parts_->frozen->open(image, call, device); return;
    case SampleStartKind::checkpoint:
      parts_->frozen->open(image, call, device);
      parts_->frozen->restore(WeightsFile(config_.path));
      return;
    case SampleStartKind::untrained: parts_->source = std::make_unique<UntrainedSource>(config_, device); return;
    case SampleStartKind::drawn: parts_->source = std::make_unique<DrawnSource>(config_.path.string(), image); return;
    case SampleStartKind::data:
      return parts_->take(make_store_source(config_.path.string(), image, static_cast<std::uint64_t>(config_.seed)));
    case SampleStartKind::bank: return parts_->take(make_bank_source(config_.path, config_.group, image));
    case SampleStartKind::images: return parts_->take(make_images_source(config_.path, config_.resize, image));
  }
}

std::int64_t SampleStart::count() const { return parts_->finite != nullptr ? parts_->finite->count() : 0; }

at::Tensor SampleStart::begin(const std::vector<std::uint64_t>& places, NoiseKey key) {
  const torch::NoGradGuard constant;
  return parts_->source->fresh(places, 0, key).images;
}

std::string SampleStart::description() const { return parts_->source->description(); }

}  // namespace langrun

#include "jobs/sample_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/networks/generator.h"
#include "core/torch.h"
#include "jobs/chain_starts.h"
#include "jobs/finite_source.h"
#include "jobs/frozen_generator.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/training_data.h"

namespace langrun {
namespace {

/// A generator as a run begins with it.
class UntrainedGenerator final : public FrozenGenerator {
 public:
  UntrainedGenerator(const SampleStartConfig& config, const at::Device& device)
      : config_(config.untrained), device_(device),
        generator_(make_generator(config_, static_cast<std::uint64_t>(config.weights_seed))),
        use_(config.batch_norm ? BatchNormUse::running : BatchNormUse::off) {
    generator_->to(device);
    hold_constant(*generator_);
  }
  std::int64_t latent_length() const override { return generator_->latent_length(); }
  at::Tensor make(const at::Tensor& latents) override { return generator_->generate(latents.to(device_), use_); }
  double factor() const override { return config_.factor; }
  std::vector<at::Tensor> state() const override {
    std::vector<at::Tensor> tensors;
    for (const auto& [name, tensor] : named_state(*generator_)) tensors.push_back(tensor);
    return tensors;
  }
  WeightsPart copied() const override {
    auto facts = facts_of(config_);
    facts["batch_norm"] = use_ == BatchNormUse::off ? "off" : "running";
    return copied_part("source", named_state(*generator_), facts);
  }
  std::string description() const override { return "an untrained generator"; }

 private:
  GeneratorConfig config_;
  at::Device device_;
  std::shared_ptr<Generator> generator_;
  BatchNormUse use_;
};

/// The arc from a to b [nz], a share t of the way; a straight line where they are parallel.
at::Tensor on_arc(const at::Tensor& a, const at::Tensor& b, double t) {
  const auto angle = std::acos(std::clamp((a.dot(b) / (a.norm() * b.norm())).item<double>(), -1.0, 1.0));
  const auto whole = std::sin(angle);
  if (whole < 1e-6) return a * (1 - t) + b * t;
  return a * (std::sin((1 - t) * angle) / whole) + b * (std::sin(t * angle) / whole);
}

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
  std::unique_ptr<FrozenSource> frozen;           // generator, checkpoint
  std::unique_ptr<UntrainedGenerator> untrained;  // untrained
  std::unique_ptr<ChainSource> source;            // the others
  const FiniteSource* finite = nullptr;           // the same, where it is one

  void take(std::unique_ptr<FiniteSource> made) {
    finite = made.get();
    source = std::move(made);
  }
};

SampleStart::SampleStart(const SampleStartConfig& config, Communicator& world)
    : config_(config), parts_(std::make_unique<Parts>()) {
  if (config.kind != SampleStartKind::generator && config.kind != SampleStartKind::checkpoint) return;
  // A checkpoint has what is needed of a built-in network: the generator's own file may be gone.
  parts_->frozen =
      std::make_unique<FrozenSource>(config.generator, config.kind == SampleStartKind::checkpoint, world);
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
    case SampleStartKind::untrained: parts_->untrained = std::make_unique<UntrainedGenerator>(config_, device); return;
    case SampleStartKind::drawn: parts_->source = std::make_unique<DrawnSource>(config_.path.string(), image); return;
    case SampleStartKind::data:
      return parts_->take(make_store_source(config_.path.string(), image, static_cast<std::uint64_t>(config_.seed)));
    case SampleStartKind::bank: return parts_->take(make_bank_source(config_.path, config_.group, image));
    case SampleStartKind::images: return parts_->take(make_images_source(config_.path, config_.resize, image));
  }
}

std::int64_t SampleStart::count() const { return parts_->finite != nullptr ? parts_->finite->count() : 0; }

FrozenGenerator* SampleStart::generator() {
  if (parts_->frozen) return &parts_->frozen->generator();
  return parts_->untrained.get();
}

at::Tensor SampleStart::latents(const std::vector<std::uint64_t>& places, NoiseKey key) {
  const auto interpolation = config_.interpolation;
  const auto length = generator()->latent_length();
  if (interpolation <= 0) return fresh_latents(places, 0, key, length);
  std::vector<at::Tensor> latents;
  const auto each = static_cast<std::uint64_t>(interpolation);
  for (const auto place : places) {
    const auto row = place / each;
    const auto ends = fresh_latents({2 * row, 2 * row + 1}, 0, key, length);
    latents.push_back(on_arc(ends[0], ends[1], static_cast<double>(place % each) / static_cast<double>(each - 1)));
  }
  return torch::stack(latents);
}

at::Tensor SampleStart::begin(const std::vector<std::uint64_t>& places, NoiseKey key) {
  const torch::NoGradGuard constant;
  if (generator() != nullptr) return generator()->images(latents(places, key));
  return parts_->source->fresh(places, 0, key).images;
}

std::string SampleStart::description() const {
  if (parts_->frozen) return parts_->frozen->description();
  return parts_->untrained ? parts_->untrained->description() : parts_->source->description();
}

}  // namespace langrun

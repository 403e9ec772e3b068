#include "jobs/frozen_generator.h"

#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <filesystem>
#include <numeric>

#include "core/error.h"
#include "core/networks/generator.h"
#include "core/torch.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "jobs/chain_starts.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/script_error.h"
#include "jobs/torchscript.h"
#include "jobs/weights_source.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPart = "source";

/// Of a network of our own or somebody else's.
template <typename Module>
std::vector<at::Tensor> tensors_of(const Module& module) {
  std::vector<at::Tensor> tensors;
  for (const auto& weight : module.parameters()) tensors.push_back(weight);
  for (const auto& buffer : module.buffers()) tensors.push_back(buffer);
  return tensors;
}

/// One of our own networks.
class BuiltInGenerator final : public FrozenGenerator {
 public:
  BuiltInGenerator(const WeightsFile& file, const std::string& part, const at::Device& device)
      : device_(device), facts_(file.facts(part)),
        network_(make_generator(generator_config(facts_, file.path().string()), 1)) {
    if (facts_.contains("batch_norm") && facts_.at("batch_norm") == "off") use_ = BatchNormUse::off;
    read_part(file, part, named_state(*network_));
    network_->to(device_);
    hold_constant(*network_);
    factor_ = generator_config(facts_, file.path().string()).factor;
    description_ = fmt::format("{} of {}, part {}", facts_["network"], file.path().string(), part);
  }
  explicit BuiltInGenerator(const GeneratorConfig& config)
      : device_(at::kCPU), facts_(facts_of(config)), network_(make_generator(config, 1)), factor_(config.factor),
        description_(fmt::format("{}, untrained", config.network)) {
    hold_constant(*network_);
  }

  ImageShape image() const { return network_->output(); }
  std::int64_t latent_length() const override { return network_->latent_length(); }
  at::Tensor make(const at::Tensor& latents) override { return network_->generate(latents.to(device_), use_); }
  double factor() const override { return factor_; }
  std::vector<at::Tensor> state() const override { return tensors_of(*network_); }
  WeightsPart copied() const override { return copied_part(kPart, named_state(*network_), facts_); }
  std::string description() const override { return description_; }

 private:
  at::Device device_;
  WeightFacts facts_;
  std::shared_ptr<Generator> network_;
  BatchNormUse use_ = BatchNormUse::running;
  double factor_ = 1;
  std::string description_;
};

/// A module somebody else wrote.
class ScriptedGenerator final : public FrozenGenerator {
 public:
  ScriptedGenerator(const std::string& path, const SourceConfig& config, const at::Device& device)
      : path_(path), config_(config), device_(device), checksum_(checksum(fs::path(path))) {
    // A module is run as it is written: an executor that rewrites it after some calls would change the last bits.
    torch::jit::setGraphExecutorOptimize(false);
    try {
      module_ = torch::jit::load(path, device_);
    } catch (const c10::Error& error) {
      throw Error(ExitCode::input,
                  fmt::format("{} is neither a file of weights nor TorchScript: {}", path, script_reason(error)),
                  "give a run folder, an HDF5 file of `langrun weights import`, or a module saved by torch.jit.save");
    }
    module_.eval();
    for (const auto& weight : module_.parameters()) weight.requires_grad_(false);
  }

  std::int64_t latent_length() const override { return config_.latent; }
  at::Tensor make(const at::Tensor& latents) override {
    const auto value = called(latents);
    if (!value.isTensor())
      throw Error(ExitCode::input, fmt::format("{} returns {}, expected a tensor of images", path_, value.tagKind()),
                  "wrap it in a module whose forward returns the images alone");
    const auto images = value.toTensor().to(torch::kFloat32);
    return config_.range == "0:1" ? images * 2 - 1 : images;
  }
  std::vector<at::Tensor> state() const override { return tensors_of(module_); }
  WeightsPart copied() const override {
    return {kPart,
            {{"network", "torchscript"},
             {"file", path_},
             {"checksum", checksum_},
             {"latent", std::to_string(config_.latent)},
             {"range", config_.range}},
            {}};
  }
  std::string description() const override { return fmt::format("TorchScript {}", path_); }

 private:
  c10::IValue called(const at::Tensor& latents) {
    try {
      return module_.forward({latents.to(device_)});
    } catch (const std::exception& error) {
      throw Error(ExitCode::input,
                  fmt::format("{} does not take latents [{}, {}]: {}", path_, latents.size(0), latents.size(1),
                              raised_reason(error)),
                  "state its latent's length with --source.latent");
    }
  }

  std::string path_;
  SourceConfig config_;
  at::Device device_;
  std::string checksum_;
  torch::jit::Module module_;
};

void check_settings(const SourceConfig& config, bool scripted) {
  if (scripted && config.latent <= 0)
    throw Error(ExitCode::usage, fmt::format("the latent length of {} is not known", config.generator),
                "TorchScript does not say it: give --source.latent");
  if (!scripted && config.latent > 0)
    throw Error(ExitCode::usage,
                fmt::format("--source.latent goes with TorchScript, {} is a file of weights", config.generator),
                "leave it out: the file says it");
  if (!scripted && config.range != "-1:1")
    throw Error(ExitCode::usage, "--source.range goes with TorchScript; generators of our own make -1:1");
}

// What a first call tells: shape, and whether the values are of the range that was stated.
void check_images(const at::Tensor& made, double factor, const SourceConfig& config, const ImageShape& image,
                  std::int64_t batch) {
  const std::vector<std::int64_t> expected{batch, image.channels, image.height, image.width};
  if (made.sizes().vec() != expected)
    throw Error(ExitCode::input,
                fmt::format("generator {} makes images {}, the energy takes [{}, {}, {}, {}]", config.generator,
                            c10::str(made.sizes()), batch, image.channels, image.height, image.width),
                "choose an energy and a generator of one size");
  // Seen in [-1, 1], whatever was stated.
  const auto images = made / factor;
  const auto low = images.min().item<float>(), high = images.max().item<float>();
  if (!(low >= -1.01f && high <= 1.01f))
    throw Error(ExitCode::input,
                fmt::format("generator {} makes values from {:.3g} to {:.3g}, in the range {} they should lie in",
                            config.generator, config.range == "0:1" ? (low + 1) / 2 : low,
                            config.range == "0:1" ? (high + 1) / 2 : high, config.range),
                "state the range of its images with --source.range, -1:1 or 0:1");
  if (config.range == "-1:1" && low >= 0)
    throw Error(ExitCode::input,
                fmt::format("generator {} makes values from {:.3g} to {:.3g} only: they look like 0:1",
                            config.generator, low, high),
                "if so, use --source.range 0:1");
}

// An image is to follow from its own latent: chains of a call know nothing of each other.
void check_apart(FrozenGenerator& generator, const at::Tensor& made, const at::Tensor& latents,
                 const SourceConfig& config) {
  auto others = latents * 0.5 - 0.25;
  others[0] = latents[0];
  const auto beside = generator.images(others)[0];
  if (!torch::allclose(made[0], beside, 1e-3, 1e-4 * generator.factor()))
    throw Error(ExitCode::input, fmt::format("generator {} couples the images of a call", config.generator),
                "batch norm in it must use its running statistics: save it in evaluation mode");
}

}  // namespace

at::Tensor FrozenGenerator::images(const at::Tensor& latents) {
  const torch::NoGradGuard constant;
  return make(latents);
}

std::int64_t FrozenGenerator::bytes() const {
  std::int64_t bytes = 0;
  for (const auto& tensor : state()) bytes += static_cast<std::int64_t>(tensor.nbytes());
  return bytes;
}

std::unique_ptr<FrozenGenerator> untrained_generator(const GeneratorConfig& config, const ImageShape& image) {
  auto generator = std::make_unique<BuiltInGenerator>(config);
  if (const auto made = generator->image(); !(made == image))
    throw Error(ExitCode::usage,
                fmt::format("generator {} makes {}x{} images, the energy takes {}x{}", config.network, made.height,
                            made.width, image.height, image.width),
                "name a generator with --source.generator, or describe one with --generator.network");
  return generator;
}

FrozenSource::FrozenSource(const SourceConfig& config, bool from_checkpoint, Communicator& world)
    : config_(config), from_checkpoint_(from_checkpoint),
      // A checkpoint has the weights: then nothing is taken from an older one.
      file_(find_weights(world, config.generator, "generator", from_checkpoint,
                         from_checkpoint ? PassedOver{} : config.passed_over)) {}

FrozenSource::~FrozenSource() = default;

void FrozenSource::open(const ImageShape& image, std::int64_t batch, const at::Device& device) {
  device_ = device;
  if (file_.empty()) return;
  const bool scripted = !h5::looks_like_hdf5(file_);
  // The run it came from may have been damaged or changed since.
  if (from_checkpoint_ && !scripted) return;
  check_settings(config_, scripted);
  if (scripted) {
    generator_ = std::make_unique<ScriptedGenerator>(file_, config_, device);
  } else {
    const WeightsFile file(file_);
    generator_ = std::make_unique<BuiltInGenerator>(file, chosen_part(file, "generator", config_.weights), device);
  }
  std::vector<std::uint64_t> places(static_cast<std::size_t>(batch));
  std::iota(places.begin(), places.end(), 0);
  const auto latents = fresh_latents(places, 0, noise_key(1, Stream::sample, 0), generator_->latent_length());
  const auto made = generator_->images(latents);
  check_images(made, generator_->factor(), config_, image, batch);
  if (scripted) check_apart(*generator_, made, latents, config_);
}

FrozenGenerator& FrozenSource::generator() {
  if (!generator_)
    throw Error(ExitCode::input, fmt::format("generator {} does not exist", config_.generator),
                "put it back where it was when this run began");
  return *generator_;
}

FreshChains FrozenSource::fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) {
  auto& from = generator();
  return {from.images(fresh_latents(slots, step, key, from.latent_length())), torch::empty({std::ssize(slots), 0})};
}

std::string FrozenSource::description() const {
  return generator_ ? generator_->description() : "a generator, from the checkpoint";
}

void FrozenSource::copy_to(std::vector<WeightsPart>& parts) const { parts.push_back(generator_->copied()); }

void FrozenSource::restore(const WeightsFile& file) {
  const auto facts = file.facts(kPart);
  const auto kept = facts.find("checksum");
  // Whatever has become of the run or file it came from: chains go on beginning as they did.
  if (kept == facts.end()) {
    generator_ = std::make_unique<BuiltInGenerator>(file, kPart, device_);
  } else if (generator().copied().facts["checksum"] != kept->second) {
    throw Error(ExitCode::input, fmt::format("{} is another file than the one this run began with", file_),
                "put the original back, or begin a new run");
  }
}

std::unique_ptr<FrozenSource> frozen_source(const SourceConfig& config, bool from_checkpoint, Communicator& world) {
  if (!config.generator.empty()) return std::make_unique<FrozenSource>(config, from_checkpoint, world);
  if (config.latent != 0 || config.range != "-1:1" || config.weights != "best")
    throw Error(ExitCode::usage, "--source.latent, --source.range and --source.weights go with --source.generator",
                "name one, or leave them out");
  return nullptr;
}

}  // namespace langrun

#include "jobs/feature_extractor.h"

#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <filesystem>

#include "core/error.h"
#include "core/torch.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "jobs/feature_net.h"
#include "jobs/torchscript.h"

namespace langrun {
namespace {

constexpr const char* kExpected = "a feature net takes images [B, 3, H, W] and returns [B, L] or [B, L, 1, 1]";

/// Between the extents of images and of a net.
at::Tensor resized(const at::Tensor& images, const NetUsed& net) {
  if (images.size(2) == net.input_height && images.size(3) == net.input_width) return images;
  return at::_upsample_bilinear2d_aa(images, {net.input_height, net.input_width}, /*align_corners=*/false);
}

/// The penultimate layer of one of our own classifiers.
class BuiltInFeatures final : public FeatureExtractor {
 public:
  explicit BuiltInFeatures(const std::string& spec) : net_(load_feature_net(spec)) {
    const auto input = net_.classifier->input();
    facts_ = {net_.network, net_.source, net_.checksum, "-1:1", net_.classifier->feature_length(),
              input.height, input.width};
  }
  at::Tensor features(const at::Tensor& images) override {
    auto x = images.to(torch::kFloat32, false, false, at::MemoryFormat::Contiguous).mul_(2.0 / 255).sub_(1);
    if (x.size(2) != facts_.input_height || x.size(3) != facts_.input_width) x = resized(x, facts_).clamp_(-1, 1);
    return net_.classifier->features(x).contiguous();
  }
  const NetUsed& facts() const override { return facts_; }

 private:
  FeatureNet net_;
  NetUsed facts_;
};

/// A module somebody else wrote.
class ScriptedFeatures final : public FeatureExtractor {
 public:
  ScriptedFeatures(const FeatureNetConfig& config, const ImageShape& images, std::int64_t batch) {
    facts_ = {"torchscript",
              config.file,
              checksum(std::filesystem::path(config.file)),
              config.range,
              0,
              config.size > 0 ? config.size : images.height,
              config.size > 0 ? config.size : images.width};
    // A module is run as it is written: an executor that rewrites it after some calls would change the last bits.
    torch::jit::setGraphExecutorOptimize(false);
    try {
      module_ = torch::jit::load(config.file, at::kCPU);
    } catch (const c10::Error& error) {
      throw Error(ExitCode::input,
                  fmt::format("{} is neither a file of weights nor TorchScript: {}", config.file, script_reason(error)),
                  "give weights with their network (FILE:NETWORK), or a module saved by torch.jit.save");
    }
    module_.eval();
    facts_.length = features(torch::full({batch, 3, images.height, images.width}, 127, torch::kUInt8)).size(1);
  }

  at::Tensor features(const at::Tensor& images) override {
    const auto value = call(ranged(images));
    if (!value.isTensor()) refuse(fmt::format("returns {}, expected a tensor", value.tagKind()));
    auto vectors = value.toTensor();
    const auto found = c10::str(vectors.sizes());
    if (vectors.dim() == 4 && vectors.size(2) == 1 && vectors.size(3) == 1) vectors = vectors.flatten(1);
    if (vectors.dim() != 2 || vectors.size(0) != images.size(0) || vectors.size(1) == 0)
      refuse(fmt::format("returns {} for {} images, no vector for each", found, images.size(0)));
    if (!vectors.is_floating_point()) refuse(fmt::format("returns {}, no real numbers", vectors.dtype().name()));
    if (facts_.length > 0 && vectors.size(1) != facts_.length)
      refuse(fmt::format("returns features of length {}, then of {}", facts_.length, vectors.size(1)));
    return vectors.to(at::kCPU, torch::kFloat32).contiguous();
  }
  const NetUsed& facts() const override { return facts_; }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ExitCode::input, fmt::format("feature net {} {}", facts_.file, what), kExpected);
  }

  c10::IValue call(const at::Tensor& images) {
    const auto cannot = [&](const std::string& reason) {
      refuse(fmt::format("does not take images [{}, {}, {}, {}]: {}", images.size(0), images.size(1), images.size(2),
                         images.size(3), reason));
    };
    try {
      return module_.forward({images});
    } catch (const c10::Error& error) {
      cannot(script_reason(error));
    } catch (const std::exception& error) {  // what a module itself raises
      const std::string text = error.what();
      const auto end = text.find_last_not_of(" \n");
      cannot(text.substr(0, end + 1).substr(text.rfind('\n', end) + 1));
    }
    return {};
  }

  /// Resized on the scale of 8-bit images, then brought to the stated range.
  at::Tensor ranged(const at::Tensor& images) const {
    auto x = images.to(torch::kFloat32, false, false, at::MemoryFormat::Contiguous);
    if (x.size(2) != facts_.input_height || x.size(3) != facts_.input_width) x = resized(x, facts_).clamp_(0, 255);
    if (facts_.range == "0:255") return x;
    if (facts_.range == "0:1") return x.div_(255);
    if (facts_.range == "-1:1") return x.mul_(2.0 / 255).sub_(1);
    // Means and deviations of ImageNet's training images, by which classifiers of it are trained.
    const auto mean = torch::tensor({0.485f, 0.456f, 0.406f}).view({1, 3, 1, 1});
    const auto deviation = torch::tensor({0.229f, 0.224f, 0.225f}).view({1, 3, 1, 1});
    return x.div_(255).sub_(mean).div_(deviation);
  }

  NetUsed facts_;
  torch::jit::Module module_;
};

/// Whether the settings name TorchScript; throws where they do not go with the kind of file.
bool is_scripted(const FeatureNetConfig& config) {
  const bool scripted = split_network_spec(config.file).network.empty() && looks_like_torchscript(config.file);
  if (scripted && config.range == "none")
    throw Error(ExitCode::usage, fmt::format("the values that {} takes are not known", config.file),
                "TorchScript does not say it: give --features.range, -1:1, 0:1, 0:255 or imagenet");
  // A file that is not there at all is for loading to say.
  if (!scripted && (config.size > 0 || config.range != "none") &&
      std::filesystem::exists(split_network_spec(config.file).file))
    throw Error(ExitCode::usage,
                fmt::format("--features.size and --features.range go with TorchScript, {} is none", config.file),
                "leave them out: a built-in network knows what it takes");
  return scripted;
}

}  // namespace

void check_feature_net(const FeatureNetConfig& config) {
  if (!is_scripted(config)) (void)load_feature_net(config.file);
}

std::unique_ptr<FeatureExtractor> open_feature_extractor(const FeatureNetConfig& config, const ImageShape& images,
                                                         std::int64_t batch) {
  if (is_scripted(config)) return std::make_unique<ScriptedFeatures>(config, images, batch);
  return std::make_unique<BuiltInFeatures>(config.file);
}

}  // namespace langrun

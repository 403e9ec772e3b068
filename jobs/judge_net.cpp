#include "jobs/judge_net.h"

#include <ATen/autocast_mode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <filesystem>
#include <sstream>

#include "core/error.h"
#include "core/networks/frozen_energy.h"
#include "core/torch.h"
#include "data/durable.h"
#include "jobs/feature_net.h"
#include "jobs/place_probe.h"
#include "jobs/torchscript.h"

namespace langrun {
namespace {

constexpr const char* kExpected = "a classifier takes images [B, 3, H, W] and returns logits [B, classes]";

/// While it lives, products of this thread are computed in bfloat16 where the library holds that safe.
class Autocast {
 public:
  Autocast(bool on, const at::Device& device) : type_(device.type()), before_(at::autocast::is_autocast_enabled(type_)) {
    if (!on) return;
    at::autocast::set_autocast_enabled(type_, true);
    at::autocast::set_autocast_dtype(type_, at::kBFloat16);
    on_ = true;
  }
  ~Autocast() {
    if (!on_) return;
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(type_, before_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType type_;
  bool before_, on_ = false;
};

/// What built-in and other people's networks have in common: facts that a probe finds out.
class ProbedJudge : public JudgeNet {
 public:
  const JudgeFacts& facts() const override { return facts_; }
  std::int64_t call() const override { return call_; }

  /// Looks at what it does with `images` [call, C, H, W].
  void probe(const at::Tensor& images, bool wants_gradient) {
    facts_.classes = answer(images, wants_gradient)[0].size(1);
    facts_.place_free = keeps_places(images, [&](const at::Tensor& x) { return answer(x, wants_gradient); });
    if (!facts_.place_free) call_ = 1;
  }

 protected:
  explicit ProbedJudge(std::int64_t call) : call_(call) {}
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ExitCode::input, fmt::format("classifier {} {}", facts_.source, what), kExpected);
  }

  JudgeFacts facts_;
  std::int64_t call_;

 private:
  /// Logits, and where they are wanted gradients.
  std::vector<at::Tensor> answer(const at::Tensor& images, bool wants_gradient) {
    const at::AutoGradMode grad(wants_gradient);
    const auto x = images.detach().requires_grad_(wants_gradient);
    const auto out = logits(x);
    if (!wants_gradient) return {out};
    if (!out.requires_grad()) refuse("gives no gradient: its logits do not depend on the images for autograd");
    try {
      return {out.detach(), torch::autograd::grad({out}, {x}, {torch::ones_like(out)})[0]};
    } catch (const c10::Error& error) {
      refuse(fmt::format("gives no gradient in the images: {}", script_reason(error)));
    }
  }
};

class BuiltInJudge final : public ProbedJudge {
 public:
  BuiltInJudge(const JudgeNetConfig& config, std::int64_t call, const at::Device& device)
      : ProbedJudge(call), net_(load_feature_net(config.file)), low_(config.precision == "bf16"), device_(device) {
    net_.classifier->to(device);
    facts_ = {net_.network, net_.source, net_.checksum, net_.classifier->classes(), true, net_.classes};
  }
  at::Tensor logits(const at::Tensor& x) override {
    const Autocast cast(low_, device_);
    return net_.classifier->logits(x.contiguous(at::MemoryFormat::ChannelsLast)).to(torch::kFloat32);
  }
  ImageShape input() const { return net_.classifier->input(); }

 private:
  FeatureNet net_;
  bool low_;
  at::Device device_;
};

/// What somebody else's module wants done to images before it sees them.
struct Preparation {
  std::int64_t size = 0;
  at::Tensor offset, scale;  ///< [1, C, 1, 1]: x -> (x + 1) / 2 -> (. - offset) * scale

  at::Tensor operator()(const at::Tensor& x) const {
    auto y = x;
    if (size > 0 && (x.size(2) != size || x.size(3) != size))
      y = at::_upsample_bilinear2d_aa(y, {size, size}, /*align_corners=*/false);
    return ((y + 1) / 2 - offset) * scale;
  }
};

std::vector<float> three(const std::string& text, const char* key) {
  std::vector<float> values;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    std::size_t used = 0;
    try {
      values.push_back(std::stof(part, &used));
    } catch (const std::exception&) {
      used = std::string::npos;
    }
    if (used != part.size()) values.clear();
  }
  if (values.size() != 3)
    throw Error(ExitCode::usage, fmt::format("--classifier.{} is '{}', expected three numbers r,g,b", key, text),
                "on [0, 1]: 0.4914,0.4822,0.4465");
  return values;
}

Preparation preparation_of(const JudgeNetConfig& config) {
  const auto column = [](const std::vector<float>& v) { return torch::tensor(v).view({1, -1, 1, 1}); };
  Preparation prepare;
  prepare.size = config.size;
  prepare.offset = torch::zeros({1, 1, 1, 1});
  prepare.scale = torch::ones({1, 1, 1, 1});
  if (config.range == "-1:1") {
    prepare.offset.fill_(0.5);
    prepare.scale.fill_(2);
  } else if (config.range == "0:255") {
    prepare.scale.fill_(255);
  } else if (config.range == "imagenet") {
    // Means and deviations of ImageNet's training images, by which classifiers of it are trained.
    prepare.offset = column({0.485f, 0.456f, 0.406f});
    prepare.scale = 1 / column({0.229f, 0.224f, 0.225f});
  } else if (config.range == "normalised") {
    prepare.offset = column(three(config.mean, "mean"));
    prepare.scale = 1 / column(three(config.deviation, "std"));
  }
  return prepare;
}

/// A module somebody else wrote.
class ScriptedJudge final : public ProbedJudge {
 public:
  ScriptedJudge(const JudgeNetConfig& config, std::int64_t call, const at::Device& device)
      : ProbedJudge(call), prepare_(preparation_of(config)), low_(config.precision == "bf16"), device_(device) {
    facts_.network = "torchscript";
    facts_.source = config.file;
    facts_.checksum = checksum(std::filesystem::path(config.file));
    prepare_.offset = prepare_.offset.to(device);
    prepare_.scale = prepare_.scale.to(device);
    // A module is run as it is written: an executor that rewrites it after some calls would change the last bits.
    torch::jit::setGraphExecutorOptimize(false);
    try {
      module_ = torch::jit::load(config.file, device);
    } catch (const c10::Error& error) {
      refuse(fmt::format("cannot be loaded: {}", script_reason(error)));
    }
    module_.eval();
    for (const auto& weight : module_.parameters()) weight.set_requires_grad(false);
  }

  at::Tensor logits(const at::Tensor& x) override {
    const Autocast cast(low_, device_);
    const auto value = call_module(prepare_(x));
    if (!value.isTensor()) refuse(fmt::format("returns {}, expected a tensor", value.tagKind()));
    const auto logits = value.toTensor();
    if (logits.dim() != 2 || logits.size(0) != x.size(0) || logits.size(1) < 2 || !logits.is_floating_point())
      refuse(fmt::format("returns {} of {} for {} images", c10::str(logits.sizes()), logits.dtype().name(), x.size(0)));
    return logits.to(torch::kFloat32);
  }

 private:
  c10::IValue call_module(const at::Tensor& images) {
    std::string reason;
    try {
      return module_.forward({images});
    } catch (const c10::Error& error) {
      reason = script_reason(error);
    } catch (const std::exception& error) {  // what a module itself raises
      const std::string text = error.what();
      const auto end = text.find_last_not_of(" \n");
      reason = text.substr(0, end + 1).substr(text.rfind('\n', end) + 1);
    }
    refuse(fmt::format("does not take images {}: {}", c10::str(images.sizes()), reason));
  }

  Preparation prepare_;
  bool low_;
  at::Device device_;
  torch::jit::Module module_;
};

void check_settings(const JudgeNetConfig& config, bool scripted) {
  const bool stated = config.size > 0 || config.range != "none" || !config.mean.empty() || !config.deviation.empty();
  if (!scripted && stated && std::filesystem::exists(split_network_spec(config.file).file))
    throw Error(ExitCode::usage,
                fmt::format("--classifier.size, .range, .mean and .std go with TorchScript, {} is none", config.file),
                "leave them out: a built-in network knows what it takes");
  if (scripted && config.range == "none")
    throw Error(ExitCode::usage, fmt::format("the values that {} takes are not known", config.file),
                "TorchScript does not say it: give --classifier.range, -1:1, 0:1, 0:255, imagenet or normalised");
  if ((config.range == "normalised") != !(config.mean.empty() && config.deviation.empty()))
    throw Error(ExitCode::usage, "--classifier.mean and --classifier.std go with --classifier.range normalised");
  if (config.precision == "bf16" && !processor_has_bf16())
    throw Error(ExitCode::usage, "--classifier.precision bf16: this processor has no bfloat16 products", "use fp32");
}

}  // namespace

std::unique_ptr<JudgeNet> open_judge_net(const JudgeNetConfig& config, const ImageShape& images, std::int64_t call,
                                         bool wants_gradient, const at::Device& device) {
  const bool scripted = split_network_spec(config.file).network.empty() && looks_like_torchscript(config.file);
  check_settings(config, scripted);
  const auto looked_at = probe_images(call, images.channels, images.height, images.width).to(device);
  if (scripted) {
    auto net = std::make_unique<ScriptedJudge>(config, call, device);
    net->probe(looked_at, wants_gradient);
    return net;
  }
  auto net = std::make_unique<BuiltInJudge>(config, call, device);
  if (!(net->input() == images))
    throw Error(ExitCode::input,
                fmt::format("classifier {} takes images of {} x {} x {}, the store has {} x {} x {}", config.file,
                            net->input().height, net->input().width, net->input().channels, images.height, images.width,
                            images.channels),
                "import the images at the classifier's size");
  // Built-in networks keep images apart on one thread; on several the library may divide a call inside an image.
  net->probe(looked_at, wants_gradient);
  return net;
}

}  // namespace langrun

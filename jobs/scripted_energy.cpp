#include "jobs/scripted_energy.h"

#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include "core/error.h"
#include "core/noise.h"
#include "core/torch.h"
#include "jobs/script_error.h"
#include "jobs/torchscript.h"

namespace langrun {
namespace {

class ScriptedEnergy final : public Energy {
 public:
  ScriptedEnergy(const std::string& path, const ImageShape& image) : path_(path), image_(image) {
    // A module is run as it is written: an executor that rewrites it after some calls would change the last bits.
    torch::jit::setGraphExecutorOptimize(false);
    try {
      module_ = torch::jit::load(path, torch::kCPU);
    } catch (const c10::Error& error) {
      refuse(fmt::format("cannot be loaded: {}", script_reason(error)));
    }
    module_.eval();
    for (const auto& weight : module_.parameters()) weight.set_requires_grad(false);
    probe();
  }

  ImageShape input() const override { return image_; }
  bool piecewise_linear() const override { return false; }  // nobody knows

  bool is_score() const { return is_score_; }

  at::Tensor energy_with(const at::Tensor& x, const Activation& activation) override {
    check_images(x, image_);
    if (activation.sharpness != 0)
      throw Error(ExitCode::usage, fmt::format("full-smooth: the activations of {} are not known", path_),
                  "it smooths those of built-in networks; --attack.kind full goes through a module as it is");
    if (is_score_)
      throw Error(ExitCode::usage, fmt::format("{} is a score, whose derivatives are not at hand", path_),
                  "--attack.kind bpda-eot needs none");
    return call(x).flatten();
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    if (!is_score_) return Energy::energy_and_gradient(x);
    check_images(x, image_);
    const torch::NoGradGuard constant;
    return {torch::zeros({x.size(0)}), (-call(x)).contiguous(x.suggest_memory_format())};
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(
        ExitCode::input, fmt::format("energy {}: {}", path_, why),
        fmt::format("expected TorchScript that takes images [b, {}, {}, {}] in [-1, 1] and returns energies [b] "
                    "or a score of the images' shape; --energy.size says their side",
                    image_.channels, image_.height, image_.width));
  }

  at::Tensor call(const at::Tensor& x) {
    std::string reason;
    try {
      const auto value = module_.forward({x});
      if (value.isTensor()) return value.toTensor().to(torch::kFloat32);
      reason = fmt::format("returns {}", value.tagKind());
    } catch (const std::exception& error) {
      reason = raised_reason(error);
    }
    refuse(reason);
  }

  void probe() {
    auto images = torch::empty({2, image_.channels, image_.height, image_.width});
    fill_uniform(noise_key(0, Stream::weights), {},
                 {images.mutable_data_ptr<float>(), static_cast<std::size_t>(images.numel())});
    images = images * 2 - 1;
    at::Tensor both;
    {
      const torch::NoGradGuard constant;
      both = call(images);
    }
    is_score_ = both.sizes() == images.sizes();
    if (!is_score_ && (both.numel() != 2 || both.size(0) != 2))
      refuse(fmt::format("returns {} for two images", c10::str(both.sizes())));
    EnergyGradient together;
    try {
      together = energy_and_gradient(images);
    } catch (const c10::Error& error) {
      refuse(fmt::format("gives no gradient: {}", script_reason(error)));
    }
    // The first image beside another one.
    const auto beside = energy_and_gradient(torch::stack({images[0], images[1] * 0.5 - 0.25})).gradient;
    const auto scale = together.gradient.abs().max().item<float>();
    if (!(scale < std::numeric_limits<float>::infinity())) refuse("gives a gradient that is not finite");
    if (!torch::allclose(together.gradient[0], beside[0], 1e-3, 1e-4 * scale)) refuse("couples the images of a call");
  }

  std::string path_;
  ImageShape image_;
  torch::jit::Module module_;
  bool is_score_ = false;
};

}  // namespace

std::shared_ptr<Energy> open_scripted_energy(const std::string& path, const ImageShape& image) {
  return std::make_shared<ScriptedEnergy>(path, image);
}

bool is_score(const Energy& energy) {
  const auto* scripted = dynamic_cast<const ScriptedEnergy*>(&energy);
  return scripted != nullptr && scripted->is_score();
}

}  // namespace langrun

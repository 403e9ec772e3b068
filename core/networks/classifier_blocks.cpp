#include "core/networks/classifier_blocks.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {

std::shared_ptr<LaneBatchNorm> classifier_norm(std::int64_t channels) {
  return std::make_shared<LaneBatchNorm>(channels, BatchNormShape{1e-5, 0.1});
}

std::shared_ptr<Conv> plain_conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  return std::make_shared<Conv>(ConvShape{in, out, kernel, stride, kernel / 2, /*bias=*/false});
}

Normalisation::Normalisation(const std::string& name) {
  if (name == "imagenet") {
    mean_ = {0.485f, 0.456f, 0.406f};
    deviation_ = {0.229f, 0.224f, 0.225f};
  } else if (name == "cifar10") {
    mean_ = {0.4914f, 0.4822f, 0.4465f};
    deviation_ = {0.2023f, 0.1994f, 0.2010f};
  } else if (name != "none") {
    throw Error(ExitCode::usage, fmt::format("no normalisation is called '{}'", name), "none, cifar10 or imagenet");
  }
}

at::Tensor Normalisation::operator()(const at::Tensor& x) const {
  if (mean_.empty()) return x;
  const auto mean = torch::tensor(mean_, x.options()).view({1, 3, 1, 1});
  const auto deviation = torch::tensor(deviation_, x.options()).view({1, 3, 1, 1});
  return ((x + 1) / 2 - mean) / deviation;
}

}  // namespace langrun

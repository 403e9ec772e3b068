#include "core/networks/biggan.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/networks/initialise.h"
#include "core/torch.h"

namespace langrun {
BigganPlan biggan_plan(std::int64_t size) {
  if (size == 64) return {{1, 1, 2, 2, 4, 4, 8, 8, 16}, false, 1};
  if (size == 128) return {{1, 2, 2, 4, 4, 8, 8, 16, 16, 16, 16}, true, 2};
  return {{1, 2, 2, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16}, true, 4};
}

/// ReLU, conv1x1 to in/4, ReLU, conv3x3, ReLU, conv3x3, ReLU, [pool], conv1x1 to out; shortcut [pool], with the extra
/// channels made by a 1x1 convolution and concatenated.
class BigganEnergy::Bottleneck : public torch::nn::Module {
 public:
  Bottleneck(std::int64_t in, std::int64_t out, bool pool, bool spectral_norm) : pool_(pool) {
    const auto hidden = in / 4;
    const auto add = [&](const char* name, ConvShape shape) {
      shape.spectral_norm = spectral_norm;
      return register_module(name, std::make_shared<Conv>(shape));
    };
    conv1_ = add("conv1", {in, hidden});
    conv2_ = add("conv2", {hidden, hidden, 3, 1, 1});
    conv3_ = add("conv3", {hidden, hidden, 3, 1, 1});
    conv4_ = add("conv4", {hidden, out});
    if (out > in) shortcut_ = add("shortcut", {in, out - in});
  }

  at::Tensor forward(const at::Tensor& x, const Activation& activation) const {
    auto h = conv1_->forward(activation.relu(x));
    h = conv2_->forward(activation.relu(h));
    h = activation.relu(conv3_->forward(activation.relu(h)));
    h = conv4_->forward(pool_ ? average_pool(h) : h);
    const auto skip = pool_ ? average_pool(x) : x;
    return h + (shortcut_ ? at::cat({skip, shortcut_->forward(skip)}, 1) : skip);
  }

 private:
  bool pool_;
  std::shared_ptr<Conv> conv1_, conv2_, conv3_, conv4_, shortcut_;
};

/// x + gamma * o(softmax(theta phi^T) g) over the places of one image; phi and g at half resolution (max-pooled).
class BigganEnergy::Attention : public torch::nn::Module {
 public:
  Attention(std::int64_t channels, bool spectral_norm) {
    const auto add = [&](const char* name, std::int64_t in, std::int64_t out) {
      const ConvShape shape{.in = in, .out = out, .bias = false, .spectral_norm = spectral_norm};
      return register_module(name, std::make_shared<Conv>(shape));
    };
    theta_ = add("theta", channels, channels / 8);
    phi_ = add("phi", channels, channels / 8);
    g_ = add("g", channels, channels / 2);
    o_ = add("o", channels / 2, channels);
    gamma = register_parameter("gamma", torch::zeros({1}));
  }

  at::Tensor forward(const at::Tensor& x) const {
    const auto theta = theta_->forward(x).flatten(2);                       // [B, c/8, HW]
    const auto phi = at::max_pool2d(phi_->forward(x), 2).flatten(2);        // [B, c/8, HW/4]
    const auto g = at::max_pool2d(g_->forward(x), 2).flatten(2);            // [B, c/2, HW/4]
    const auto beta = at::softmax(at::bmm(theta.transpose(1, 2), phi), 2);  // [B, HW, HW/4]
    auto mixed = at::bmm(g, beta.transpose(1, 2)).view({x.size(0), -1, x.size(2), x.size(3)});
    mixed = mixed.contiguous(at::MemoryFormat::ChannelsLast);
    return x + gamma * o_->forward(mixed);
  }

  at::Tensor gamma;

 private:
  std::shared_ptr<Conv> theta_, phi_, g_, o_;
};

BigganEnergy::BigganEnergy(std::int64_t size, std::int64_t ch, bool spectral_norm)
    : size_(size), plan_(biggan_plan(size)) {
  ConvShape first{3, ch, 3, 1, 1};
  first.spectral_norm = spectral_norm;
  conv_ = register_module("conv", std::make_shared<Conv>(first));
  auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (std::size_t i = 0; i + 1 < plan_.widths.size(); ++i) {
    auto block =
        std::make_shared<Bottleneck>(plan_.widths[i] * ch, plan_.widths[i + 1] * ch, plan_.pools(i), spectral_norm);
    blocks_.push_back(blocks->register_module(std::to_string(i), block));
  }
  const auto attended = plan_.widths[plan_.attention_before] * ch;
  attention_ = register_module("attention", std::make_shared<Attention>(attended, spectral_norm));
  linear_ = register_module("linear", std::make_shared<Linear>(plan_.widths.back() * ch, 1, false, spectral_norm));
}

BigganEnergy::~BigganEnergy() = default;

at::Tensor& BigganEnergy::gamma() { return attention_->gamma; }
const at::Tensor& BigganEnergy::gamma() const { return attention_->gamma; }

at::Tensor BigganEnergy::energy_with(const at::Tensor& x, const Activation& activation) {
  check_images(x, input());
  auto h = conv_->forward(x.contiguous(at::MemoryFormat::ChannelsLast));
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (i == plan_.attention_before) h = attention_->forward(h);
    h = blocks_[i]->forward(h, activation);
  }
  return pooled_energy(activation.relu(h), *linear_);
}

std::shared_ptr<BigganEnergy> make_biggan_energy(std::int64_t size, const EnergyConfig& config, std::uint64_t seed) {
  const std::int64_t ch = config.width > 0 ? config.width : 48;
  const std::int64_t unit = size == 64 ? 8 : 4;
  if (ch % unit != 0)
    throw Error(ExitCode::usage, fmt::format("biggan{} at width {}: expected a multiple of {}", size, ch, unit),
                "its blocks have a quarter of their width inside, its attention an eighth");
  if (config.attention_gamma != "random" && config.attention_gamma != "zero")
    throw Error(ExitCode::usage, fmt::format("attention gamma '{}': expected random or zero", config.attention_gamma));
  auto energy = std::make_shared<BigganEnergy>(size, ch, config.spectral_norm);
  if (config.attention_gamma == "random") draw_uniform(energy->gamma(), -1.7f, 1.7f, seed, "energy.attention.gamma");
  return energy;
}

}  // namespace langrun

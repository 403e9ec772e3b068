#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>

#include <numeric>

#include "core/error.h"
#include "core/langevin.h"
#include "core/networks/energy.h"
#include "core/networks/frozen_energy.h"
#include "core/tiles/engine.h"
#include "core/torch.h"
#include "jobs/bench.h"

namespace langrun {
namespace {

using EnergyFunction = std::function<at::Tensor(const at::Tensor&)>;

// The network as a PyTorch user writes it, with our weights. For light that is an nn::Sequential; the others have no
// shorter form than their own modules.
EnergyFunction plain_energy(const BenchConfig& config, const std::shared_ptr<Energy>& energy) {
  if (config.network != "light") return [energy](const at::Tensor& x) { return energy->energy(x); };
  const std::int64_t n = config.width > 0 ? config.width : 32;
  const auto conv = [](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(pad));
  };
  const auto slope = torch::nn::LeakyReLUOptions().negative_slope(0.05);
  using torch::nn::LeakyReLU;
  torch::nn::Sequential net(conv(3, n, 3, 1, 1), LeakyReLU(slope), conv(n, 2 * n, 4, 2, 1), LeakyReLU(slope),
                            conv(2 * n, 4 * n, 4, 2, 1), LeakyReLU(slope), conv(4 * n, 8 * n, 4, 2, 1),
                            LeakyReLU(slope), conv(8 * n, 1, 4, 1, 0));
  const torch::NoGradGuard constant;
  const auto from = energy->parameters(), to = net->parameters();
  for (std::size_t i = 0; i < to.size(); ++i) to[i].copy_(from.at(i).view(to[i].sizes()));
  return [net](const at::Tensor& x) mutable { return net->forward(x).flatten(); };
}

// The loop of the papers' programs: autograd through the network, one call for the whole batch.
at::Tensor plain_loop(const EnergyFunction& energy, const at::Tensor& start, const LangevinConfig& config) {
  auto x = start.clone().requires_grad_(true);
  for (std::int64_t k = 0; k < config.steps; ++k) {
    const auto gradient = torch::autograd::grad({energy(x).sum()}, {x})[0];
    x.data() += -config.gradient_weight() * gradient + config.eta * torch::randn_like(x);
  }
  return x.detach();
}

// Both ways must do the same work, or the ratio means nothing.
void check_same_gradient(const EnergyFunction& plain, FrozenEnergy& frozen, const at::Tensor& start, double most) {
  auto x = start.clone().requires_grad_(true);
  const auto expected = torch::autograd::grad({plain(x).sum()}, {x})[0];
  const auto got = frozen.energy_and_gradient(start.contiguous(at::MemoryFormat::ChannelsLast)).gradient;
  // The median over images: where a unit lies so close to zero that rounding decides its sign, an image's gradient may
  // take another piece of the piecewise linear network, and says nothing about the work.
  const auto apart = (got - expected).flatten(1).norm(2, {1}) / expected.flatten(1).norm(2, {1});
  const double error = apart.median().item<double>();
  if (!(error < most)) {
    throw Error(ExitCode::internal,
                fmt::format("bench langevin: the two gradients differ by {:.2g}, at most {} expected", error, most));
  }
}

void run_in_lanes(FrozenEnergy& frozen, const std::vector<at::Tensor>& lanes, const LangevinConfig& config) {
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    ChainNoise noise{noise_key(1, Stream::langevin), {}, 0};
    noise.identities.resize(static_cast<std::size_t>(lanes[lane].size(0)));
    std::iota(noise.identities.begin(), noise.identities.end(), chain_identity(lane << 16, 1));
    LangevinRecord record;  // a training step asks for it, so its cost belongs here
    run_langevin([&](const at::Tensor& x) { return frozen.energy_and_gradient(x); }, lanes[lane], config, noise,
                 &record);
  }
}

}  // namespace

BenchReport bench_langevin(const BenchConfig& config, Communicator& world) {
  if (config.batch % config.lanes != 0) {
    throw Error(ExitCode::usage, fmt::format("{} lanes do not divide a batch of {}", config.lanes, config.batch),
                "give --lanes a divisor of --batch");
  }
  at::set_num_threads(static_cast<int>(config.threads));
  torch::manual_seed(1);
  EnergyConfig network;
  network.network = config.network;
  network.width = config.width;
  const auto energy = make_energy(network, 1);
  FrozenEnergy frozen(network, config.precision, at::kCPU);
  frozen.refresh(*energy);
  const auto plain = plain_energy(config, energy);
  const auto shape = energy->input();
  const auto start = torch::rand({config.batch, shape.channels, shape.height, shape.width}) * 2 - 1;
  check_same_gradient(plain, frozen, start.slice(0, 0, config.batch / config.lanes),
                      config.precision == "fp32" ? 1e-3 : 0.2);

  LangevinConfig langevin;
  langevin.steps = config.steps;
  langevin.temperature = 1;
  const auto lanes = start.chunk(config.lanes);
  const double work = static_cast<double>(config.batch * config.steps);
  BenchReport report{"langevin",
                     {{"network", config.network},
                      {"width", std::to_string(config.width)},
                      {"precision", config.precision},
                      {"bf16 products", tiles::bf16_products()},
                      {"batch", std::to_string(config.batch)},
                      {"lanes", std::to_string(config.lanes)},
                      {"steps", std::to_string(config.steps)},
                      {"threads", std::to_string(config.threads)}},
                     {},
                     {}};
  report.figures = measure_in_turns({{fmt::format("langrun, {} calls of {}", config.lanes, config.batch / config.lanes),
                                      work, [&] { run_in_lanes(frozen, lanes, langevin); }},
                                     {"langrun, one call", work, [&] { run_in_lanes(frozen, {start}, langevin); }},
                                     {"plain PyTorch loop", work, [&] { plain_loop(plain, start, langevin); }},
                                     matrix_product(config.precision)},
                                    "image-steps/s", config.repeats, 0, world);
  auto& product = report.figures[3];
  product.unit = "GFLOP/s";
  report.ratios = {ratio_of(report.figures[0], report.figures[2]), ratio_of(report.figures[1], report.figures[2])};
  // Forwards and back, a product and a sum each; transforms may need fewer, so this can pass 1.
  const double flops = 4e-9 * multiply_adds(*energy);
  for (std::size_t i = 0; i < 3; i += 2) {
    auto share = ratio_of(report.figures[i], product);
    share.unit = "of the rate";
    for (auto* values : {&share.values, &share.per_core_second})
      for (auto& value : *values) value *= flops;
    report.ratios.push_back(std::move(share));
  }
  return report;
}

}  // namespace langrun

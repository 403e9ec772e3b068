#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "core/networks/frozen_energy.h"
#include "core/torch.h"
#include "data/hdf5.h"
#include "jobs/bench.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<Energy> trained_energy(const fs::path& checkpoint, EnergyConfig& config) {
  const auto path = checkpoint / "weights.h5";
  const WeightsFile file(path);
  config = energy_config(file.facts("energy"), path.string());
  auto energy = make_energy(config, 0);
  read_part(file, "energy", named_state(*energy));
  return energy;
}

/// The first chains of lane 0, [count, C, H, W].
at::Tensor chains_of(const fs::path& checkpoint, std::int64_t count) {
  const auto file = h5::File::open(checkpoint / "bank-0.h5");
  const auto images = file.dataset("/bank/images");
  const auto shape = images.shape();
  count = std::min<std::int64_t>(count, static_cast<std::int64_t>(shape[0]));
  auto chains = at::empty({count, static_cast<std::int64_t>(shape[1]), static_cast<std::int64_t>(shape[2]),
                           static_cast<std::int64_t>(shape[3])});
  images.read_rows(0, static_cast<std::uint64_t>(count), chains.mutable_data_ptr<float>());
  return chains;
}

BenchFigure each(const std::string& what, const std::string& unit, const at::Tensor& values) {
  const auto numbers = values.to(at::kDouble).contiguous();
  return {what, unit, {numbers.const_data_ptr<double>(), numbers.const_data_ptr<double>() + numbers.numel()}, {}};
}

void compare(FrozenEnergy& exact, FrozenEnergy& rounded, const at::Tensor& images, const std::string& name,
             BenchReport& report) {
  const auto a = exact.energy_and_gradient(images), b = rounded.energy_and_gradient(images);
  const auto x = a.gradient.flatten(1), y = b.gradient.flatten(1);
  const auto norm = x.norm(2, {1}), other = y.norm(2, {1});
  report.figures.push_back(each("||bf16 - fp32|| / ||fp32|| of gradients, " + name, "", (y - x).norm(2, {1}) / norm));
  report.figures.push_back(each("||bf16|| / ||fp32|| of gradients, " + name, "", other / norm));
  report.figures.push_back(each("cosine of gradients, " + name, "", (x * y).sum(1) / (norm * other)));
  report.figures.push_back(
      each("|bf16 - fp32| of energies / their spread, " + name, "", (b.energy - a.energy).abs() / a.energy.std()));
}

}  // namespace

BenchReport bench_precision(const BenchConfig& config, Communicator&) {
  if (config.checkpoint.empty())
    throw Error(ExitCode::usage, "bench precision compares bf16 with fp32 on a trained energy, and was given none",
                "name a run's checkpoint: --checkpoint RUN/checkpoint/STEP");
  const torch::NoGradGuard constant;
  at::set_num_threads(static_cast<int>(config.threads));
  torch::manual_seed(1);
  EnergyConfig network;
  const auto energy = trained_energy(config.checkpoint, network);
  const auto chains = chains_of(config.checkpoint, config.batch);
  if (chains.size(0) < 2) throw Error(ExitCode::input, "bench precision wants a bank of at least two chains a lane");
  FrozenEnergy exact(network, "fp32", at::kCPU), rounded(network, "bf16", at::kCPU);
  exact.refresh(*energy);
  rounded.refresh(*energy);
  BenchReport report{
      "precision",
      {{"network", network.network}, {"checkpoint", config.checkpoint}, {"images", std::to_string(chains.size(0))}},
      {},
      {}};
  compare(exact, rounded, chains, "chains of the bank", report);
  compare(exact, rounded, at::rand_like(chains) * 2 - 1, "uniform noise", report);
  return report;
}

}  // namespace langrun

#include "jobs/model_density.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/networks/energy.h"
#include "core/torch.h"
#include "jobs/points_panel.h"
#include "jobs/weights_source.h"

namespace langrun {
namespace {

constexpr std::int64_t kPointsACall = 1 << 14;

/// Middles of all cells, [cells^2, 2, 1, 1] float64.
at::Tensor middles(const PlaneGrid& grid) {
  auto points = torch::empty({static_cast<std::int64_t>(grid.size()), 2, 1, 1}, torch::kFloat64);
  auto* values = points.mutable_data_ptr<double>();
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const auto at = grid.middle(i);
    values[2 * i] = at.x;
    values[2 * i + 1] = at.y;
  }
  return points;
}

std::vector<double> numbers_of(const at::Tensor& values) {
  const auto flat = values.detach().flatten().contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

}  // namespace

ModelDensity model_density(const WeightsFile& file, const std::string& part, double temperature, const PlaneGrid& grid,
                           const PlaneGrid& arrows) {
  const auto trained = read_energy(file, part);
  const auto image = trained.network->input();
  if (!are_points(image))
    throw Error(ExitCode::input,
                fmt::format("{} is an energy {} of {} x {} x {} images, expected one of points of the plane",
                            file.path().string(), trained.config.network, image.channels, image.height, image.width),
                "train one with --energy.network mlp2d on a store of `data synth --density`");
  if (file.has("prior"))
    throw Error(ExitCode::input, fmt::format("{}: these chains felt a prior beside the energy", file.path().string()),
                "the density of a sum with a prior is not drawn");
  ModelDensity model;
  model.network = trained.config.network;
  model.width = trained.config.width;
  model.temperature = temperature > 0 ? temperature : trained.temperature;
  model.tau = trained.tau;
  if (!(model.temperature > 0))
    throw Error(ExitCode::usage, fmt::format("{} does not say its temperature", file.path().string()),
                "give --temperature");
  trained.network->to(at::kDouble);
  const auto evaluate = [&](const at::Tensor& points) {
    auto e = trained.network->energy(points) / model.temperature;
    if (model.tau > 0) e = e + points.square().sum({1, 2, 3}) / (2 * model.tau * model.tau);
    return e;
  };
  {
    const torch::NoGradGuard constant;
    for (const auto& points : middles(grid).split(kPointsACall)) {
      const auto energies = numbers_of(evaluate(points));
      model.energy.insert(model.energy.end(), energies.begin(), energies.end());
    }
  }
  const at::AutoGradMode grad(true);
  const auto places = middles(arrows).requires_grad_();
  model.gradient = numbers_of(torch::autograd::grad({evaluate(places).sum()}, {places})[0]);
  return model;
}

}  // namespace langrun

#include "launch/density.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/durable.h"
#include "data/hdf5.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string title_of(const DensityResult& result) {
  return fmt::format("{}, {} weights, step {}", result.run, result.weights, result.step);
}

void write_points(h5::File& file, const char* name, const std::vector<float>& points) {
  if (!points.empty()) file.write(name, {points.size() / 2, 2}, points.data());
}

}  // namespace

std::string density_json(const DensityResult& r) {
  Json json{{"run", r.run},
            {"step", r.step},
            {"weights", r.weights},
            {"network", r.evaluated.network},
            {"width", r.evaluated.width},
            {"temperature", r.evaluated.temperature},
            {"tau", r.evaluated.tau > 0 ? Json(r.evaluated.tau) : Json(nullptr)},
            {"half_width", r.grid.half_width},
            {"cells", r.grid.cells},
            {"log_normaliser", r.model.log_normaliser},
            {"border_width", r.model.border_width},
            {"border_mass", r.model.border_mass}};
  if (r.comparison) {
    json["density"] = r.density;
    json["kl"] = r.comparison->kl;
    json["reverse_kl"] = r.comparison->reverse_kl;
    json["total_variation"] = r.comparison->total_variation;
    json["truth_mass"] = r.comparison->truth_mass;
    json["modes"] = Json::array();
    for (const auto& mode : r.comparison->modes)
      json["modes"].push_back({{"name", mode.name},
                               {"weight", mode.weight},
                               {"truth", mode.truth},
                               {"ratio", mode.truth > 0 ? Json(mode.weight / mode.truth) : Json(nullptr)}});
  }
  return json.dump(2) + "\n";
}

void write_density_values(const fs::path& path, const DensityResult& r) {
  const fs::path partial = path.string() + ".partial";
  std::error_code ignored;
  fs::remove(partial, ignored);
  const auto cells = static_cast<std::uint64_t>(r.grid.cells), arrows = static_cast<std::uint64_t>(r.arrows.cells);
  auto file = h5::File::create(partial);
  file.write("/log_density", {cells, cells}, r.model.log_density.data());
  file.write("/gradient", {arrows, arrows, 2}, r.evaluated.gradient.data());
  if (r.comparison) {
    file.write("/truth_log_density", {cells, cells}, r.comparison->truth_log_density.data());
    file.write("/truth_gradient", {arrows, arrows, 2}, r.truth_gradient.data());
  }
  write_points(file, "/data", r.data);
  write_points(file, "/bank", r.bank);
  file.write_attribute("/", "half_width", r.grid.half_width);
  file.write_attribute("/", "density", r.density);
  file.write_attribute("/", "title", title_of(r));
  if (r.comparison) file.write_attribute("/", "kl", r.comparison->kl);
  file.close();
  sync_path(partial);
  rename_durably(partial, path);
}

std::string density_text(const DensityResult& r) {
  auto text = fmt::format("model       {}, T {:g}\n", title_of(r), r.evaluated.temperature);
  text += fmt::format("normaliser  ln Z = {:.6f} over [{:g}, {:g}]^2, {} x {} cells; share near the border {:.3g}\n",
                      r.model.log_normaliser, -r.grid.half_width, r.grid.half_width, r.grid.cells, r.grid.cells,
                      r.model.border_mass);
  if (!r.comparison) return text;
  text += fmt::format("against     {}: KL(truth || model) {:.5f} nats, reverse {:.5f}, total variation {:.5f}\n",
                      r.density, r.comparison->kl, r.comparison->reverse_kl, r.comparison->total_variation);
  for (const auto& mode : r.comparison->modes)
    text += fmt::format("  {:<10} {:.5f} of {:.5f}, ratio {:.4f}\n", mode.name, mode.weight, mode.truth,
                        mode.weight / mode.truth);
  return text;
}

}  // namespace langrun::launch

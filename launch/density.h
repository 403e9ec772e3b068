// What `density` leaves in its folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "jobs/model_density.h"

namespace langrun::launch {

/// A run's density, measured.
struct DensityResult {
  std::string run, weights, density;  ///< density: the truth's name, empty where there is none
  std::int64_t step = 0;
  PlaneGrid grid, arrows;
  ModelDensity evaluated;
  PlaneModel model;
  std::optional<PlaneComparison> comparison;
  std::vector<double> truth_gradient;  ///< [arrows, 2] of -ln q
  std::vector<float> data, bank;       ///< points [n, 2]
};

/// Text of result.json.
std::string density_json(const DensityResult& result);
/// density.h5: /log_density [cells, cells] (rows from below), /gradient [arrows, arrows, 2] of E, /truth_log_density
/// and /truth_gradient likewise, /data and /bank [n, 2]; what there is not, is left out. Attributes half_width,
/// density, title. Throws Error(storage).
void write_density_values(const std::filesystem::path& path, const DensityResult& result);
/// A few lines for a person.
std::string density_text(const DensityResult& result);

}  // namespace langrun::launch

#include "jobs/run_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/error.h"
#include "core/plane_density.h"
#include "data/image_store.h"
#include "jobs/bank_file.h"
#include "jobs/points_panel.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSource = "density ";

/// The bank's group in one lane's file; empty where it has none of points.
std::string images_name(const h5::File& file) {
  for (const char* group : {"/update/images", "/bank/images"})
    if (file.has(group)) return group;
  return "";
}

}  // namespace

std::vector<float> data_points(const fs::path& path, std::uint64_t most) {
  const auto store = ImageStore::open(path, Accept::any_type);
  if (store.pixels() != Pixels::floats || !are_points(store.shape()))
    throw Error(ExitCode::input, fmt::format("{} does not hold points of the plane", path.string()),
                "`data synth --density` makes such a store");
  std::vector<std::uint64_t> indices(std::min(most, store.count()));
  std::iota(indices.begin(), indices.end(), std::uint64_t{0});
  std::vector<std::uint8_t> bytes(indices.size() * store.image_bytes());
  store.read(indices, bytes);
  std::vector<float> points(bytes.size() / sizeof(float));
  std::memcpy(points.data(), bytes.data(), bytes.size());
  return points;
}

std::string density_of_store(const fs::path& path) {
  const auto source = ImageStore::open(path, Accept::any_type).record().source;
  if (!source.starts_with(kSource)) return "";
  const auto name = source.substr(std::strlen(kSource));
  const auto known = plane_density_names();
  return std::find(known.begin(), known.end(), name) == known.end() ? "" : name;
}

std::vector<float> bank_points(const fs::path& checkpoint, std::uint64_t most) {
  std::uint64_t lanes = 0;
  while (fs::exists(checkpoint / bank_file_name(static_cast<std::int64_t>(lanes)))) ++lanes;
  std::vector<float> points;
  for (std::uint64_t lane = 0; lane < lanes; ++lane) {
    const auto file = h5::File::open(checkpoint / bank_file_name(static_cast<std::int64_t>(lane)));
    const auto name = images_name(file);
    if (name.empty()) continue;
    const auto images = file.dataset(name);
    if (images.shape().size() != 4 || images.shape()[1] * images.shape()[2] * images.shape()[3] != 2) continue;
    const auto rows = std::min(images.shape()[0], (most + lanes - 1) / lanes);
    const auto first = points.size();
    points.resize(first + 2 * rows);
    images.read_rows(0, rows, points.data() + first);
  }
  return points;
}

}  // namespace langrun

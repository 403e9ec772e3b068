#include "core/plane_density.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"
#include "core/nearest.h"
#include "core/noise.h"

namespace langrun {
namespace {

PlanePoint polar(double radius, double turns) {
  const double angle = 2 * std::numbers::pi * turns;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

double squared_distance(PlanePoint a, PlanePoint b) { return (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y); }

std::vector<PlanePoint> ring_centers() {
  std::vector<PlanePoint> centers;
  for (int k = 0; k < 8; ++k) centers.push_back(polar(0.6, k / 8.0));
  return centers;
}

std::vector<PlanePoint> spiral_centers() {
  constexpr int kPieces = 128;
  std::vector<PlanePoint> centers;
  for (const double turned : {0.0, 0.5})
    for (int k = 0; k < kPieces; ++k) {
      const double along = std::sqrt((k + 0.5) / kPieces);
      centers.push_back(polar(0.12 + 0.66 * along, 1.25 * along + turned));
    }
  return centers;
}

}  // namespace

std::vector<std::string> plane_density_names() { return {"ring", "spirals"}; }

PlaneDensity::PlaneDensity(const std::string& name) : name_(name) {
  if (name == "ring") {
    centers_ = ring_centers();
    deviation_ = 0.08;
    for (int k = 0; k < 8; ++k) modes_.push_back(fmt::format("mode {}", k));
  } else if (name == "spirals") {
    centers_ = spiral_centers();
    deviation_ = 0.04;
    modes_ = {"arm 0", "arm 1"};
  } else {
    const auto close = nearest(name, plane_density_names());
    throw Error(ExitCode::usage,
                fmt::format("unknown density '{}': expected {}", name, fmt::join(plane_density_names(), ", ")),
                close.empty() ? "" : fmt::format("did you mean {}?", close));
  }
}

double PlaneDensity::log_density(PlanePoint at) const {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& center : centers_) least = std::min(least, squared_distance(at, center));
  const double variance = deviation_ * deviation_;
  double sum = 0;
  for (const auto& center : centers_) sum += std::exp((least - squared_distance(at, center)) / (2 * variance));
  return std::log(sum) - least / (2 * variance) -
         std::log(static_cast<double>(centers_.size()) * 2 * std::numbers::pi * variance);
}

PlanePoint PlaneDensity::log_gradient(PlanePoint at) const {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& center : centers_) least = std::min(least, squared_distance(at, center));
  const double variance = deviation_ * deviation_;
  double sum = 0, x = 0, y = 0;
  for (const auto& center : centers_) {
    const double share = std::exp((least - squared_distance(at, center)) / (2 * variance));
    sum += share;
    x += share * (center.x - at.x);
    y += share * (center.y - at.y);
  }
  return {x / (sum * variance), y / (sum * variance)};
}

std::size_t PlaneDensity::mode_of(PlanePoint at) const {
  const auto nearest_center = std::min_element(centers_.begin(), centers_.end(), [&](PlanePoint a, PlanePoint b) {
    return squared_distance(at, a) < squared_distance(at, b);
  });
  return static_cast<std::size_t>(nearest_center - centers_.begin()) / (centers_.size() / modes_.size());
}

PlaneDensity::Sample PlaneDensity::sample(std::uint64_t seed, std::uint64_t index) const {
  const auto key = noise_key(seed, Stream::synthetic);
  // Two places of one identity, since both kinds of numbers read the same words.
  const auto drawn = static_cast<std::size_t>(uniform_integer(key, {index, 0}, 0, centers_.size()));
  std::array<float, 2> normals{};
  fill_normal(key, {index, 1}, normals);
  return {static_cast<float>(centers_[drawn].x + deviation_ * static_cast<double>(normals[0])),
          static_cast<float>(centers_[drawn].y + deviation_ * static_cast<double>(normals[1])),
          drawn / (centers_.size() / modes_.size())};
}

}  // namespace langrun

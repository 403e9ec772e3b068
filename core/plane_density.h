// Densities over the plane that are known exactly, for studies of training where nothing has to be estimated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace langrun {

struct PlanePoint {
  double x = 0, y = 0;
};

/// A mixture of round Gaussians of equal weight, N(center, deviation^2 I), that come in modes of equal weight as well.
class PlaneDensity {
 public:
  /// `ring`: eight Gaussians of deviation 0.08 on a circle of radius 0.6, the first at (0.6, 0), counter-clockwise; the
  /// distance between neighbours is 5.7 deviations. `spirals`: two arms, one turned by half a turn against the other,
  /// each a chain of 128 Gaussians of deviation 0.04 on r = 0.12 + 0.66 s, angle = 2.5 pi s, with s = sqrt of (k + 1/2)
  /// / 128, which spaces them about evenly. Throws Error(usage) for another name, with the nearest as hint.
  explicit PlaneDensity(const std::string& name);

  const std::string& name() const { return name_; }
  /// Names of the modes: "mode 0", .. "mode 7", or "arm 0", "arm 1".
  const std::vector<std::string>& modes() const { return modes_; }
  double deviation() const { return deviation_; }
  /// All Gaussians' centres, those of a mode together.
  const std::vector<PlanePoint>& centers() const { return centers_; }

  /// ln p(x, y), finite everywhere.
  double log_density(PlanePoint at) const;
  /// Gradient of ln p.
  PlanePoint log_gradient(PlanePoint at) const;
  /// The mode whose nearest centre is nearest.
  std::size_t mode_of(PlanePoint at) const;
  struct Sample {
    float x = 0, y = 0;
    std::size_t mode = 0;  ///< that it was drawn from
  };
  /// Point `index` of the endless sample of independent points keyed by `seed`.
  Sample sample(std::uint64_t seed, std::uint64_t index) const;

 private:
  std::string name_;
  std::vector<std::string> modes_;
  std::vector<PlanePoint> centers_;
  double deviation_ = 1;
};

/// Names that PlaneDensity knows.
std::vector<std::string> plane_density_names();

}  // namespace langrun

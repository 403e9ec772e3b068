#include "jobs/score_resampling.h"

#include <cstring>
#include <span>

#include "core/noise.h"
#include "core/torch.h"
#include "distributed/agreement.h"

namespace langrun {
namespace {

// Places 0 and 1 are those of the choice of images.
constexpr std::uint64_t kFirstPlace = 2;

FeatureStatistics drawn(const ResampledSide& side, std::uint64_t number, std::int64_t resample, std::int64_t seed) {
  FeatureStatistics statistics(side.features.size(1));
  statistics.add_drawn(side.features, draws_of(seed, number, resample, side.features.size(0)));
  return statistics;
}

/// Distances of the resamples, of which a fixed side's root is taken only once.
class Resampler {
 public:
  Resampler(const ResampledSide& a, const ResampledSide& b, std::int64_t seed) : a_(a), b_(b), seed_(seed) {
    if (b.fixed) fixed_.emplace(*b.fixed);
    if (a.fixed) fixed_.emplace(*a.fixed);
  }
  double distance(std::int64_t resample) const {
    if (b_.fixed) return fixed_->distance_to(drawn(a_, 0, resample, seed_));
    if (a_.fixed) return fixed_->distance_to(drawn(b_, 1, resample, seed_));
    return frechet_distance(drawn(a_, 0, resample, seed_), drawn(b_, 1, resample, seed_));
  }

 private:
  const ResampledSide &a_, &b_;
  std::int64_t seed_;
  std::optional<FrechetReference> fixed_;
};

}  // namespace

at::Tensor draws_of(std::int64_t seed, std::uint64_t side, std::int64_t resample, std::int64_t count) {
  const auto key = noise_key(static_cast<std::uint64_t>(seed), Stream::sample);
  auto draws = torch::zeros({count}, torch::kInt64);
  auto* times = draws.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i)
    ++times[uniform_integer(key, {kFirstPlace + side, static_cast<std::uint32_t>(resample)},
                            static_cast<std::uint32_t>(i), static_cast<std::uint64_t>(count))];
  return draws;
}

ResampledInterval resample_distance(Communicator& world, const ResampledSide& a, const ResampledSide& b,
                                    double distance, std::int64_t resamples, std::int64_t seed) {
  std::vector<double> own;
  agree(world, "score resamples", [&] {
    const Resampler resampler(a, b, seed);
    for (std::int64_t r = world.rank(); r < resamples; r += world.size()) own.push_back(resampler.distance(r));
  });
  const auto bytes = world.gather_all("score resampled distances", std::as_bytes(std::span(own)));
  std::vector<double> all(static_cast<std::size_t>(resamples));
  for (std::size_t r = 0; r < all.size(); ++r) {
    const auto ranks = static_cast<std::size_t>(world.size());
    std::memcpy(&all[r], bytes[r % ranks].data() + r / ranks * sizeof(double), sizeof(double));
  }
  return resampled_interval(distance, std::move(all));
}

}  // namespace langrun

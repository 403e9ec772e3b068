#include "jobs/straggler_watch.h"

#include <algorithm>

namespace langrun {
namespace {

double total(const StragglerWatch::Work& work) { return work.sample + work.update; }

/// Of an even number of values the lower one, so that of two ranks the slower can be told.
double median_of(const std::vector<StragglerWatch::Work>& ranks, double (*value)(const StragglerWatch::Work&)) {
  std::vector<double> values;
  for (const auto& work : ranks) values.push_back(value(work));
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double by(double value, double median) { return median > 0 ? value / median : 1; }

}  // namespace

std::vector<Straggler> StragglerWatch::see(const std::vector<Work>& ranks) {
  std::vector<Straggler> named;
  if (factor_ <= 0 || ranks.size() < 2) return named;
  slow_.resize(ranks.size());
  medians_.resize(ranks.size());
  const double median = median_of(ranks, total);
  const double sample = median_of(ranks, [](const Work& w) { return w.sample; });
  const double update = median_of(ranks, [](const Work& w) { return w.update; });
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    auto& slow = slow_[rank];
    auto& usual = medians_[rank];
    if (median <= 0 || total(ranks[rank]) <= factor_ * median) {
      slow = {};
      usual = {};
      continue;
    }
    ++slow.steps;
    slow.sum.sample += ranks[rank].sample;
    slow.sum.update += ranks[rank].update;
    usual.sample += sample;
    usual.update += update;
    if (slow.steps != steps_ && slow.steps % (10 * steps_) != 0) continue;
    const bool sampling = slow.sum.sample - usual.sample >= slow.sum.update - usual.update;
    named.push_back({rank, sampling ? "sampling" : "updates", by(total(slow.sum), total(usual))});
  }
  return named;
}

}  // namespace langrun

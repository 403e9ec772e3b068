#include "jobs/plan_scaling.h"

#include <algorithm>
#include <cmath>

namespace langrun {
namespace {

constexpr double kDay = 86400;
/// Bytes of one sum between ranks at most, as distributed/tree_reducer.cpp cuts it.
constexpr double kPiece = 2 << 20;

double sent_bytes(const ScalingModel& model, std::int64_t ranks) {
  const auto r = static_cast<double>(ranks);
  return 4 * model.weights * 2 * (r - 1) / r;
}

double computing(const ScalingModel& model, double batch, std::int64_t ranks) {
  const double images = batch / static_cast<double>(ranks);
  return images * (model.chain_steps * model.gradient_seconds + model.update_seconds);
}

std::vector<ScalingPoint> over_ranks(const ScalingModel& model, double batch, bool grows) {
  std::vector<ScalingPoint> points;
  for (std::int64_t ranks = 1; ranks <= kMostRanks; ranks *= 2) {
    ScalingPoint point;
    point.ranks = ranks;
    point.batch = grows ? batch * static_cast<double>(ranks) : batch;
    point.time = step_time(model, point.batch, ranks);
    point.steps_a_day = kDay / point.time.total();
    const auto rate = [](const ScalingPoint& p) { return p.batch / (p.time.total() * static_cast<double>(p.ranks)); };
    point.efficiency = points.empty() ? 1 : rate(point) / rate(points.front());
    points.push_back(point);
  }
  return points;
}

}  // namespace

double checkpoint_seconds(const ScalingModel& model, double batch) {
  return (model.fixed_bytes + model.bank_bytes * batch) / model.disk;
}

StepTime step_time(const ScalingModel& model, double batch, std::int64_t ranks) {
  const double images = batch / static_cast<double>(ranks);
  StepTime time;
  time.sample = images * model.chain_steps * model.gradient_seconds;
  time.update = images * model.update_seconds;
  if (ranks > 1) {
    // Every rank sends to every other, once while slices are added and once while sums are gathered.
    const double messages = std::ceil(4 * model.weights / kPiece) * 2 * static_cast<double>(ranks - 1);
    time.exchange = sent_bytes(model, ranks) / model.network + messages * model.latency;
  }
  // It is written while the next steps run; training waits only for one that is not through when the next is due.
  const auto every = static_cast<double>(std::max<std::int64_t>(model.checkpoint_every, 1));
  time.checkpoint = std::max(0.0, checkpoint_seconds(model, batch) / every - time.total());
  return time;
}

std::vector<ScalingPoint> weak_scaling(const ScalingModel& model, double batch_a_rank) {
  return over_ranks(model, batch_a_rank, true);
}

std::vector<ScalingPoint> strong_scaling(const ScalingModel& model, double batch) {
  return over_ranks(model, std::max(batch, static_cast<double>(kMostRanks)), false);
}

double network_needed(const ScalingModel& model, double batch, std::int64_t ranks, double share) {
  return ranks > 1 ? sent_bytes(model, ranks) / (share * computing(model, batch, ranks)) : 0;
}

double disk_needed(const ScalingModel& model, double batch, std::int64_t ranks) {
  const auto every = static_cast<double>(std::max<std::int64_t>(model.checkpoint_every, 1));
  return (model.fixed_bytes + model.bank_bytes * batch) / (every * computing(model, batch, ranks));
}

}  // namespace langrun

#include "jobs/divergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace langrun {
namespace {

constexpr const char* kHint =
    "begin a new run with a smaller learning rate or --langevin.eta, or with more --data.noise; or go on with "
    "--resume --divergence.action rollback";

void refuse_infinite(const char* what, double value, std::int64_t step) {
  if (!std::isfinite(value))
    throw Diverged(fmt::format("diverged: {} is {} at step {}", what, value, step), kHint, step);
}

/// The quantity whose size tells: the loss of what learns.
double watched(const StepRecord& record) {
  return record.energy_difference ? *record.energy_difference : record.loss.value_or(0);
}
const char* watched_name(const StepRecord& record) {
  return record.energy_difference ? "energy difference" : "loss";
}

}  // namespace

void DivergenceWatch::see(const StepRecord& record) {
  refuse_infinite("energy difference", record.energy_difference.value_or(0), record.step);
  refuse_infinite("gradient magnitude", record.gradient_magnitude.value_or(0), record.step);
  refuse_infinite("loss", record.loss.value_or(0), record.step);
  refuse_infinite("generator loss", record.generator_loss.value_or(0), record.step);
  check_bound(record);
  one_sign_ = one_sign_ && watched(record) * sum_ >= 0;
  sum_ += watched(record);
  if (++steps_ == kWindow) close_window(record);
}

void DivergenceWatch::check_bound(const StepRecord& record) {
  const bool beyond = config_.bound > 0 && std::abs(watched(record)) > config_.bound;
  beyond_ = beyond ? beyond_ + 1 : 0;
  if (beyond && beyond_ >= config_.steps)
    throw Diverged(
        fmt::format("diverged: the {} was beyond {:.4g} for {} steps in a row, {:.4g} at step {}", watched_name(record),
                    config_.bound, beyond_, watched(record), record.step),
        kHint, record.step - beyond_ + 1);
}

std::int64_t DivergenceWatch::suspects_from(std::int64_t step) const {
  const auto bound = step - beyond_ + 1;
  // A window with both signs ends whatever was growing.
  if (!one_sign_) return bound;
  const auto windows = in_a_row_ + (last_mean_ != 0 ? 1 : 0);
  return std::min(bound, step - steps_ + 1 - kWindow * windows);
}

std::vector<double> DivergenceWatch::state() const {
  return {static_cast<double>(beyond_),  static_cast<double>(steps_), sum_, one_sign_ ? 1.0 : 0.0, last_mean_,
          static_cast<double>(in_a_row_)};
}

void DivergenceWatch::restore(const std::vector<double>& state) {
  *this = DivergenceWatch(config_);
  if (state.empty()) return;
  if (state.size() != this->state().size())
    throw Error(ExitCode::input, fmt::format("the checkpoint's watch for divergence has {} numbers, expected {}",
                                             state.size(), this->state().size()));
  beyond_ = static_cast<std::int64_t>(state[0]);
  steps_ = static_cast<std::int64_t>(state[1]);
  sum_ = state[2];
  one_sign_ = state[3] != 0;
  last_mean_ = state[4];
  in_a_row_ = static_cast<std::int64_t>(state[5]);
}

void DivergenceWatch::close_window(const StepRecord& record) {
  const auto step = record.step;
  const double mean = one_sign_ ? sum_ / static_cast<double>(kWindow) : 0;
  const bool doubled = last_mean_ != 0 && mean / last_mean_ >= 2;
  in_a_row_ = doubled ? in_a_row_ + 1 : 0;
  if (in_a_row_ >= kWindows - 1)
    throw Diverged(
        fmt::format("diverged: the {} grows without return, {:.4g} on average over the last {} steps at step {}, "
                    "at least twice that of the {} before, {} times in a row",
                    watched_name(record), mean, kWindow, step, kWindow, in_a_row_),
        kHint, step - kWindow * (in_a_row_ + 1) + 1);
  last_mean_ = mean;
  steps_ = 0;
  sum_ = 0;
  one_sign_ = true;
}

}  // namespace langrun

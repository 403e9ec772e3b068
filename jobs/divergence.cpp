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

/// Steps in a row, counted with the sign that their values have, once one of this value has come.
std::int64_t in_a_row(std::int64_t before, double value) {
  const std::int64_t sign = value < 0 ? -1 : 1;
  return before * sign > 0 ? before + sign : sign;
}

/// Numbers of a state of versions that knew no largest difference.
constexpr std::size_t kStateWithoutLargest = 6;

}  // namespace

void DivergenceWatch::see(const StepRecord& record) {
  refuse_infinite("energy difference", record.energy_difference.value_or(0), record.step);
  refuse_infinite("gradient magnitude", record.gradient_magnitude.value_or(0), record.step);
  refuse_infinite("loss", record.loss.value_or(0), record.step);
  refuse_infinite("generator loss", record.generator_loss.value_or(0), record.step);
  check_bound(record);
  check_leap(record);
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

// Of the first window nothing is known but itself: energies that begin near 0 leave it by large factors in good runs too.
void DivergenceWatch::check_leap(const StepRecord& record) {
  const double value = watched(record), size = std::abs(value);
  above_ = largest_ > 0 && size > largest_ ? in_a_row(above_, value) : 0;
  far_ = largest_ > 0 && size > kFar * largest_ ? in_a_row(far_, value) : 0;
  if (window_largest_ != kUnknown) window_largest_ = std::max(window_largest_, size);
  if (std::abs(far_) >= kFarSteps)
    throw Diverged(fmt::format("diverged: the {} was beyond {:.0f} times the largest of the windows before ({:.4g}), "
                               "with one sign, for {} steps in a row, {:.4g} at step {}",
                               watched_name(record), kFar, largest_, std::abs(far_), value, record.step),
                   kHint, record.step - std::abs(above_) + 1);
}

std::int64_t DivergenceWatch::suspects_from(std::int64_t step) const {
  const auto bound = step - std::max(beyond_, std::abs(above_)) + 1;
  // A window with both signs ends whatever was growing.
  if (!one_sign_) return bound;
  const auto windows = in_a_row_ + (last_mean_ != 0 ? 1 : 0);
  return std::min(bound, step - steps_ + 1 - kWindow * windows);
}

std::vector<double> DivergenceWatch::state() const {
  return {static_cast<double>(beyond_),
          static_cast<double>(steps_),
          sum_,
          one_sign_ ? 1.0 : 0.0,
          last_mean_,
          static_cast<double>(in_a_row_),
          largest_,
          window_largest_,
          static_cast<double>(above_),
          static_cast<double>(far_)};
}

void DivergenceWatch::restore(const std::vector<double>& state) {
  *this = DivergenceWatch(config_);
  if (state.empty()) return;
  const bool knows_largest = state.size() == this->state().size();
  if (!knows_largest && state.size() != kStateWithoutLargest)
    throw Error(ExitCode::input, fmt::format("the checkpoint's watch for divergence has {} numbers, expected {}",
                                             state.size(), this->state().size()));
  beyond_ = static_cast<std::int64_t>(state[0]);
  steps_ = static_cast<std::int64_t>(state[1]);
  sum_ = state[2];
  one_sign_ = state[3] != 0;
  last_mean_ = state[4];
  in_a_row_ = static_cast<std::int64_t>(state[5]);
  if (!knows_largest) {
    // Of a window that was seen in part, a few small differences would pass for what is usual.
    window_largest_ = kUnknown;
    return;
  }
  largest_ = state[6];
  window_largest_ = state[7];
  above_ = static_cast<std::int64_t>(state[8]);
  far_ = static_cast<std::int64_t>(state[9]);
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
  largest_ = std::max(largest_, window_largest_);
  window_largest_ = 0;
  steps_ = 0;
  sum_ = 0;
  one_sign_ = true;
}

}  // namespace langrun

#include "jobs/divergence.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"

namespace langrun {
namespace {

constexpr const char* kHint =
    "begin a new run with a smaller --energy.learning-rate or --langevin.eta, or with more --data.noise";

void refuse_infinite(const char* what, double value, std::int64_t step) {
  if (!std::isfinite(value))
    throw Error(ExitCode::diverged, fmt::format("diverged: {} is {} at step {}", what, value, step), kHint);
}

}  // namespace

void DivergenceWatch::see(const StepRecord& record) {
  refuse_infinite("energy difference", record.energy_difference, record.step);
  refuse_infinite("gradient magnitude", record.gradient_magnitude, record.step);
  refuse_infinite("generator loss", record.generator_loss.value_or(0), record.step);
  one_sign_ = one_sign_ && record.energy_difference * sum_ >= 0;
  sum_ += record.energy_difference;
  if (++steps_ == kWindow) close_window(record.step);
}

void DivergenceWatch::close_window(std::int64_t step) {
  const double mean = one_sign_ ? sum_ / static_cast<double>(kWindow) : 0;
  const bool doubled = last_mean_ != 0 && mean / last_mean_ >= 2;
  in_a_row_ = doubled ? in_a_row_ + 1 : 0;
  if (in_a_row_ >= kWindows - 1)
    throw Error(ExitCode::diverged,
                fmt::format("diverged: the energy difference grows without return, {:.4g} on average over the last {} "
                            "steps at step {}, at least twice that of the {} before, {} times in a row",
                            mean, kWindow, step, kWindow, in_a_row_),
                kHint);
  last_mean_ = mean;
  steps_ = 0;
  sum_ = 0;
  one_sign_ = true;
}

}  // namespace langrun

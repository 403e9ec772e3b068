// Tells a run that has left its bounds from one that oscillates.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "jobs/step_record.h"

namespace langrun {

/// What counts as divergence, and what follows.
struct DivergenceConfig {
  std::string action = "stop";  ///< stop, or rollback: go back to a checkpoint and on with other noise
  double bound = 0;             ///< |energy difference|, or the loss where there is none, beyond it counts; 0: no bound
  std::int64_t steps = 20;      ///< so many steps in a row
  double rate = 0.5;            ///< rollback: factor of all learning rates, each time
  std::int64_t limit = 3;       ///< rollback: how often in a run
};

/// Error(diverged) that says since when.
class Diverged : public Error {
 public:
  Diverged(const std::string& what, const std::string& hint, std::int64_t first_step)
      : Error(ExitCode::diverged, what, hint), first_step_(first_step) {}
  /// First step of the course that was found bad.
  std::int64_t first_step() const { return first_step_; }

 private:
  std::int64_t first_step_;
};

/// Watches the records of a run, which are the same on every rank, so that all ranks come to the same verdict without
/// asking. A healthy energy difference oscillates about 0; a diverging one keeps its sign and grows without return. Of
/// a record without one the loss is watched.
class DivergenceWatch {
 public:
  explicit DivergenceWatch(const DivergenceConfig& config) : config_(config) {}

  /// Throws Diverged, naming step and quantity, where a value of the record is not finite; where the energy difference
  /// was beyond the configured bound for the configured number of steps in a row; where it was beyond kFar times the
  /// largest of all windows before this one, with one sign, for kFarSteps steps in a row; and where it has kept its
  /// sign through kWindows windows of kWindow steps, each with at least twice the mean of the one before.
  void see(const StepRecord& record);

  /// After `step`: the first step of the course that a verdict may yet be about; step + 1 where nothing is suspicious.
  std::int64_t suspects_from(std::int64_t step) const;

  /// What it has seen, for a checkpoint: a run that goes on from there comes to the verdicts of one that was not cut.
  std::vector<double> state() const;
  /// Takes it back; an empty one stands for nothing seen, and a shorter one, of versions that knew no largest
  /// difference, for a run whose next whole window says what is usual. Throws Error(input) for one of another length.
  void restore(const std::vector<double>& state);

  static constexpr std::int64_t kWindow = 200, kWindows = 5;
  static constexpr double kFar = 100;
  static constexpr std::int64_t kFarSteps = 20;

 private:
  void check_bound(const StepRecord& record);
  void check_leap(const StepRecord& record);
  void close_window(const StepRecord& record);

  DivergenceConfig config_;
  std::int64_t beyond_ = 0;    ///< steps in a row beyond the bound
  std::int64_t steps_ = 0;     ///< in this window
  double sum_ = 0;             ///< of the energy difference, in this window
  bool one_sign_ = true;       ///< of all differences in this window
  double last_mean_ = 0;       ///< of the window before, with its sign; 0: it had both signs, or there was none
  std::int64_t in_a_row_ = 0;  ///< windows that doubled the one before
  double largest_ = 0;         ///< |difference| of all windows before this one; 0: there was none
  double window_largest_ = 0;  ///< of this window; kUnknown: its beginning was not seen
  std::int64_t above_ = 0;     ///< steps in a row of one sign beyond the largest, counted with that sign
  std::int64_t far_ = 0;       ///< the same beyond kFar times the largest

  static constexpr double kUnknown = -1;
};

}  // namespace langrun

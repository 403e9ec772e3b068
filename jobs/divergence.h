// Tells a run that has left its bounds from one that oscillates.
#pragma once

#include <cstdint>
#include <string>

#include "jobs/step_record.h"

namespace langrun {

/// Watches the records of a run, which are the same on every rank, so that all ranks come to the same verdict without
/// asking. A healthy energy difference oscillates about 0; a diverging one keeps its sign and grows without return. The
/// watch begins anew with every start of the run: whoever knows better can resume.
class DivergenceWatch {
 public:
  /// Throws Error(diverged) where a value of the record is not finite, and where the energy difference has kept its
  /// sign through kWindows windows of kWindow steps, each with at least twice the mean of the one before.
  void see(const StepRecord& record);

  static constexpr std::int64_t kWindow = 200, kWindows = 5;

 private:
  void close_window(std::int64_t step);

  std::int64_t steps_ = 0;     ///< in this window
  double sum_ = 0;             ///< of the energy difference, in this window
  bool one_sign_ = true;       ///< of all differences in this window
  double last_mean_ = 0;       ///< of the window before, with its sign; 0: it had both signs, or there was none
  std::int64_t in_a_row_ = 0;  ///< windows that doubled the one before
};

}  // namespace langrun

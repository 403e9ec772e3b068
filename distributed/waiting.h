// How long a rank has waited, by a clock that does not count what a suspended job slept.
#pragma once

#include <chrono>

namespace langrun {

/// Longer between two looks at a clock that is looked at often, and the whole process was suspended meanwhile.
constexpr double kSuspendedSeconds = 3;

/// Begins when it is made. To be asked far more often than every kSuspendedSeconds: a longer gap counts as sleep.
class Waiting {
 public:
  /// Seconds waited, without those in which the process was suspended.
  double seconds() {
    const auto now = Clock::now();
    if (std::chrono::duration<double>(now - asked_).count() > kSuspendedSeconds) start_ += now - asked_;
    asked_ = now;
    return std::chrono::duration<double>(now - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now(), asked_ = start_;
};

}  // namespace langrun
